"""The controller of results: a result stays after its round is gone as long as other rounds start from it.

Its key is the name of the round that made the result. `plans.result` decides.
"""

import logging
from collections.abc import Iterable, Mapping

from wardround.api import federatedround, names
from wardround.api.federatedround import FederatedRound
from wardround.hub import vault
from wardround.hub.context import Context
from wardround.hub.observe import get_round, source_label, started_from
from wardround.hub.sweep import delete_made
from wardround.kube.controller import Key, Source, Wake
from wardround.kube.queue import WorkQueue
from wardround.plans import result as result_plan
from wardround.plans.result import Follower, Forget, Keep, Observation
from wardround.ports import Object
from wardround.store.admin import delete_prefix

# No kind of the API: the name of this controller's keys.
KIND = "Result"
logger = logging.getLogger(__name__)


class ResultController:
    """`kept`: names of rounds that are gone, but whose result is kept."""

    kind = KIND
    # The controller of rounds wakes it: an event of a round does not say that the round is gone.
    sources: Mapping[str, Source] = {}

    def __init__(self, hub: Context, queue: WorkQueue[Key]) -> None:
        self._hub = hub
        self._queue = queue
        self.kept: set[Key] = set()

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        return ()

    async def run(self) -> None:
        """Nothing to run. The controller of rounds finds what was left while no operator ran."""

    def wake(self, namespace: str, name: str) -> None:
        """A round of this name is gone, or another one has taken its place."""
        self._queue.add(Key(KIND, namespace, name))

    def wake_kept(self, namespace: str) -> None:
        """A round of this namespace is over or gone, and may have been the last that needed a result."""
        for key in self.kept:
            if key.namespace == namespace:
                self._queue.add(key)

    async def reconcile(self, key: Key) -> None:
        """Raises ApiError, StoreError."""
        live = await get_round(self._hub.client, key.namespace, key.name)
        live_uid = live[1].metadata.uid if live else None
        self.kept.add(key)
        gone = [
            result
            for result in await vault.results(self._hub.client, key.namespace, key.name)
            if result["metadata"]["labels"][names.ROUND_UID] != live_uid
        ]
        followers = await self._followers(key) if gone else ()
        decisions = [await self._one(key, result, live_uid, followers) for result in gone]
        # After all keys: these need the store.
        for result, decision in zip(gone, decisions, strict=True):
            if isinstance(decision, Forget):
                await self._forget(result)
        if not any(isinstance(each, Keep) for each in decisions):
            self.kept.discard(key)

    async def _one(
        self, key: Key, result: Object, live_uid: str | None, followers: tuple[Follower, ...]
    ) -> Keep | Forget:
        uid = result["metadata"]["labels"][names.ROUND_UID]
        decision = result_plan.plan(
            Observation(
                round_uid=uid, round_exists=uid == live_uid, kept_for=vault.kept_for(result), followers=followers
            )
        )
        match decision:
            case Keep(note=frozenset() as uids):
                logger.info(
                    "the result of round %s/%s is kept for %d other rounds that need it",
                    key.namespace,
                    key.name,
                    len(uids),
                )
                await vault.note(self._hub.client, result, {names.KEPT_FOR: " ".join(sorted(uids))})
            case Forget():
                await vault.note(self._hub.client, result, {names.KEPT_FOR: ""}, emptied=True)
        return decision

    async def _followers(self, key: Key) -> tuple[Follower, ...]:
        """The rounds that start from the result of a round of this name."""
        rounds = [federatedround.parse(item) async for item in self._hub.client.each("FederatedRound", key.namespace)]
        return tuple(
            [await self._follower(each, key.name) for each in rounds if result_plan.is_follower(each, key.name)]
        )

    async def _follower(self, federated_round: FederatedRound, name: str) -> Follower:
        uid = federated_round.metadata.uid
        tasks = await self._hub.client.list("RoundTask", everywhere=True, labels=f"{names.ROUND_UID}={uid}")
        return Follower(uid=uid, started_from=started_from(tasks, source_label(federated_round, name)))

    async def _forget(self, result: Object) -> None:
        """Its key has gone. The empty Secret is deleted last: by it a new process finds what is left to do."""
        hub, round_uid = self._hub, result["metadata"]["labels"][names.ROUND_UID]
        await delete_prefix(hub.store, hub.internal, names.models_prefix(round_uid), hub.clock())
        await delete_made(hub, result)
