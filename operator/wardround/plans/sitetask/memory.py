"""Decides how long a finished task stays at the site, which rounds may still go on here, and from what. Pure.

The SiteTasks that were accepted are the memory against replay. One that has ended goes only when the site has accepted
so many newer assignments that it would not take this one again without its SiteTask (`assignment.overtaken`). The
newest that have ended stay with their Jobs, for the logs. Together these are fewer than a site may hold.

The memory knows no pin. An accepted task was signed by the hub that was pinned then, and its SiteTask names that key.
The assignments of all hubs stand in one order of issue. So a pin that is changed by mistake deletes nothing, and what
another hub has signed goes as the present hub's tasks follow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import lru_cache

from wardround.api import conditions
from wardround.api.sitetask import SiteTask
from wardround.api.times import parse_time
from wardround.plans.assignment import Issue, is_pinned, issue, open_signed, overtaken
from wardround.plans.sitetask.state import is_accepted, is_final
from wardround.sealing.refused import Refused
from wardround.wire.assignment import Assignment

KEPT = 64
# Each may weigh a megabyte in the hospital's etcd, and the hub decides how many there are. More than REMEMBERED and
# KEPT together: else tasks that have ended would leave no room, if the newest need no memory.
MOST = 256
FULL = (
    f"this site holds {MOST} SiteTasks, the limit, and takes no new task. It takes more when some of them end; see "
    "`kubectl get sitetasks`"
)


def dispensable(tasks: Iterable[SiteTask]) -> list[str]:
    """Names of the surplus that nobody can have the site do again by sending its assignment once more."""
    tasks = tuple(tasks)
    accepted = issues(tasks)
    return [task.metadata.name for task in surplus(tasks) if may_be_forgotten(task, accepted)]


def may_be_forgotten(task: SiteTask, accepted: Collection[Issue]) -> bool:
    """Whether the site would not take this finished task again. `accepted`: what it remembers."""
    if not is_accepted(task):
        return True  # the site has not done it
    opened = _signed(task.spec.assignment, task.spec.hub_key)
    # An accepted one that its own key does not open was accepted by another version of this code. This version refuses
    # it under any pin.
    return opened is None or overtaken(opened, accepted)


def issues(tasks: Iterable[SiteTask]) -> list[Issue]:
    """The places in the order of issue of the assignments that were accepted, under whichever pin."""
    opened = (_signed(each.spec.assignment, each.spec.hub_key) for each in tasks if is_accepted(each))
    return [issue(each) for each in opened if each]


def seconds_left(task: SiteTask, hub_fingerprint: str, now: datetime) -> float:
    """Until the assignment expires, from when on no other attempt follows it."""
    opened = _opened(task, hub_fingerprint)
    return (parse_time(opened.expires) - now).total_seconds() if opened else 0.0


def surplus(tasks: Iterable[SiteTask]) -> list[SiteTask]:
    """The finished tasks but for the newest `KEPT`."""
    finished = [task for task in tasks if is_final(task)]
    finished.sort(key=lambda task: (task.metadata.creation_timestamp, task.metadata.name), reverse=True)
    return finished[KEPT:]


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
    opened = _signed(task.spec.assignment, task.spec.hub_key)
    return opened if opened is not None and is_pinned(task.spec.hub_key, hub_fingerprint) else None


@lru_cache(maxsize=MOST)
def _signed(envelope: str, hub_key: str) -> Assignment | None:
    """None of what the key does not open. Each task is opened once, not for each look at another one."""
    try:
        return open_signed(envelope, hub_key)
    except Refused:
        return None
