"""Keeps the RoundTasks of rounds that are not over, as a watch shows them. What it answers may be some seconds old.

It uses the client's own watch, not Kopf: docs/changing.md says why there are two ways to watch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from wardround.api import names, roundtask
from wardround.api.meta import Meta
from wardround.api.roundtask import RoundTask
from wardround.clock import Draw
from wardround.kube.errors import ApiError
from wardround.kube.index import NamespacedName, place_of, version_of
from wardround.kube.retries import Retries
from wardround.ports import Api, Object, OnObject
from wardround.wire.codec import Malformed

# A model looks at its delivery at about the time at which the hub operator forgets the tasks.
MOST_FORGOTTEN = 64

logger = logging.getLogger(__name__)


@dataclass
class KeptTasks:
    """The tasks of one round. `deleted`: the versions at which tasks were deleted, for answers that arrive later than
    the event. `complete`: not before all are listed. `signed`: the task whose assignment is kept, see `hub/rosters.py`.
    Assignments of large rounds are long, and what plans read is equal in all of them. `lost`: this task was deleted,
    and so the assignment of another one counts, which is not kept."""

    uid: str
    tasks: dict[NamespacedName, RoundTask] = field(default_factory=dict)
    deleted: dict[NamespacedName, int] = field(default_factory=dict)
    complete: bool = False
    signed: NamespacedName | None = None
    lost: bool = False

    def put(self, item: Object) -> None:
        """Takes a task, unless a newer state of it is known. Raises Malformed."""
        place, fresh = place_of(item), parse(item)
        known = self.tasks.get(place)
        newest = version_of(known.metadata) if known else self.deleted.get(place, -1)
        if newest < version_of(fresh.metadata):
            self._keep(place, fresh)

    def drop(self, item: Object) -> None:
        """Takes a deletion."""
        place, version = place_of(item), int(item["metadata"]["resourceVersion"])
        known = self.tasks.get(place)
        if known and version_of(known.metadata) <= version:
            self._remove(place)
        self.deleted[place] = version

    def confirm(self, place: NamespacedName, known: RoundTask | None, item: Object | None) -> None:
        """Takes the answer to a question that was asked when `known` was known. Versions decide only if an event came
        meanwhile: they begin anew when people restore the API server from a backup. Raises Malformed."""
        current = self.tasks.get(place)
        if item is None or label_of(item) != self.uid:
            self._remove(place)
        elif current is known:
            self._keep(place, parse(item))
        elif current is not None:
            self.put(item)

    def sorted(self) -> tuple[RoundTask, ...]:
        """In the order of an API server's list."""
        return tuple(task for _, task in sorted(self.tasks.items()))

    def _keep(self, place: NamespacedName, fresh: RoundTask) -> None:
        holder = self.tasks.get(self.signed) if self.signed else None
        if self.signed in (None, place) or holder is None:
            self.signed = place
        elif signs_before(place, fresh, self.signed, holder):
            self.tasks[self.signed] = _without_assignment(holder)
            self.signed = place
        else:
            fresh = _without_assignment(fresh)
        self.tasks[place] = fresh

    def _remove(self, place: NamespacedName) -> None:
        self.tasks.pop(place, None)
        if place == self.signed:
            # The others are listed again, because one of them has the assignment now.
            self.signed, self.complete, self.lost = None, False, True


