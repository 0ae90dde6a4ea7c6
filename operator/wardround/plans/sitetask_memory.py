"""Decides how long a finished task stays at the site, which rounds may still go on here, and from what. Pure.

A finished task is the memory against replay until its assignment expires. After that it and its Job stay for the logs,
the newest so many.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from wardround.api import conditions
from wardround.api.sitetask import SiteTask
from wardround.api.times import parse_time
from wardround.plans.assignment import open_pinned
from wardround.plans.sitetask_types import is_final
from wardround.sealing.refused import Refused
from wardround.wire.assignment import Assignment

KEPT = 64
# Each may weigh a megabyte in the hospital's etcd, and the hub decides how many there are.
MOST = 256
FULL = (
    f"this site holds {MOST} SiteTasks, the limit, and takes no new task. A task that has ended stays until its "
    "assignment has expired (an hour after its round's totalSeconds), so that nobody can send it again. The site takes "
    "more tasks when some expire; rounds with a shorter totalSeconds expire sooner"
)


def seconds_left(task: SiteTask, hub_fingerprint: str, now: datetime) -> float:
    """Until the assignment expires, from when on it can neither be replayed nor be followed by another attempt."""
    opened = _opened(task, hub_fingerprint)
    return (parse_time(opened.expires) - now).total_seconds() if opened else 0.0


def surplus(tasks: Iterable[SiteTask]) -> list[str]:
    """Names of the finished tasks but for the newest `KEPT`."""
    finished = [task for task in tasks if is_final(task)]
    finished.sort(key=lambda task: (task.metadata.creation_timestamp, task.metadata.name), reverse=True)
    return [task.metadata.name for task in finished[KEPT:]]


def live_rounds(task: SiteTask, others: Iterable[SiteTask], hub_fingerprint: str, now: datetime) -> list[str]:
    """UIDs of the rounds whose checkpoints may be needed: of `task`, of what has not finished, and of what has failed
    and may be asked for again."""
    others = tuple(others)
    sent = {each.spec.round_ref.uid for each in others if conditions.is_true(each.status.conditions, "Complete")}
    going = {
        each.spec.round_ref.uid for each in others if not is_final(each) or seconds_left(each, hub_fingerprint, now) > 0
    }
    return sorted((going - sent) | {task.spec.round_ref.uid})


def live_states(task: SiteTask, others: Iterable[SiteTask], hub_fingerprint: str, rounds: Collection[str]) -> list[str]:
    """UIDs of the rounds whose states these live rounds go on from."""
    live = (each for each in (task, *others) if each.spec.round_ref.uid in rounds)
    opened = (_opened(each, hub_fingerprint) for each in live)
    return sorted({each.state_round for each in opened if each and each.state_round})


def _opened(task: SiteTask, hub_fingerprint: str) -> Assignment | None:
    """None of what the pinned hub has not signed."""
    try:
        return open_pinned(task.spec.assignment, task.spec.hub_key, hub_fingerprint)
    except Refused:
        return None
