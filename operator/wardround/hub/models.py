"""The controller of FederatedModels: observe, plan, execute, one status write if it changed.

It creates FederatedRounds and ModelVersions. Names come from the model, so nothing is created twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from wardround.api import conditions, federatedmodel, federatedround, modelversion, names, roundtask
from wardround.api.federatedmodel import FederatedModel, SeriesStatus
from wardround.api.federatedround import FederatedRound
from wardround.api.meta import Meta
from wardround.api.modelversion import ModelVersion
from wardround.api.timeline import reached
from wardround.documents import models as documents
from wardround.hub import version_cards
from wardround.hub.context import Context
from wardround.hub.observe import get_round, identified, stored_model
from wardround.kube.controller import Key, Source, Wake
from wardround.kube.errors import AlreadyExists, Forbidden, Invalid
from wardround.kube.own_writes import OwnWrites
from wardround.kube.queue import WorkQueue
from wardround.plans.model import delivery, patients, selection, testing, versions
from wardround.plans.model import plan as model_plan
from wardround.plans.model import series as rounds
from wardround.plans.model.absence import absence, waits_for_hospitals
from wardround.plans.model.next_look import next_look, requeue_after_write
from wardround.plans.model.status import ROUND_GONE
from wardround.plans.model.types import (
    Action,
    CreateDelivery,
    CreateRound,
    CreateTest,
    CreateVersion,
    Creation,
    Delete,
    KeepRound,
    Observation,
    OwnVersion,
    Plan,
    Report,
    ReportLoss,
    ReportTest,
    ReportVersion,
    SuspendRound,
)
from wardround.plans.round.status import CLEANED_UP, DISPATCHED, is_over
from wardround.ports import Object
from wardround.wire import codec
from wardround.wire.compression import NONE, Compression

# Rounds that are over and that the controller has from their events. It reads further ones.
MOST_ENDED = 16
# Beyond so many rounds that wait to be cleaned up, the clean-up of a round wakes its model.
MOST_UNCLEANED = 1024
logger = logging.getLogger(__name__)


class ModelController:
    """`ended`: by model, a round that is over, as its event shows it, until the controller looks at the model. Such a
    round changes no more, so the controller need not read it. `waiting`: the models whose next round cannot ask each of
    its hospitals. `_stalled`: by model, the UIDs of its rounds that wait for people, as their events show them."""

    kind = federatedmodel.KIND
    sources: Mapping[str, Source] = {
        federatedmodel.KIND: Source.EVERYWHERE,
        federatedround.KIND: Source.EVERYWHERE,
        modelversion.KIND: Source.EVERYWHERE,
    }

    def __init__(self, hub: Context, queue: WorkQueue[Key]) -> None:
        self._hub = hub
        self._queue = queue
        self._own_writes = OwnWrites(queue.add)
        self.waiting: set[Key] = set()
        self.ended: dict[Key, Object] = {}
        self._stalled: dict[Key, set[str]] = {}
        # UIDs of rounds that an event has shown to be over and not cleaned up, the latest last.
        self._uncleaned: dict[str, bool] = {}

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        meta = item["metadata"]
        if kind == self.kind:
            key = Key(kind, meta["namespace"], meta["name"])
            return () if self._own_writes.shown_by(key, item) else (Wake(key),)
        if kind == modelversion.KIND:
            return (Wake(Key(self.kind, meta["namespace"], item["spec"]["modelName"])),)
        owners = [each for each in meta.get("ownerReferences", ()) if each["kind"] == self.kind]
        models = [Key(self.kind, meta["namespace"], each["name"]) for each in owners]
        waits = [model for model in models if self._waits_for_people(model, item)]
        if _runs_as_made(item):
            return tuple(map(Wake, waits))
        if not models or self._adds_clean_up(item):
            return ()
        for model in models:
            self._hold(model, item)
        return tuple(map(Wake, models))

    def _adds_clean_up(self, federated_round: Object) -> bool:
        """Whether a round that an event has shown to be over is cleaned up now too. No model waits for that."""
        meta = federated_round["metadata"]
        if "deletionTimestamp" in meta or not conditions.is_final(federated_round):
            return False
        if conditions.shows(federated_round, CLEANED_UP):
            return self._uncleaned.pop(meta["uid"], False)
        self._uncleaned[meta["uid"]] = True
        if len(self._uncleaned) > MOST_UNCLEANED:
            del self._uncleaned[next(iter(self._uncleaned))]
        return False

    def _waits_for_people(self, model: Key, federated_round: Object) -> bool:
        """Whether a round that is under way waits for people, or has done so until this event."""
        meta, known = federated_round["metadata"], self._stalled.get(model, set())
        over = conditions.is_final(federated_round) or "deletionTimestamp" in meta
        if conditions.shows(federated_round, "Stalled") and not over:
            self._stalled[model] = known | {meta["uid"]}
            return True
        if meta["uid"] not in known:
            return False
        if left := known - {meta["uid"]}:
            self._stalled[model] = left
        else:
            del self._stalled[model]
        return True

    def _hold(self, model: Key, federated_round: Object) -> None:
        """Keeps a round that is over for the next look at its model."""
        over = conditions.is_final(federated_round) and "deletionTimestamp" not in federated_round["metadata"]
        if not over:
            self.ended.pop(model, None)
        elif len(self.ended) < MOST_ENDED or model in self.ended:
            self.ended[model] = federated_round

    def wake_waiting(self) -> None:
        """A Participant has changed."""
        for key in self.waiting:
            self._queue.add(key)

    async def run(self) -> None:
        """Nothing to run: events wake this controller."""

    async def reconcile(self, key: Key) -> float | None:
        """Raises ApiError. An action may be repeated: after a crash the plan comes again."""
        ended = self.ended.pop(key, None)
        item = await self._hub.client.get_if_exists(self.kind, key.name, key.namespace)
        if item is None:
            self._own_writes.forget(key)
            self.waiting.discard(key)
            self._stalled.pop(key, None)
            return None
        seen = await self._with_absence(key, await self._observe(federatedmodel.parse(item), ended))
        plan, written = await self._carry_out(key, item, seen)
        if written is None:
            return plan.requeue_after
        model = federatedmodel.parse(written)
        if known := next_look(seen, plan, model):
            plan, _ = await self._carry_out(key, written, await self._with_absence(key, known))
        elif not plan.actions and plan.requeue_after != 0:
            return requeue_after_write(seen, model)
        return plan.requeue_after

    async def _carry_out(self, key: Key, item: Object, seen: Observation) -> tuple[Plan, Object | None]:
        """The plan, and the model after its status was written; None if nothing had to be written."""
        plan = model_plan.plan(seen)
        for action in plan.actions:
            try:
                if not await self._perform(seen.model, action):
                    plan = replace(plan, requeue_after=0.0)
            except (Forbidden, Invalid) as refusal:
                if not isinstance(action, Creation):
                    raise
                plan = model_plan.refused(seen, plan, action, str(refusal))
                break
        writing = self._hub.reporter.write(item, seen.model.status, plan.status)
        # After an action, the event of the write makes the controller look at what the action has changed.
        return plan, await (writing if plan.actions else self._own_writes.write(key, writing))

    async def _observe(self, model: FederatedModel, ended_round: Object | None) -> Observation:
        series, meta = model.status.series, model.metadata
        ended = series is not None and series.stage == "Ended"
        now = self._hub.clock()
        if series is None:
            return Observation(model=model, patients=await self._patients(model), now=now)
        # A status that lists no version needs none before the series has ended.
        listed = ended or model.status.versions or model.status.current
        seen = Observation(
            model=model,
            round=await self._newest(meta.namespace, rounds.last(series).name, ended_round),
            versions=await self._versions(model, ended=ended) if listed else {},
            delivery=await self._round(meta.namespace, model.status.delivery.round) if model.status.delivery else None,
            now=now,
        )
        seen = await self._with_test(await self._with_delivery(seen), ended_round)
        if series.stage not in ("Comparing", "Ended"):
            current = versions.current(seen)
            ready = conditions.find(model.status.conditions, "Ready")
            # With every look at a series under way, each of its rounds would cost several requests more.
            known = current is not None and ready is not None and ready.reason == ROUND_GONE
            return replace(seen, gone=await self._gone([current])) if current and known else seen
        best, own_rounds = model_plan.best_name(series), await self._rounds(model)
        # People can take the label from a round, so the list may lack one.
        unseen = [each for each in versions.own(seen) if own_rounds.get(each.spec.round_name) != each.spec.round_uid]
        seen = replace(
            seen,
            best=await self._own_round(meta, best) if best else None,
            rounds=own_rounds,
            gone=await self._gone(unseen),
        )
        if not ended:
            return seen
        return replace(
            seen,
            measuring=await self._measuring(meta, series),
            pushed_gone=await self._pushed_gone(model),
            patients=await self._patients(model),
        )

    async def _gone(self, candidates: Iterable[ModelVersion]) -> frozenset[str]:
        """Names of those of these versions whose round is deleted or replaced."""
        gone = []
        for each in candidates:
            live = await self._round(each.metadata.namespace, each.spec.round_name)
            meta = live.metadata if live else None
            if meta is None or meta.uid != each.spec.round_uid or meta.deletion_timestamp is not None:
                gone.append(each.metadata.name)
        return frozenset(gone)

    async def _pushed_gone(self, model: FederatedModel) -> bool:
        name, namespace = model.spec.initial.pushed, model.metadata.namespace
        return name is not None and await self._hub.client.get_if_exists(modelversion.KIND, name, namespace) is None

    async def _with_absence(self, key: Key, seen: Observation) -> Observation:
        """The observation with the hospitals that the round cannot ask. Until it is over, a Participant that changes
        wakes the model."""
        lacking = None
        if waits_for_hospitals(seen.model.status.series) and (seen.round is None or not is_over(seen.round)):
            participants = identified((await self._hub.participants.objects()).values())
            lacking = absence(seen.model, participants, seen.now)
        if lacking is None:
            self.waiting.discard(key)
        else:
            self.waiting.add(key)
        return replace(seen, absence=lacking)

    async def _with_delivery(self, seen: Observation) -> Observation:
        if seen.delivery is None or not is_over(seen.delivery) or not delivery.is_wanted(seen.model):
            return seen
        asked = await self._asked(seen.delivery) if delivery.asks_whom(seen.model) else frozenset()
        seen = replace(seen, receivers=await self._askable(seen.model, NONE), asked=asked)
        # The card that the round brings says the compression. Nobody need know it as long as no hospital joins.
        if not (delivery.new_hospitals(seen) and (compression := await self._delivered_compression(seen))):
            return seen
        return replace(seen, receivers=await self._askable(seen.model, compression))

    async def _delivered_compression(self, seen: Observation) -> Compression | None:
        """The compression of the version that is delivered: the spec of the model may have changed since."""
        named = seen.model.status.delivery
        version = seen.versions.get(named.version) if named else None
        stored = await stored_model(self._hub, version.spec.round_uid) if version else None
        return stored.stored.result.compression if stored else None

    async def _with_test(self, seen: Observation, ended_round: Object | None) -> Observation:
        model, named = seen.model, seen.model.status.testing
        if named is None or not testing.is_open(model):
            return seen
        live = await self._newest(model.metadata.namespace, named.round, ended_round)
        version = seen.versions.get(named.version)
        if live is not None or version is None or named.begun:
            return replace(seen, test=live)
        made_by = await self._own_round(model.metadata, version.spec.round_name)
        # An Evaluate round compresses nothing.
        return replace(seen, tested=made_by, askable=await self._askable(model, NONE))

    async def _askable(self, model: FederatedModel, compression: Compression) -> frozenset[str]:
        return selection.askable(model, (await self._hub.participants.objects()).values(), compression)

    async def _patients(self, model: FederatedModel) -> int | None:
        return patients.training_patients(model, (await self._hub.participants.objects()).values())

    async def _asked(self, live: FederatedRound) -> frozenset[str]:
        """The hospitals that have a task of this round, which is over."""
        if reached(live.status.timeline, DISPATCHED) is None:
            return frozenset()
        # From now on, the status of the model names the hospitals.
        if known := self._hub.tasks.asked(live.metadata):
            return known
        tasks = await self._hub.client.list(
            roundtask.KIND, everywhere=True, labels=f"{names.ROUND_UID}={live.metadata.uid}"
        )
        return frozenset(each["metadata"]["namespace"] for each in tasks)

    async def _round(self, namespace: str, name: str) -> FederatedRound | None:
        live = await get_round(self._hub.client, namespace, name)
        return live[1] if live else None

    async def _newest(self, namespace: str, name: str, ended: Object | None) -> FederatedRound | None:
        """The live round of this name. `ended`: a round as its event has shown it."""
        if ended is not None and ended["metadata"]["name"] == name:
            return federatedround.parse(ended)
        return await self._round(namespace, name)

    async def _own_round(self, model: Meta, name: str) -> FederatedRound | None:
        """The live round of this name, if it is the model's own. A person who may create rounds can delete a
        round of the series and put another one in its place."""
        live = await self._round(model.namespace, name)
        return live if live and rounds.controls(model, live.metadata) else None

    async def _measuring(self, model: Meta, series: SeriesStatus) -> FederatedRound | None:
        """The live round that has measured the best model of the series."""
        live = [await self._own_round(model, name) for name in model_plan.measuring_names(series)]
        return model_plan.measuring(filter(None, live), model_plan.best_name(series))

    async def _versions(self, model: FederatedModel, *, ended: bool) -> dict[str, ModelVersion]:
        """The model's versions by name. Once the series has `ended`: also one of another model under the name that the
        series needs, and until it has its version, the pushed one from which it started."""
        namespace, client = model.metadata.namespace, self._hub.client
        labels = f"{names.MODEL_UID}={model.metadata.uid}"
        listed = [modelversion.parse(each) for each in await client.list(modelversion.KIND, namespace, labels=labels)]
        known = {each.metadata.name: each for each in listed}
        series = model.status.series
        if series is None or not ended:
            return known
        pushed = series.pushed if series.version is None else None
        for name in (rounds.version_name(model.metadata, series.number), pushed):
            if name is not None and name not in known:
                item = await client.get_if_exists(modelversion.KIND, name, namespace)
                known |= {name: modelversion.parse(item)} if item else {}
        return known

    async def _rounds(self, model: FederatedModel) -> dict[str, str]:
        """UIDs of the model's rounds by name, without rounds that are being deleted.

        People can give any round the label, but not the controller.
        """
        labels = f"{names.MODEL_UID}={model.metadata.uid}"
        items = self._hub.client.each(federatedround.KIND, model.metadata.namespace, labels=labels)
        labelled = [codec.parse(Meta, item["metadata"]) async for item in items]
        own = (meta for meta in labelled if rounds.controls(model.metadata, meta))
        return {meta.name: meta.uid for meta in own if meta.deletion_timestamp is None}

    async def _perform(self, model: FederatedModel, action: Action) -> bool:
        """Returns False if another object has the name of a round that was to be created."""
        client, namespace = self._hub.client, model.metadata.namespace
        match action:
            case CreateRound():
                return await self._create(model, documents.federated_round(model, action))
            case CreateDelivery():
                return await self._create(model, documents.delivery(model, action))
            case CreateTest():
                return await self._create(model, documents.test(model, action))
            case SuspendRound():
                await client.patch(federatedround.KIND, action.name, {"spec": {"suspend": action.suspend}}, namespace)
            case CreateVersion():
                await client.create_if_absent(documents.model_version(model, action))
            case KeepRound():
                meta = action.round.metadata
                owners = documents.kept_for(action.round, action.version)
                # With the version of the object: another writer's owner must not be lost.
                body = {"metadata": {"resourceVersion": meta.resource_version, "ownerReferences": owners}}
                await client.patch(federatedround.KIND, meta.name, body, namespace)
            case ReportVersion() | ReportTest() | ReportLoss():
                await self._report(action)
            case OwnVersion():
                meta = action.version.metadata
                body = {
                    "metadata": {
                        "resourceVersion": meta.resource_version,
                        "ownerReferences": documents.owners(model, action),
                    }
                }
                await client.patch(modelversion.KIND, meta.name, body, namespace)
            case Delete():
                await self._delete(namespace, action)
        return True

    async def _create(self, model: FederatedModel, federated_round: Object) -> bool:
        try:
            created = await self._hub.client.create(federated_round)
        except AlreadyExists:
            return False
        namespace, name = model.metadata.namespace, created["metadata"]["name"]
        logger.info("model %s/%s: created round %s", namespace, model.metadata.name, name)
        if assigned := documents.assigned_series(model, name):
            self._hub.assigned_series.put(created["metadata"]["uid"], assigned)
        return True

    async def _delete(self, namespace: str, action: Delete) -> None:
        # Another one of this name is not the one that nothing needs.
        if await self._hub.client.delete_if_exists(action.kind, action.name, namespace, uid=action.uid):
            logger.info("deleted %s %s/%s, which nothing needs", action.kind, namespace, action.name)

    async def _report(self, action: Report) -> None:
        match action:
            case ReportVersion():
                await self._report_version(action)
            case ReportTest():
                await self._report_test(action)
            case ReportLoss():
                await self._report_loss(action)

    async def _report_version(self, action: ReportVersion) -> None:
        name, namespace = action.version.metadata.name, action.version.metadata.namespace
        item = await self._hub.client.get(modelversion.KIND, name, namespace)
        before = modelversion.parse(item)
        card = await version_cards.newest(self._hub, before.spec.round_uid)
        measured = documents.measured(before, action.measured_by, action.verdict, card)
        known = conditions.set_condition(
            (),
            "Ready",
            True,
            action.reason,
            action.message,
            now=self._hub.clock(),
            generation=before.metadata.generation,
        )
        await self._hub.reporter.write(item, before.status, replace(measured, conditions=known))

    async def _report_test(self, action: ReportTest) -> None:
        if (live := await self._live(action.version)) is not None:
            item, before = live
            await self._hub.reporter.write(item, before.status, replace(before.status, test=documents.tested(action)))

    async def _report_loss(self, action: ReportLoss) -> None:
        if (live := await self._live(action.version)) is None:
            return
        item, before = live
        known = conditions.set_condition(
            before.status.conditions,
            "Ready",
            False,
            ROUND_GONE,
            action.message,
            now=self._hub.clock(),
            generation=before.metadata.generation,
        )
        await self._hub.reporter.write(item, before.status, replace(before.status, conditions=known))

    async def _live(self, version: ModelVersion) -> tuple[Object, ModelVersion] | None:
        """The version as it is now; None if it is gone, or another one has its name."""
        meta = version.metadata
        item = await self._hub.client.get_if_exists(modelversion.KIND, meta.name, meta.namespace)
        live = modelversion.parse(item) if item is not None else None
        return (item, live) if item is not None and live is not None and live.metadata.uid == meta.uid else None


def _runs_as_made(federated_round: Object) -> bool:
    """Whether a round is under way, and nobody has changed its spec. Then the model waits for its end."""
    meta = federated_round["metadata"]
    return meta["generation"] == 1 and "deletionTimestamp" not in meta and not conditions.is_final(federated_round)
