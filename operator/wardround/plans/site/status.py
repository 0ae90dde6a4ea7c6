"""Decides the status of the Site: whether it is ready for tasks. Compares facts, reads no clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from wardround.api import conditions
from wardround.api.site import SiteStatus
from wardround.plans import versions
from wardround.plans.site.types import Observation
from wardround.plans.sitetask import memory
from wardround.reasons.registry import REASONS

VERSIONS_DIFFER = (versions.SITE_TOO_OLD, versions.HUB_TOO_OLD)


def status(seen: Observation) -> SiteStatus:
    """The Site's status; `courier` is left as it is."""
    if seen.link.state == "Connecting" and conditions.find(seen.site.status.conditions, "HubConnected") is not None:
        return seen.site.status  # a restart is no news: what holds now is known in a moment
    generation = seen.site.metadata.generation
    after = conditions.set_condition(
        seen.site.status.conditions,
        "HubConnected",
        seen.link.state == "Connected",
        seen.link.state,
        seen.link.message,
        now=seen.now,
        generation=generation,
    )
    approved = Ruling("Approved", "The site is connected to the hub, and the hub trusts its keys.")
    reason, message, stalled = next((ruling for rule in RULES if (ruling := rule(seen))), approved)
    ready = reason == "Approved"
    after = conditions.set_condition(after, "Ready", ready, reason, message, now=seen.now, generation=generation)
    if ready:
        after = conditions.settled(after, reason, now=seen.now, generation=generation)
    elif stalled:
        after = conditions.stalled(after, reason, message, now=seen.now, generation=generation)
    else:
        after = conditions.progressing(after, reason, message, now=seen.now, generation=generation)
    return dataclasses.replace(seen.site.status, observed_generation=generation, conditions=after)


class Ruling(NamedTuple):
    """Reason and message of the condition Ready. `stalled`: this does not heal by waiting, because a person has to
    act."""

    reason: str
    message: str
    stalled: bool = False


def _not_enrolled(seen: Observation) -> Ruling | None:
    return Ruling(seen.link.state, seen.link.message, stalled=True) if seen.link.shut_out else None


def _no_keys(seen: Observation) -> Ruling | None:
    if seen.site.status.courier is not None and seen.site.status.courier.keys is not None:
        return None
    log = f"kubectl logs deployment/courier -n {seen.site.metadata.namespace}"
    return Ruling("NoKeys", f"The courier has not published this site's keys yet. Read the courier's log: {log}")


def _not_connected(seen: Observation) -> Ruling | None:
    return None if seen.link.state == "Connected" else Ruling(seen.link.state, seen.link.message)


def _unknown(seen: Observation) -> Ruling | None:
    if seen.participant is not None:
        return None
    name = seen.site.spec.hub.participant_namespace
    return Ruling(
        "ParticipantUnknown",
        f"The hub has no Participant {name} for this site. Ask the hub's administrator to run `kubectl wardround "
        f"enrol {name} --apply`.",
        stalled=True,
    )


def _not_pinned(seen: Observation) -> Ruling | None:
    """Only to say it before a task is refused for it: what is pinned comes over another channel."""
    published = seen.participant.status.hub_fingerprint if seen.participant else None
    if published is None or published == seen.site.spec.hub.fingerprint:
        return None
    return Ruling(
        "HubNotPinned",
        "The hub says that it signs with another key than the one in spec.hub.fingerprint, so this site refuses its "
        f"tasks. {REASONS['HubNotPinned'].advice}",
        stalled=True,
    )


def _suspended(seen: Observation) -> Ruling | None:
    if seen.participant is None or not seen.participant.spec.suspend:
        return None
    message = REASONS["ParticipantSuspended"].about(seen.participant.metadata.name).text
    return Ruling("Suspended", message, stalled=True)


def _full(seen: Observation) -> Ruling | None:
    return Ruling("TooManyTasks", memory.FULL) if memory.is_full(len(seen.held)) else None


def _not_approved(seen: Observation) -> Ruling | None:
    if seen.participant is None:
        return None
    pinned = seen.participant.spec.key_fingerprint
    identity = seen.site.status.courier
    own = (identity.fingerprint if identity else None) or ""
    if not pinned:
        return Ruling(
            "NotApproved",
            "The hub does not trust this site's keys yet. Read their fingerprint to the hub's administrator by "
            f"telephone: {own}.",
        )
    if pinned != own:
        return Ruling(
            "FingerprintMismatch",
            f"The hub trusts other keys than this site's: it has pinned the fingerprint {pinned}, and this site's "
            f"keys have {own}. If this hospital has renewed its keys, read the new fingerprint to the hub's "
            "administrator by telephone. If it has not, ask the hub's administrator who changed the pinned "
            "fingerprint.",
            stalled=True,
        )
    return None


def _no_common_version(seen: Observation) -> Ruling | None:
    """What the hub says in the Participant: this site does not know which versions the hub writes."""
    ready = conditions.find(seen.participant.status.conditions, "Ready") if seen.participant else None
    if seen.participant is None or ready is None or ready.reason not in VERSIONS_DIFFER:
        return None
    return Ruling(ready.reason, REASONS[ready.reason].about(seen.participant.metadata.name).text, stalled=True)


RULES: tuple[Callable[[Observation], Ruling | None], ...] = (
    _not_enrolled,
    _no_keys,
    _not_connected,
    _unknown,
    _not_pinned,
    _suspended,
    _not_approved,
    _no_common_version,
    _full,
)
