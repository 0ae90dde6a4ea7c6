"""The controller of results: a result stays after its round is gone as long as other rounds start from it.

Its key is a namespace. To find the rounds that need a result, the controller reads all rounds of the namespace. It does
so once for all results whose rounds are gone by then, not once for each. `plans.result` decides.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from wardround.api import federatedround, names
from wardround.api.federatedround import FederatedRound
from wardround.hub import vault
from wardround.hub.context import Context
from wardround.hub.leftovers import delete_made
from wardround.hub.observe import get_round, source_label, started_from
from wardround.hub.stored import delete_stored, look_ends
from wardround.kube.controller import Key, Source, Wake
from wardround.kube.index import NamespacedName
from wardround.kube.queue import WorkQueue
from wardround.plans import result as result_plan
from wardround.plans.result import Follower, Forget, Keep, Observation
from wardround.ports import Object

# No kind of the API: the name of this controller's keys.
KIND = "Result"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OrphanedResult:
    """A result whose round is gone. `name`: of the round. `live_uid`: UID of another round that has the name now."""

    name: str
    live_uid: str | None
    result: Object


class ResultController:
    """`due`: by namespace, the names of rounds at whose results the controller looks next."""

    kind = KIND
    # The controller of rounds wakes it: an event of a round does not say that the round is gone.
    sources: Mapping[str, Source] = {}

    def __init__(self, hub: Context, queue: WorkQueue[Key]) -> None:
        self._hub = hub
        self._queue = queue
        self.due: defaultdict[str, set[str]] = defaultdict(set)

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        return ()

    async def run(self) -> None:
        """Nothing to run. The controller of rounds finds what was left while no operator ran."""

    def wake(self, namespace: str, *names_of_rounds: str) -> None:
        """Rounds of these names are gone, or others have taken their places."""
        if names_of_rounds:
            self.due[namespace].update(names_of_rounds)
            self._queue.add(Key(KIND, namespace, ""))

    def wake_kept(self, namespace: str) -> None:
        """A round of this namespace is over or gone, and may have been the last that needed a result."""
        self.wake(namespace, *self._hub.gone.with_results(namespace))

    async def reconcile(self, key: Key) -> None:
        """Raises ApiError, StoreError."""
        namespace, looked_at = key.namespace, self.due.pop(key.namespace, set())
        try:
            await self._look(namespace, looked_at)
        except BaseException:
            self.due[namespace] |= looked_at
            raise

    async def _look(self, namespace: str, names_of_rounds: Collection[str]) -> None:
        gone = [each for name in sorted(names_of_rounds) for each in await self._gone(namespace, name)]
        followers = await self._followers(namespace, {each.name for each in gone}) if gone else {}
        actions = [await self._one(namespace, each, followers[each.name]) for each in gone]
        # After all keys: these need the store.
        ends = look_ends()
        for each, action in zip(gone, actions, strict=True):
            if isinstance(action, Forget):
                await self._forget(NamespacedName(namespace, each.name), each.result, ends)

    async def _gone(self, namespace: str, name: str) -> list[OrphanedResult]:
        """The results of rounds of this name that are gone."""
        place = NamespacedName(namespace, name)
        live = await get_round(self._hub.client, namespace, name)
        live_uid = live[1].metadata.uid if live else None
        uids = {uid for uid in self._hub.gone.known_results(place) if uid != live_uid}
        results = await vault.results(self._hub.client, sorted(uids))
        for uid in uids - {_round_uid(each) for each in results}:
            self._hub.gone.forgotten(place, uid)
        return [OrphanedResult(name, live_uid, each) for each in results]

    async def _one(self, namespace: str, each: OrphanedResult, followers: tuple[Follower, ...]) -> Keep | Forget:
        uid = _round_uid(each.result)
        action = result_plan.plan(
            Observation(
                round_uid=uid,
                round_exists=uid == each.live_uid,
                kept_for=vault.kept_for(each.result),
                followers=followers,
            )
        )
        match action:
            case Keep(note=frozenset() as uids):
                logger.info(
                    "the result of round %s/%s is kept for %d other rounds that need it",
                    namespace,
                    each.name,
                    len(uids),
                )
                await vault.note(self._hub.client, each.result, {names.KEPT_FOR: " ".join(sorted(uids))})
            case Forget():
                await vault.note(self._hub.client, each.result, {names.KEPT_FOR: ""}, emptied=True)
        return action

    async def _followers(self, namespace: str, sources: Collection[str]) -> dict[str, tuple[Follower, ...]]:
        """By name of a round, the rounds that need its result. Only few rounds are in memory at a time."""
        needing: list[tuple[str, FederatedRound]] = []
        async for item in self._hub.client.each("FederatedRound", namespace):
            federated_round = federatedround.parse(item)
            needing += [(name, federated_round) for name in sources if result_plan.is_follower(federated_round, name)]
        followers: dict[str, tuple[Follower, ...]] = dict.fromkeys(sources, ())
        for name, federated_round in needing:
            followers[name] += (await self._follower(federated_round, name),)
        return followers

    async def _follower(self, federated_round: FederatedRound, name: str) -> Follower:
        labels = [each.metadata.labels for each in await self._hub.tasks.recall(federated_round.metadata)]
        started = started_from(labels, source_label(federated_round, name))
        return Follower(uid=federated_round.metadata.uid, started_from=started)

    async def _forget(self, place: NamespacedName, result: Object, ends: float) -> None:
        """Its key has gone. The empty Secret is deleted last: by it a new process finds what is left to do. Then the
        controller of rounds deletes the round's entry in the register, unless something else of the round is left."""
        hub, round_uid = self._hub, _round_uid(result)
        await delete_stored(hub, names.models_prefix(round_uid), ends)
        await delete_made(hub, result)
        hub.gone.forgotten(place, round_uid)
        hub.gone.add_left(place, round_uid)
        self._queue.add(Key(federatedround.KIND, *place))


def _round_uid(result: Object) -> str:
    return str(result["metadata"]["labels"][names.ROUND_UID])
