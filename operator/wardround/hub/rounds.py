"""The controller of FederatedRounds: observe, plan, execute, one status write if it changed."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from wardround.api import dataschema, federatedround, names
from wardround.api.conditions import Conditions
from wardround.api.times import sooner
from wardround.clock import Draw
from wardround.hub.context import Context
from wardround.hub.execute import Execution, Interrupted
from wardround.hub.leftovers import delete_leftovers, made_for_rounds, round_of
from wardround.hub.look import look
from wardround.hub.observe import get_round
from wardround.hub.refusals import ASK_AGAIN
from wardround.hub.results import ResultController
from wardround.hub.vault import RoundKey
from wardround.kube.controller import Key, Source, Wake
from wardround.kube.errors import ApiError
from wardround.kube.index import NamespacedName
from wardround.kube.own_writes import OwnWrites
from wardround.kube.queue import WorkQueue
from wardround.kube.retries import Retries
from wardround.plans.events import headline
from wardround.plans.round.next_look import requeue_after_write
from wardround.plans.round.status import STARTED, begins_later, interrupted, is_over, refused
from wardround.plans.round.types import Dispatch, EarlyRefusal, Refusal
from wardround.ports import Object
from wardround.store.errors import StoreError

# Deletions that a watch has missed are noticed by what they left, this often.
LEFTOVERS_SECONDS = 3600
logger = logging.getLogger(__name__)


class RoundController:
    """`active`: the rounds that are not over, each with the names of the rounds whose results it needs. The controller
    looks at them again when a participant or one of these rounds changes. `with_leftovers`: names of rounds that are
    gone, but have left something."""

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
        self.active: dict[Key, frozenset[str]] = {}
        self.with_leftovers: set[Key] = set()
        self._draw = draw
        self._own_writes = OwnWrites(queue.add)

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        if kind == self.kind:
            meta = item["metadata"]
            key = Key(kind, meta["namespace"], meta["name"])
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

    def _changed(self, kind: str, item: Object) -> None:
        for wake in self.keys(kind, item):
            self.queue.add(wake.key)

    async def _find_leftovers(self) -> None:
        """Runs without end. It finds rounds that were deleted while no operator watched, by the objects that they
        left."""
        retries = Retries(self._draw)
        while True:
            try:
                uids: dict[Key, set[str]] = {}
                live: dict[Key, str] = {}
                async for item in made_for_rounds(self.hub, names.ROUND_UID):
                    if made_for := round_of(item):
                        uids.setdefault(Key(self.kind, *made_for), set()).add(
                            item["metadata"]["labels"][names.ROUND_UID]
                        )
                async for item in self.hub.client.each(self.kind, everywhere=True):
                    meta = item["metadata"]
                    live[Key(self.kind, meta["namespace"], meta["name"])] = meta["uid"]
            except ApiError as failure:
                await retries.wait(failure)
            else:
                retries.succeeded()
                for key, those in uids.items():
                    if those - {live.get(key)}:  # a live round of the name does not hide what is left of another
                        self.with_leftovers.add(key)
                    self.queue.add(key)
                await asyncio.sleep(LEFTOVERS_SECONDS)

    async def reconcile(self, key: Key) -> float | None:
        live = await get_round(self.hub.client, key.namespace, key.name)
        if live is None:
            self.active.pop(key, None)
            self._own_writes.forget(key)
            self.hub.tasks.forget(NamespacedName(key.namespace, key.name))
            if key not in self.with_leftovers:
                self.stir(key)
            return await self._delete_leftovers(key, None)
        observed, seen = live
        # Before the round looks at others: one of them may change meanwhile.
        if is_over(seen):
            self.active.pop(key, None)
        else:
            self.active[key] = frozenset(federatedround.source_names(seen))
        failure: Exception | None = None
        refusals: tuple[Refusal, ...] = ()
        after_leftovers: float | None = None
        if key in self.with_leftovers or not any(each.stage == STARTED for each in seen.status.timeline):
            try:
                after_leftovers = await self._delete_leftovers(key, seen.metadata.uid)
            except StoreError as away:
                failure = away  # what is left of another round does not hold this one
        looked = await look(self.hub, seen)
        observation, plan = looked.seen, looked.plan
        try:
            key_of_round = RoundKey(self.hub.client, seen.metadata.uid)
            execution = Execution(self.hub, observation, looked.base, key_of_round, looked.references)
            untaken = await execution.run(plan.actions)
            refusals = tuple(each for each in untaken if isinstance(each, Refusal))
            asked = sum(isinstance(each, Dispatch) for each in plan.actions)
            status = refused(observation, plan.status, asked, refusals)
            early = tuple(each for each in untaken if isinstance(each, EarlyRefusal))
            status = begins_later(observation, status, early)
        except Interrupted as interrupt:
            failure, status = interrupt, interrupted(observation, plan.status, interrupt.interruption)
        requeue_after = plan.requeue_after
        writing = self.hub.reporter.write(observed, seen.status, status)
        # After an action, the event of the write makes the controller look at what the action has changed.
        written = await (writing if plan.actions else self._own_writes.write(key, writing))
        if written is not None:
            self._tell(key, status.conditions)
            if not plan.actions:
                requeue_after = requeue_after_write(observation, federatedround.parse(written))
        if failure is not None:
            raise failure
        after_refusal = ASK_AGAIN.total_seconds() if refusals else None
        return sooner(requeue_after, after_leftovers, after_refusal)

    def _tell(self, key: Key, conditions: Conditions) -> None:
        shown = headline(conditions)
        if shown:
            logger.info("round %s/%s: %s, %s", key.namespace, key.name, shown.type, shown.reason)
        if shown and shown.type in ("Complete", "Failed"):
            self.stir(key)

    def stir(self, key: Key) -> None:
        """Others may wait for this round to be over, or start from its result. Results may be kept for it."""
        for other, sources in self.active.items():
            if other.namespace == key.namespace and key.name in sources:
                self.queue.add(other)
        self._results.wake_kept(key.namespace)

    async def _delete_leftovers(self, key: Key, live_uid: str | None) -> float | None:
        """Returns `requeue_after`."""
        self._results.wake(key.namespace, key.name)
        self.with_leftovers.add(key)
        until = await delete_leftovers(self.hub, key.namespace, key.name, live_uid)
        if until is None:
            self.with_leftovers.discard(key)
            return None
        return max((until - self.hub.clock()).total_seconds(), 0.0)
