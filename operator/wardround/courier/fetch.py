"""Brings a task's base model into the workspace: verified, opened and whole under its name, or not there at all."""

from __future__ import annotations

from wardround.courier.workspace import TaskFolder
from wardround.sealing.body import Body, part_lengths, segment_count
from wardround.sealing.files import HASH_BYTES, FileOpener
from wardround.sealing.keys import DecryptionKey, VerificationKey
from wardround.sealing.manifests import Assignment, Get, ModelManifest, open_model
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import base_context, unwrap
from wardround.store.errors import SHORT, StoreError
from wardround.store.transfer import Store


def input_name(assignment: Assignment) -> str:
    """An initial round's base is the result of a Statistics round."""
    return "statistics.safetensors" if assignment.initial else "model.safetensors"


def is_here(assignment: Assignment, folder: TaskFolder) -> bool:
    """Whether nothing is left to fetch. The file has its name only once it is verified and whole."""
    return assignment.base is None or (folder.input / input_name(assignment)).is_file()


async def fetch(
    assignment: Assignment,
    grant: Get,
    *,
    hub_key: VerificationKey,
    key: DecryptionKey,
    store: Store,
    folder: TaskFolder,
) -> None:
    """Fetch and open the base. Raises Refused, StoreError.

    All participants hold the model's data key, so the hub's signature over each segment's hash is what makes it the
    hub's model (FileOpener).
    """
    manifest, body = _open(assignment, hub_key, key)
    hashes = await store.get_bytes(grant.segments, HASH_BYTES * segment_count(manifest.header.length))
    lengths = part_lengths(manifest.header.length)
    if len(grant.parts) != len(lengths):
        raise StoreError(SHORT)
    target = folder.input / input_name(assignment)
    with FileOpener(target, body, hashes, manifest.segments_digest, manifest.digest) as opener:
        for url, length in zip(grant.parts, lengths, strict=True):
            await store.get(url, length, opener.feed)
        opener.finish()


def _open(assignment: Assignment, hub_key: VerificationKey, key: DecryptionKey) -> tuple[ModelManifest, Body]:
    if assignment.base is None:
        raise Refused("ManifestUnreadable")
    manifest = open_model(assignment.base.manifest, hub_key)
    context = base_context(assignment.round_uid, assignment.attempt, assignment.participant, manifest.digest)
    return manifest, Body(unwrap(assignment.base.wrapped_key, key, context), manifest.header)
