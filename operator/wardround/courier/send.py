"""Seals a checked update and sends it. A durable ciphertext is sent again. Any other is made anew, under a new key."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, count
from typing import BinaryIO

from wardround import durable
from wardround.api.task import Update
from wardround.courier.workspace import TaskFolder, Unsafe
from wardround.parallel import run_all
from wardround.plans.courier.claims import read_claims, require_base
from wardround.plans.courier.types import SealedUpdate
from wardround.ports import Store
from wardround.sealing import body
from wardround.sealing.files import Stopped, seal_file
from wardround.sealing.keyed_digest import keyed_digest
from wardround.sealing.keys import RecipientKey, SigningKey
from wardround.sealing.manifests import open_update, sign_update
from wardround.sealing.refused import Refused
from wardround.sealing.sums import seal_sums
from wardround.sealing.wrap import update_context, wrap
from wardround.threads import beside, beside_until_cancelled
from wardround.wire import digests
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Put
from wardround.wire.models import Header, UpdateManifest
from wardround.wire.update import longest_sums

# Parts that are sent at once.
PARTS = 4


@dataclass(frozen=True)
class Sealed:
    """A durable ciphertext and its signed manifest. `md5`: of each part, as `Content-MD5` has it."""

    envelope: str
    manifest: UpdateManifest
    md5: tuple[str, ...]

    @property
    def view(self) -> SealedUpdate:
        """The sealed update as `plans/courier` sees it."""
        manifest = self.manifest
        update = Update(manifest=self.envelope, samples=manifest.samples, withheld=manifest.withheld)
        parts = tuple(body.part_lengths(manifest.header.length))
        return SealedUpdate(bytes=manifest.bytes, parts=parts, md5=self.md5, update=update)


async def seal(assignment: Assignment, folder: TaskFolder, signing: SigningKey, base_digest: str) -> Sealed:
    """Seal the update in the workspace, or return what an earlier run sealed. Raises Refused, OSError.

    The manifest is written after the ciphertext is on disk: without it the ciphertext counts as never made, and the
    next run seals again under another key. Cancelled, it ends after the segment that is under way.
    """
    return await beside_until_cancelled(partial(_seal, assignment, folder, signing, base_digest))


def _seal(
    assignment: Assignment, folder: TaskFolder, signing: SigningKey, base_digest: str, stop: threading.Event
) -> Sealed:
    if folder.manifest.is_file():
        envelope = folder.manifest.read_text("utf-8")
        manifest = open_update(envelope, signing.public_key())
        return Sealed(envelope, manifest, _part_md5(folder, manifest, stop))
    try:
        claims = read_claims(folder.read_update_document(), assignment)
        tensors = folder.update_tensors(claims.length)
    except Unsafe:
        raise Refused("OutputLink") from None
    require_base(claims, base_digest)
    for noted in (folder.sent, folder.part_md5):  # of a ciphertext that was never whole
        noted.unlink(missing_ok=True)
    file_key = body.new_file_key()
    header = body.new_header(
        file_key,
        kind=body.UPDATE,
        round_uid=assignment.round_uid,
        attempt=assignment.attempt,
        participant=assignment.participant,
        base_digest=claims.base_digest,
        image_digest=assignment.image_digest,
        schema_digest=claims.schema_digest,
        length=claims.length,
    )
    try:
        sealed = seal_file(tensors, folder.ciphertext, header, file_key, stop)
    except ValueError:
        raise Refused("Altered") from None  # its length changed while it was read
    if sealed.digest != claims.digest:
        raise Refused("Altered")
    # A hub that does not ask for a keyed digest can check only the plain one.
    digest = keyed_digest(file_key, header, sealed.digest) if assignment.keyed_digest else sealed.digest
    context = update_context(assignment.round_uid, assignment.attempt, assignment.participant, digest)
    manifest = UpdateManifest(
        header=header,
        digest=digest,
        wrapped_key=wrap(file_key, RecipientKey.load(assignment.round_public_key), context),
        samples=claims.samples,
        withheld=claims.withheld,
        tells=claims.tells,
        min_cell=claims.min_cell,
        sealed_sums=_sealed_sums(file_key, header, claims.sums, assignment) if claims.sums is not None else None,
        bytes=sealed.bytes,
        expires=assignment.expires,
    )
    envelope = sign_update(manifest, signing)
    durable.write(folder.manifest, envelope.encode())
    return Sealed(envelope, manifest, _part_md5(folder, manifest, stop))


def _part_md5(folder: TaskFolder, manifest: UpdateManifest, stop: threading.Event) -> tuple[str, ...]:
    """Of each part of a durable ciphertext, noted beside it: the courier asks again after each rest."""
    if folder.part_md5.is_file():
        return tuple(folder.part_md5.read_text("ascii").split())
    with folder.ciphertext.open("rb") as file:
        lengths = body.part_lengths(manifest.header.length)
        noted = tuple(digests.content_md5(_pieces(file, length, stop)) for length in lengths)
    durable.write(folder.part_md5, "\n".join(noted).encode())
    return noted


def _pieces(file: BinaryIO, length: int, stop: threading.Event) -> Iterator[bytes]:
    while length:
        if stop.is_set():
            raise Stopped
        piece = file.read(min(body.SEALED_SEGMENT, length))
        if not piece:
            raise OSError("the ciphertext is shorter than its manifest claims")
        length -= len(piece)
        yield piece


def _sealed_sums(file_key: bytes, header: Header, sums: bytes, assignment: Assignment) -> bytes:
    return seal_sums(file_key, header, sums, longest_sums(assignment.metrics))


async def send(puts: tuple[Put, ...], store: Store, folder: TaskFolder) -> None:
    """Put the parts of the ciphertext that are not sent yet into the store, by grants that fit it, some at once. Raises
    StoreError.

    If the store already has a part, an earlier run has stored it from the same ciphertext, and whole: each grant is for
    the MD5 of its part.
    """
    sent = await beside(folder.sent_parts)
    offsets = accumulate((put.bytes for put in puts), initial=0)

    async def send_part(number: int, put: Put, offset: int) -> None:
        await store.put_file(put.url, put.headers, folder.ciphertext, offset, put.bytes)
        await beside(folder.note_sent, number)

    missing = (each for each in zip(count(), puts, offsets, strict=False) if each[0] not in sent)
    await run_all((partial(send_part, *each) for each in missing), PARTS)
