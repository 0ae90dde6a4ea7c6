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

from wardround.plans.assignment import Issue, overtaken
from wardround.plans.sitetask.held import HeldTask, SignedAssignment

KEPT = 64
# A SiteTask may take a megabyte in the hospital's etcd, and the hub decides how many there are. MOST is larger
# than REMEMBERED and KEPT together. Otherwise tasks that have ended could leave no room for new tasks.
MOST = 256
FULL = (
    f"this site holds {MOST} SiteTasks, the limit. So it takes no new task until some of these SiteTasks end. To see "
    "them, run `kubectl get sitetasks`"
)


def is_full(count: int) -> bool:
    """Whether a site that holds so many SiteTasks takes no new one."""
    return count >= MOST


def dispensable(tasks: Iterable[HeldTask]) -> tuple[str, ...]:
    """Names of the surplus tasks that the site would refuse if the hub sent their assignments once more."""
    tasks = tuple(tasks)
    accepted = issues(tasks)
    return tuple(task.name for task in surplus(tasks) if may_be_forgotten(task, accepted))


def may_be_forgotten(task: HeldTask, accepted: Collection[Issue]) -> bool:
    """Whether the site would not take this finished task again. `accepted`: what it remembers."""
    if not task.accepted:
        return True  # the site has not done it
    # The site accepts no task that its own key does not open. If there is one, another version of this code accepted
    # it, and this version refuses it under any pin.
    return task.signed is None or overtaken(task.signed.issue, accepted)


def issues(tasks: Iterable[HeldTask]) -> list[Issue]:
    """The places in the order of issue of the assignments that were accepted, under whichever pin."""
    return [each.signed.issue for each in tasks if each.accepted and each.signed is not None]


def surplus(tasks: Iterable[HeldTask]) -> list[HeldTask]:
    """The finished tasks but for the newest `KEPT`."""
    finished = sorted((task for task in tasks if task.final), key=lambda task: task.age, reverse=True)
    return finished[KEPT:]


def live_rounds(task: HeldTask, others: Iterable[HeldTask], pin: str, now: datetime) -> tuple[str, ...]:
    """UIDs of the rounds whose checkpoints may be needed: of `task`, of what has not finished, and of what has failed
    and may be asked for again. `pin`: the hub's fingerprint."""
    others = tuple(others)
    sent = {each.round_uid for each in others if each.complete}
    going = {each.round_uid for each in others if not each.final or _may_be_tried_again(each, pin, now)}
    return tuple(sorted((going - sent) | {task.round_uid}))


def live_states(task: HeldTask, others: Iterable[HeldTask], pin: str, rounds: Collection[str]) -> tuple[str, ...]:
    """UIDs of the rounds whose states these live rounds go on from."""
    signed = [_of_the_pinned_hub(each, pin) for each in (task, *others) if each.round_uid in rounds]
    return tuple(sorted({state for each in signed if each is not None for state in each.state_rounds}))


def denials(tasks: Iterable[HeldTask], pin: str) -> dict[str, str]:
    """Names of the tasks that a person has denied, by what they ask for. `pin`: the hub's fingerprint."""
    known = ((each, _of_the_pinned_hub(each, pin)) for each in tasks if each.denied)
    return {signed.place: each.name for each, signed in known if signed is not None}


def _may_be_tried_again(task: HeldTask, pin: str, now: datetime) -> bool:
    """Whether another attempt may follow: until the assignment expires."""
    signed = _of_the_pinned_hub(task, pin)
    return signed is not None and signed.expires > now


def _of_the_pinned_hub(task: HeldTask, pin: str) -> SignedAssignment | None:
    return task.signed if task.signed is not None and task.signed.hub == pin else None
