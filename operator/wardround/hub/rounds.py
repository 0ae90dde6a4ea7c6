"""The controller of FederatedRounds: observe, plan, execute, one status write if it changed."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wardround.api import dataschema, federatedmodel, federatedround
from wardround.api.conditions import Conditions
from wardround.api.federatedround import FederatedRound, FederatedRoundStatus
from wardround.api.meta import controller
from wardround.api.times import sooner
from wardround.clock import Draw
from wardround.hub.context import Context
from wardround.hub.execute import Execution, Interrupted
from wardround.hub.leftovers import delete_leftovers, find_gone_rounds, round_of
from wardround.hub.look import Look, look
from wardround.hub.observe import get_round
from wardround.hub.refusals import ASK_AGAIN
from wardround.hub.results import ResultController
from wardround.kube.controller import Key, Source, Wake
from wardround.kube.errors import ApiError
from wardround.kube.index import NamespacedName
from wardround.kube.own_writes import OwnWrites
from wardround.kube.queue import WorkQueue
from wardround.kube.retries import Retries
from wardround.plans.events import headline
from wardround.plans.round.next_look import requeue_after_write
from wardround.plans.round.status import begins_later, interrupted, is_cleaned_up, is_over, refused
from wardround.plans.round.types import Dispatch, EarlyRefusal, Refusal
from wardround.ports import Object
from wardround.store.errors import StoreError

# Deletions that a watch has missed are noticed by what they left, this often.
LEFTOVERS_SECONDS = 3600
# What sites have put for rounds that are gone is deleted so long after their grants have expired, at the latest.
LATE_PUTS_SECONDS = 60
logger = logging.getLogger(__name__)


class _NextLook(NamedTuple):
    """When a step wants the next look at a round. `failure`: the queue looks again after its own wait."""

    requeue_after: float | None = None
    failure: Exception | None = None


class ActiveRound(NamedTuple):
    """A round that is not over. `sources`: names of the rounds whose results it needs."""

    uid: str
    sources: frozenset[str]


class RoundController:
    """`active`: the rounds that are not over. The controller looks at them again when a participant, or a round whose
    result they need, changes."""

    kind = federatedround.KIND
    # The events of RoundTasks come from the watch of `Context.tasks`: `run`.
    sources: Mapping[str, Source] = {
        federatedround.KIND: Source.EVERYWHERE,
        dataschema.KIND: Source.EVERYWHERE,
        "Pod": Source.OWN,
        "Job": Source.OWN,
    }

    def __init__(self, hub: Context, queue: WorkQueue[Key], *, results: ResultController, draw: Draw) -> None:
        self.hub = hub
        self.queue = queue
        self._results = results
        self.active: dict[Key, ActiveRound] = {}
        # UIDs of rounds that are over. By them the controller notices that another round has such a name.
        self._over: dict[Key, str] = {}
        self._draw = draw
        self._own_writes = OwnWrites(queue.add)

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        if kind == self.kind:
            meta = item["metadata"]
            key = Key(kind, meta["namespace"], meta["name"])
            if "deletionTimestamp" in meta:
                self._gone(key, meta["uid"])
            return () if self._own_writes.shown_by(key, item) else (Wake(key),)
        if kind == dataschema.KIND:
            return tuple(Wake(key) for key in self.active if key.namespace == item["metadata"]["namespace"])
        made_for = round_of({"kind": kind, **item})
        return (Wake(Key(self.kind, *made_for)),) if made_for else ()

    def wake_active(self) -> None:
        """A Participant has changed."""
        for key in self.active:
            self.queue.add(key)

    async def run(self) -> None:
        """Runs without end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.hub.tasks.run(self._changed))
            group.create_task(self._find_leftovers())
            group.create_task(self._delete_late_puts())

    def _changed(self, kind: str, item: Object) -> None:
        for wake in self.keys(kind, item):
            self.queue.add(wake.key)

    async def _find_leftovers(self) -> None:
        """Runs without end. It finds rounds that were deleted while no operator watched, by the objects that they
        left."""
        retries = Retries(self._draw)
        while True:
            try:
                places = await find_gone_rounds(self.hub)
            except ApiError as failure:
                await retries.wait(failure)
            else:
                retries.succeeded()
                self.hub.gone.complete()
                self._notice_gone(places)
                await asyncio.sleep(LEFTOVERS_SECONDS)

    async def _delete_late_puts(self) -> None:
        """Runs without end. It looks once more at rounds that are gone, after the grants of their sites have expired. A
        timer of the queue for each such round would take more memory than all that `hub.gone` keeps of them."""
        while True:
            await asyncio.sleep(LATE_PUTS_SECONDS)
            for place in self.hub.gone.take_due(self.hub.clock()):
                self.queue.add(Key(self.kind, *place))

    async def reconcile(self, key: Key) -> float | None:
        live = await get_round(self.hub.client, key.namespace, key.name)
        if live is None:
            await self._forget(key)
            return None
        observed, federated_round = live
        # Before the round looks at others: one of them may change meanwhile.
        self._follow(key, federated_round)
        failed_leftovers = await self._leftovers_of_others(key, federated_round)
        looked = await look(self.hub, federated_round)
        self._notice_gone(self.hub.gone.take_unnoticed())
        status, after_plan = await self._carry_out(looked)
        requeue_after = await self._write(key, observed, looked, status)
        if failure := after_plan.failure or failed_leftovers:
            raise failure
        return sooner(requeue_after, after_plan.requeue_after)

    async def _forget(self, key: Key) -> None:
        """The round is gone."""
        if uid := self._known_uid(key):
            self._gone(key, uid)
        self._own_writes.forget(key)
        self.hub.tasks.forget(_place(key))
        await self._delete_leftovers(key, None)

    def _gone(self, key: Key, uid: str) -> None:
        """A round was deleted, and may have left something."""
        self._end(key)
        self._over.pop(key, None)
        self.hub.tasks.gone(uid)
        self.hub.gone.add(_place(key), uid)
        self._wake_for_gone(key)

    def _end(self, key: Key) -> None:
        """The round is over or gone, and so it looks for the results of no other round any more."""
        ended = self.active.pop(key, None)
        for name in ended.sources if ended else ():
            self.hub.gone.search_again(NamespacedName(key.namespace, name))

    def _known_uid(self, key: Key) -> str:
        """UID of the round that had this name at the last look; empty if none had."""
        active = self.active.get(key)
        return active.uid if active else self._over.get(key, "")

    def _wake_for_gone(self, key: Key) -> None:
        """Others may start from the result of a round that is gone. If nobody does, the result goes."""
        self.stir(key)
        self._results.wake(key.namespace, key.name)

    def _notice_gone(self, places: Iterable[NamespacedName]) -> None:
        """Rounds of these names are gone without an event."""
        for key in (Key(self.kind, *place) for place in places):
            self._wake_for_gone(key)
            self.queue.add(key)

    def _follow(self, key: Key, federated_round: FederatedRound) -> None:
        """Until the round is over, changes of others wake it."""
        uid, before = federated_round.metadata.uid, self._known_uid(key)
        if before and before != uid:
            self._gone(key, before)
        self.hub.gone.search_again(_place(key))
        if is_over(federated_round):
            self._end(key)
            self._over[key] = uid
        else:
            self.active[key] = ActiveRound(uid, frozenset(federatedround.source_names(federated_round)))

    async def _leftovers_of_others(self, key: Key, federated_round: FederatedRound) -> StoreError | None:
        """Deletes what is left of other rounds of this name. A store that fails does not hold this round."""
        try:
            await self._delete_leftovers(key, federated_round.metadata.uid)
        except StoreError as failure:
            return failure
        return None

    async def _carry_out(self, looked: Look) -> tuple[FederatedRoundStatus, _NextLook]:
        """Carries out the plan. Returns the status to write."""
        seen, plan = looked.seen, looked.plan
        execution = Execution(self.hub, seen, looked.made, looked.base, looked.references)
        try:
            untaken = await execution.run(plan.actions)
        except Interrupted as interrupt:
            return interrupted(seen, plan.status, interrupt.interruption), _NextLook(failure=interrupt)
        refusals = tuple(each for each in untaken if isinstance(each, Refusal))
        early = tuple(each for each in untaken if isinstance(each, EarlyRefusal))
        asked = sum(isinstance(each, Dispatch) for each in plan.actions)
        status = begins_later(seen, refused(seen, plan.status, asked, refusals), early)
        return status, _NextLook(ASK_AGAIN.total_seconds() if refusals else None)

    async def _write(self, key: Key, observed: Object, looked: Look, status: FederatedRoundStatus) -> float | None:
        """Returns `requeue_after` of the plan, or of the plan that the status as written gives."""
        seen, plan = looked.seen, looked.plan
        # Nobody watches each round of a series. Its timeline says when it took each step.
        by_hand = controller(seen.round.metadata, federatedmodel.KIND) is None
        writing = self.hub.reporter.write(observed, seen.round.status, status, steps=by_hand)
        # After an action, the event of the write makes the controller look at what the action has changed.
        looks_again = plan.actions and not is_cleaned_up(status)
        written = await (writing if looks_again else self._own_writes.write(key, writing))
        if written is None:
            return plan.requeue_after
        if not is_over(seen.round):
            self._tell(key, status.conditions)
        return plan.requeue_after if plan.actions else requeue_after_write(seen, federatedround.parse(written))

    def _tell(self, key: Key, conditions: Conditions) -> None:
        shown = headline(conditions)
        if shown:
            logger.info("round %s/%s: %s, %s", key.namespace, key.name, shown.type, shown.reason)
        if shown and shown.type in ("Complete", "Failed"):
            self.stir(key)

    def stir(self, key: Key) -> None:
        """Others may wait for this round to be over, or start from its result. Results may be kept for it."""
        for other, active in self.active.items():
            if other.namespace == key.namespace and key.name in active.sources:
                self.queue.add(other)
        self._results.wake_kept(key.namespace)

    async def _delete_leftovers(self, key: Key, live_uid: str | None) -> None:
        place, gone = _place(key), self.hub.gone
        left = gone.left(place, live_uid)
        try:
            until = await delete_leftovers(self.hub, place, live_uid)
        finally:
            # The round may have kept its result after the controller of results has looked for it.
            if left and gone.known_results(place):
                self._results.wake(key.namespace, key.name)
        if until:
            gone.wait(place, left, until)


def _place(key: Key) -> NamespacedName:
    return NamespacedName(key.namespace, key.name)
