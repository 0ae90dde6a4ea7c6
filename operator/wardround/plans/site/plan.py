"""Decides what a look at the Site does, and in which order; does no I/O."""

from __future__ import annotations

from datetime import datetime

from wardround.plans.site.report import report
from wardround.plans.site.status import status
from wardround.plans.site.types import (
    AtHub,
    Observation,
    Plan,
    Publish,
    RenewToken,
    Resume,
    TokenLife,
    WakeTasks,
    WriteStatus,
)
from wardround.plans.sitetask.held import under_way

CONNECTED_SECONDS = 300.0
# While the hub does not answer. This look asks the hub only once the heartbeat has reached it again.
DISCONNECTED_SECONDS = 5.0


def plan(seen: Observation) -> Plan:
    """What to do at this look."""
    return Plan(
        actions=(*_policy_changed(seen), *_at_hub(seen), WriteStatus(status=status(seen))),
        requeue_after=CONNECTED_SECONDS if seen.hub_reached else DISCONNECTED_SECONDS,
    )


def renewal_due(token: TokenLife | None, now: datetime) -> bool:
    """Whether half of a token's life is over. A token without a stated life (not a JWT) is left alone."""
    return token is not None and now >= token.issued + (token.expires - token.issued) / 2


def _policy_changed(seen: Observation) -> tuple[WakeTasks, ...]:
    """The hospital's policy and the number of concurrent tasks are those of the Site. Ended tasks need neither."""
    if seen.seen_generation in (None, seen.site.metadata.generation):
        return ()
    return (WakeTasks(names=under_way(seen.held)),)


def _at_hub(seen: Observation) -> tuple[AtHub, ...]:
    """Nothing while the hub does not answer."""
    if not seen.hub_reached:
        return ()
    renewal = (RenewToken(),) if renewal_due(seen.token, seen.now) else ()
    publication = (Publish(report=report(seen.site, seen.datasets)),) if seen.participant else ()
    return (*renewal, *publication, *_resume(seen))


def _resume(seen: Observation) -> tuple[Resume, ...]:
    """Oldest first: the site refuses a task that the hub issued before too many others that the site took."""
    if seen.open_tasks is None:
        return ()
    oldest_first = tuple(each.name for each in sorted(seen.open_tasks, key=lambda task: (task.created, task.name)))
    ended = tuple(task.name for task in seen.held if task.final)
    return (Resume(wake=WakeTasks(names=(*oldest_first, *under_way(seen.held)), behind=ended)),)
