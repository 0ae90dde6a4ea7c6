"""Brings a model of a task into the workspace: verified, opened and whole under its name, or not there at all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from wardround.courier.turn import Turn
from wardround.courier.workspace import TaskFolder
from wardround.parallel import run_all
from wardround.plans.courier.turns import is_too_slow
from wardround.plans.courier.types import Fetch
from wardround.ports import Store
from wardround.sealing.body import Body, part_lengths
from wardround.sealing.keys import DecryptionKey, VerificationKey
from wardround.sealing.manifests import open_model
from wardround.sealing.opener import FileOpener
from wardround.sealing.refused import Refused
from wardround.sealing.wrap import base_context, unwrap
from wardround.store.errors import SHORT, TOO_SLOW, StoreError
from wardround.threads import beside
from wardround.wire.models import Get, ModelManifest

# Parts that are fetched at once. Each needs 2 MiB of memory.
PARTS = 2


async def fetch(
    order: Fetch,
    *,
    hub_key: VerificationKey,
    key: DecryptionKey,
    store: Store,
    turn: Turn,
    folder: TaskFolder,
) -> None:
    """Fetch and open one model, in turns with other tasks. Raises Refused, StoreError, OSError.

    All participants hold the model's data key, so the digest that the hub has signed is what makes it the hub's model
    (FileOpener).
    """
    grant = order.grant
    manifest, body = _open(order, hub_key, key)
    lengths = part_lengths(manifest.header.length)
    if len(grant.parts) != len(lengths):
        raise StoreError(SHORT)
    target = folder.root / order.input.path
    await beside(partial(target.parent.mkdir, parents=True, exist_ok=True))
    opener = await beside(partial(FileOpener, target, body, manifest.digest, resumable=True))
    keep = True
    try:
        while not opener.whole:
            before = opener.opened
            finished = await turn.some(partial(_go_on, opener, grant, lengths, store))
            if is_too_slow(finished=finished, before=before, after=opener.opened):
                raise StoreError(TOO_SLOW)
        await beside(opener.finish)
    except Refused:
        keep = False
        raise
    finally:
        await beside(partial(opener.close, keep=keep))


async def _go_on(opener: FileOpener, grant: Get, lengths: Sequence[int], store: Store) -> None:
    """Fetch the missing parts, some at once. A fetch that is cancelled keeps the whole segments that came."""
    await run_all((partial(_fetch_part, opener, number, grant, lengths, store) for number in opener.missing), PARTS)


async def _fetch_part(opener: FileOpener, number: int, grant: Get, lengths: Sequence[int], store: Store) -> None:
    part = opener.part(number)

    async def take(chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            rest = rest[part.fill(rest) :]
            if part.full:
                await beside(part.open)

    await store.get(grant.parts[number], lengths[number] - part.offset, take, offset=part.offset)


def _open(order: Fetch, hub_key: VerificationKey, key: DecryptionKey) -> tuple[ModelManifest, Body]:
    assignment, wanted = order.assignment, order.input
    manifest = open_model(wanted.manifest, hub_key)
    context = base_context(assignment.round_uid, assignment.attempt, assignment.participant, manifest.digest)
    return manifest, Body(unwrap(wanted.wrapped_key, key, context), manifest.header)