class RoundTasks:
    """Knows the tasks of a round from the first look at the round until the round is over or gone.

    A watch that begins with a list may have missed deletions. Then nothing is known any more, and the next look at each
    round lists its tasks.
    """

    def __init__(self, client: Api, draw: Draw) -> None:
        self._client = client
        self._draw = draw
        self._kept: dict[NamespacedName, KeptTasks] = {}
        # Of the rounds that ended last, by UID: the hospitals.
        self._asked: dict[str, frozenset[str]] = {}
        self._follows = False
        self._ready = False

    @property
    def missing(self) -> str:
        """What readiness still waits for: the first list."""
        return "" if self._ready else f"the first list of {roundtask.KIND} at {self._client.server}"

    def known(self, federated_round: Meta) -> tuple[RoundTask, ...] | None:
        """The round's tasks without a request; None if they have to be listed."""
        kept = self._kept.get(_place(federated_round))
        return kept.sorted() if kept and kept.uid == federated_round.uid and kept.complete else None

    async def read(self, federated_round: Meta) -> tuple[RoundTask, ...]:
        """Asks the API server for the round's tasks. Raises ApiError, Malformed."""
        return await self._list(KeptTasks(federated_round.uid))

    def begin(self, federated_round: Meta) -> tuple[RoundTask, ...]:
        """Knows from now on the tasks of a round that has none yet. Asks nobody."""
        if self._follows:
            self._kept[_place(federated_round)] = KeptTasks(federated_round.uid, complete=True)
        return ()

    async def recall(self, federated_round: Meta) -> tuple[RoundTask, ...]:
        """The round's tasks from memory, some seconds old. Asks the API server if memory has none. Raises ApiError,
        Malformed."""
        return self.known(federated_round) or await self.read(federated_round)

    async def follow(self, federated_round: Meta) -> tuple[RoundTask, ...]:
        """Asks the API server for the round's tasks, and knows them from then on. Raises ApiError, Malformed."""
        if not self._follows:
            return await self.read(federated_round)
        # Events may arrive before the list that was asked for earlier. Versions decide which of them is newer.
        place = _place(federated_round)
        while True:
            self._kept[place] = kept = KeptTasks(federated_round.uid)
            try:
                listed = await self._list(kept)
            except BaseException:
                self.forget(place)
                raise
            if not kept.lost:
                return listed

    async def _list(self, kept: KeptTasks) -> tuple[RoundTask, ...]:
        async for item in self._client.each(roundtask.KIND, everywhere=True, labels=f"{names.ROUND_UID}={kept.uid}"):
            kept.put(item)
        kept.complete = not kept.lost
        return kept.sorted()

    async def refresh(self, federated_round: Meta, place: NamespacedName) -> None:
        """Asks the API server for one task of a round whose tasks are known. Raises ApiError, Malformed."""
        kept = self._kept.get(_place(federated_round))
        if kept is None or kept.uid != federated_round.uid:
            return
        known = kept.tasks.get(place)
        kept.confirm(place, known, await self._client.get_if_exists(roundtask.KIND, place.name, place.namespace))

    def put(self, item: Object) -> None:
        """Takes a task that the API server has just answered, unless a newer state of it is known."""
        self._take("MODIFIED", item)

    def forget(self, federated_round: NamespacedName) -> None:
        """Nobody asks for these tasks any more."""
        self._kept.pop(federated_round, None)

    def end(self, federated_round: Meta) -> None:
        """The round is over. Its tasks are forgotten, but not yet whom it has asked."""
        if hospitals := _hospitals(self.known(federated_round) or ()):
            self._asked[federated_round.uid] = hospitals
            if len(self._asked) > MOST_FORGOTTEN:
                del self._asked[next(iter(self._asked))]
        self.forget(_place(federated_round))

    def gone(self, uid: str) -> None:
        """The round is deleted. Nobody asks any more whom it has asked."""
        self._asked.pop(uid, None)

    def asked(self, federated_round: Meta) -> frozenset[str]:
        """The hospitals that have a task of the round, also for a while after its end. Empty if memory has none."""
        return _hospitals(self.known(federated_round) or ()) or self._asked.get(federated_round.uid, frozenset())

    async def run(self, on_object: OnObject) -> None:
        """Runs without end. Calls `on_object` for each RoundTask that is listed or changes, as a watch does."""
        retries = Retries(self._draw)
        while True:
            try:
                async for event, item in self._client.watch(roundtask.KIND, everywhere=True):
                    retries.succeeded()
                    if event == "LISTING":
                        self._forget_all()
                    elif event == "LISTED":
                        self._follows = self._ready = True
                    else:
                        self._take(event, item)
                        on_object(roundtask.KIND, item)
            except ApiError as failure:
                self._forget_all()
                await retries.wait(failure)

    def _forget_all(self) -> None:
        self._follows = False
        self._kept.clear()

    def _take(self, event: str, item: Object) -> None:
        reference = item["spec"]["roundRef"]
        place = NamespacedName(reference["namespace"], reference["name"])
        kept = self._kept.get(place)
        if kept is None or label_of(item) != kept.uid:
            return
        try:
            (kept.drop if event == "DELETED" else kept.put)(item)
        except Malformed as fault:
            # The next look at the round lists its tasks, and fails for this one. Other rounds go on.
            logger.warning("RoundTask %s of %s: %s", item["metadata"]["name"], item["metadata"]["namespace"], fault)
            self.forget(place)


def parse(item: Object) -> RoundTask:
    """A task without its grants: no plan reads them, and those of a large model have thousands of URLs."""
    task = roundtask.parse(item)
    return replace(task, spec=replace(task.spec, grants=None))


def label_of(item: Object) -> str | None:
    """UID of the round that a task is selected by."""
    uid: str | None = item["metadata"].get("labels", {}).get(names.ROUND_UID)
    return uid


def signs_before(place: NamespacedName, task: RoundTask, other_place: NamespacedName, other: RoundTask) -> bool:
    """Whether the assignment of `task` is the one to read: of the newest first attempt."""
    newer = [(each.spec.attempt == 1, each.metadata.creation_timestamp) for each in (task, other)]
    return newer[0] > newer[1] or (newer[0] == newer[1] and place < other_place)


def _hospitals(tasks: Iterable[RoundTask]) -> frozenset[str]:
    return frozenset(each.metadata.namespace for each in tasks)


def _without_assignment(task: RoundTask) -> RoundTask:
    return replace(task, spec=replace(task.spec, assignment=""))


def _place(federated_round: Meta) -> NamespacedName:
    return NamespacedName(federated_round.namespace, federated_round.name)
