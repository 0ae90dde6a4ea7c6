"""The pages of a list of updates that grows while its round collects, and what identifies an update there.

Shapes: docs/contracts.md, section 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from wardround.wire import canonical, codec, digests
from wardround.wire.aggregation import PlannedUpdate


@dataclass(frozen=True)
class ClosedList:
    """What the last page says. `counted`: the identities of the updates that are combined. `max_samples`: by
    participant, as of the plan."""

    counted: tuple[str, ...]
    max_samples: Mapping[str, int]


@dataclass(frozen=True)
class CollectedPage:
    """A page. `updates`: some that no earlier page has; after a restart of the hub operator also some that one has.
    `next`: the URL of the next page. `closed`: only on the last page."""

    updates: tuple[PlannedUpdate, ...]
    next: str
    closed: ClosedList | None = None


def identity(participant: str, attempt: int, manifest: str, signing_key: bytes) -> str:
    """The digest of all that decides whether an update is the same: another manifest or key makes another update."""
    return digests.digest(canonical.dumps([participant, attempt, manifest, canonical.encode(signing_key)]))


def identity_of(update: PlannedUpdate) -> str:
    """See `identity`."""
    return identity(update.participant, update.attempt, update.manifest, update.signing_key)


def closed_digest(closed: ClosedList) -> str:
    """The digest of what the last page says. The order of the updates does not matter."""
    return digests.digest(codec.write_document(replace(closed, counted=tuple(sorted(closed.counted)))))


def page_name(location: str, number: int) -> str:
    """The name of a page in the store. It contains the UID of the round and the number of the aggregation."""
    return f"{location}/page-{number:05d}"
