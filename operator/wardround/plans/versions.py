"""Decides which versions of assignments a site accepts, and which one the hub writes for it. Pure."""

from __future__ import annotations

from typing import Any

from wardround.api.federatedround import FederatedRound
from wardround.api.participant import Participant
from wardround.wire.assignment import COMPRESSION_SINCE
from wardround.wire.compression import NONE, Compression
from wardround.wire.versions import KNOWN, LATEST

# As the CRD bounds what a site publishes.
MOST_PUBLISHED, LARGEST = 16, 1_000_000
SITE_TOO_OLD, HUB_TOO_OLD = "SiteTooOld", "HubTooOld"


def accepted(lowest: int) -> tuple[int, ...]:
    """What a site publishes: the versions that it knows, from its policy's lowest on."""
    return tuple(version for version in KNOWN if version >= lowest)


def published(value: Any) -> frozenset[int]:
    """The versions that a site has published. If one entry of the list is not a version, the whole list is ignored."""
    if not isinstance(value, list | tuple) or len(value) > MOST_PUBLISHED:
        return frozenset()
    if not all(isinstance(each, int) and not isinstance(each, bool) and 1 <= each <= LARGEST for each in value):
        return frozenset()
    return frozenset(value)


def common(participant: Participant) -> int:
    """The highest version that hub and site both know; 0 if there is none."""
    return max(_published(participant) & set(KNOWN), default=0)


def none_in_common(participant: Participant) -> str | None:
    """Why the hub can write no assignment for this site, or None. The side that is older has to be upgraded."""
    if common(participant):
        return None
    return HUB_TOO_OLD if max(_published(participant), default=0) > LATEST else SITE_TOO_OLD


def too_old_for(participant: Participant, federated_round: FederatedRound, delivered: Compression = NONE) -> str | None:
    """Why the hub can write no assignment of this round for this site, or None. A version without compression would
    let the site send something else. `delivered`: the compression on the card that a Deliver round brings. A site that
    knows none cannot read this card."""
    spec = federated_round.spec
    compression = delivered if spec.task == "Deliver" else spec.aggregation.compression
    return older_than(participant, needed_for(compression))


def needed_for(compression: Compression) -> int:
    """The lowest version whose sites know this compression."""
    return KNOWN[0] if compression == NONE else COMPRESSION_SINCE


def older_than(participant: Participant, needed: int) -> str | None:
    """Why the hub can write no assignment of this version or a later one for this site, or None."""
    if reason := none_in_common(participant):
        return reason
    return SITE_TOO_OLD if common(participant) < needed else None


def _published(participant: Participant) -> frozenset[int]:
    site = participant.status.site
    return published(site.assignment_versions if site else None)
