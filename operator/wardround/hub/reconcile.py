"""Reconciles one key: observe, plan, execute, one status write if it changed. Level-triggered and idempotent."""

import logging
from typing import NamedTuple

from wardround.api import participant
from wardround.api.conditions import Conditions
from wardround.hub.context import Context
from wardround.hub.execute import Execution, Interrupted
from wardround.hub.observe import confirmed, get_round, has_account, observe
from wardround.hub.refusals import ASK_AGAIN
from wardround.hub.sweep import Left, round_of, sweep
from wardround.hub.vault import RoundKey
from wardround.kube.errors import NotFound
from wardround.kube.index import Place
from wardround.kube.queue import WorkQueue
from wardround.plans import participant as participant_plan
from wardround.plans.events import headline
from wardround.plans.round.status import STARTED, interrupted, is_over, refused
from wardround.plans.round.types import Dispatch, Refusal
from wardround.ports import Object
from wardround.store.errors import StoreError

logger = logging.getLogger(__name__)


class Key(NamedTuple):
    kind: str
    namespace: str
    name: str


class Reconciler:
    """`active` are the rounds that are not over: looked at again when a participant or another round changes. `swept`
    are names of rounds that are gone and of which something is left, such as a result that others start from: looked
    at again when another round is over or gone."""

    def __init__(self, hub: Context, queue: WorkQueue[Key]) -> None:
        self.hub = hub
        self.queue = queue
        self.active: set[Key] = set()
        self.swept: set[Key] = set()

    def changed(self, kind: str, item: Object) -> None:
        """Something was listed or has happened: which keys does it concern?"""
        meta = item["metadata"]
        if kind in ("FederatedRound", "Participant"):
            self.queue.add(Key(kind, meta["namespace"], meta["name"]))
        elif kind == "ServiceAccount":
            # A hospital's, whose Participant is named like its namespace.
            self.queue.add(Key("Participant", meta["namespace"], meta["namespace"]))
        elif found := round_of({"kind": kind, **item}):
            self.queue.add(Key("FederatedRound", *found))

    async def reconcile(self, key: Key) -> float | None:
        """Answers in how many seconds it wants the key again, or None."""
        if key.kind == "Participant":
            await self._participant(key)
            return None
        return await self._round(key)

    async def _participant(self, key: Key) -> None:
        try:
            found = await self.hub.client.get("Participant", key.name, key.namespace)
        except NotFound:
            found = None
            self.hub.participants.drop(Place(key.namespace, key.name))
        if found is not None:
            self.hub.participants.put(found)
            seen = participant.parse(found)
            after = participant_plan.status(
                seen,
                self.hub.identity.fingerprint,
                self.hub.clock(),
                has_account=await has_account(self.hub.client, key.namespace),
            )
            written = await self.hub.reporter.write(found, seen.status, after)
            if written is not None:
                self.hub.participants.put(written)
        for waiting in self.active:
            self.queue.add(waiting)

    async def _round(self, key: Key) -> float | None:
        found = await get_round(self.hub.client, key.namespace, key.name)
        if found is None:
            self.active.discard(key)
            if key not in self.swept:
                self.stir(key)
            return await self._sweep(key, None)
        observed, seen = found
        failure: Exception | None = None
        refusals: tuple[Refusal, ...] = ()
        swept_again: float | None = None
        if key in self.swept or not any(each.stage == STARTED for each in seen.status.timeline):
            try:
                swept_again = await self._sweep(key, seen.metadata.uid)
            except StoreError as away:
                failure = away  # what is left of another round does not hold this one
        observation, base = await observe(self.hub, seen)
        observation, plan = await confirmed(self.hub, observation)
        try:
            execution = Execution(self.hub, observation, base, RoundKey(self.hub.client, seen.metadata.uid))
            refusals = await execution.run(plan.actions)
            asked = sum(isinstance(each, Dispatch) for each in plan.actions)
            status = refused(observation, plan.status, asked, refusals)
        except Interrupted as interruption:
            failure, status = interruption, interrupted(observation, plan.status, interruption.said)
        if await self.hub.reporter.write(observed, seen.status, status) is not None:
            self._tell(key, status.conditions)
        if is_over(seen):
            self.active.discard(key)
        else:
            self.active.add(key)
        if failure is not None:
            raise failure
        ask_again = ASK_AGAIN.total_seconds() if refusals else None
        return min((each for each in (plan.requeue_after, swept_again, ask_again) if each is not None), default=None)

    def _tell(self, key: Key, conditions: Conditions) -> None:
        shown = headline(conditions)
        if shown:
            logger.info("round %s/%s: %s, %s", key.namespace, key.name, shown.type, shown.reason)
        if shown and shown.type in ("Complete", "Failed"):
            self.stir(key)

    def stir(self, key: Key) -> None:
        """Others may wait for this round to be over, or start from its result, or be kept for it."""
        for other in self.active | self.swept:
            if other.namespace == key.namespace and other != key:
                self.queue.add(other)

    async def _sweep(self, key: Key, live_uid: str | None) -> float | None:
        """In how many seconds again, or None."""
        self.swept.add(key)
        left = await sweep(self.hub, key.namespace, key.name, live_uid)
        if left == Left():
            self.swept.discard(key)
        return max((left.until - self.hub.clock()).total_seconds(), 0.0) if left.until else None
