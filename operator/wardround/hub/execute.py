"""Carries out a round's plan, action by action. Each action may be repeated: after a crash the plan is made again."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, singledispatchmethod
from typing import Any

from wardround.api import conditions, federatedmodel, modelversion, names, roundtask
from wardround.api.federatedround import FederatedRound, Result, base_version
from wardround.api.meta import controller
from wardround.api.names import CANCELLED, GRANTS_BYTES, GRANTS_EXPIRE, REFUSED
from wardround.api.roundtask import RoundTask
from wardround.api.task import Upload, manifest
from wardround.api.times import to_seconds
from wardround.clock import NONCE_BYTES
from wardround.documents import aggregations, cards, collected_list, models, results
from wardround.documents.assignments import Recipient, assign, grant
from wardround.documents.keys import Model
from wardround.documents.update_list import UpdateList
from wardround.hub import early, tries, vault, version_cards
from wardround.hub.context import Context
from wardround.hub.made import Made, note_number
from wardround.hub.stored import delete_stored, look_ends
from wardround.kube.errors import AlreadyExists, ApiError, Forbidden, Invalid
from wardround.kube.index import NamespacedName
from wardround.manifests import aggregation
from wardround.plans.participant import names_on_card, reads_names
from wardround.plans.round.parts import refused_since, task_refused
from wardround.plans.round.types import (
    EARLY_NUMBER,
    Action,
    Aggregate,
    Cancel,
    CleanUp,
    Dispatch,
    EarlyRefusal,
    Grant,
    Interruption,
    ListUpdates,
    MakeRoundKey,
    Observation,
    Refusal,
    StopEarly,
    StoredModel,
    StoreModel,
)
from wardround.plans.round.upload import granted_text
from wardround.plans.schema import assigned
from wardround.ports import Object
from wardround.sealing.assignments import open_assignment
from wardround.sealing.cards import open_card, sign_card
from wardround.sealing.refused import Refused
from wardround.store.errors import StoreError
from wardround.store.put_each import put_each
from wardround.tabular.dataschema import SchemaInvalid
from wardround.threads import beside
from wardround.wire import kept_plan
from wardround.wire.aggregation import PlannedList, StoreAccess
from wardround.wire.assignment import AssignedSchema, AssignedSeries
from wardround.wire.card import ModelCard
from wardround.wire.codec import Malformed
from wardround.wire.models import ModelManifest

# What the API server does not take now.
Untaken = Refusal | EarlyRefusal
logger = logging.getLogger(__name__)


class Interrupted(Exception):
    """An action raised. `interruption` goes into the round's status. It holds none of the API server's own words, which
    may be about Secrets."""

    def __init__(self, action: Action, failure: Exception) -> None:
        super().__init__(f"could not {doing(action)}: {failure}")
        cause = f"a fault of the hub operator itself ({type(failure).__name__})"
        if isinstance(failure, StoreError):
            cause = f"the store failed ({failure})"
        elif isinstance(failure, ApiError):
            cause = f"the API server refused it or did not answer ({type(failure).__name__})"
        elif isinstance(failure, Malformed):
            cause = (
                f"this version of the hub operator cannot read {failure.place}, which another version of the hub "
                "operator has written, or a person has changed"
            )
        self.interruption = Interruption(doing=doing(action), cause=cause)


def doing(action: Action) -> str:
    """The words that follow "could not"."""
    match action:
        case MakeRoundKey():
            return "make the round's key"
        case Dispatch():
            return f"make the RoundTask of {action.participant}, attempt {action.attempt}"
        case Grant() | Cancel():
            verb = "renew the grants" if isinstance(action, Grant) else "cancel the task"
            return f"{verb} of {action.task.metadata.namespace}"
        case Aggregate():
            return f"start aggregation {action.number}"
        case ListUpdates():
            return "list updates for the aggregation that began early"
        case StopEarly():
            return "stop the aggregation that began early"
        case StoreModel():
            return f"keep the result of aggregation {action.number}"
        case CleanUp():
            return "delete the round's key and updates"


@dataclass(frozen=True)
class Execution:
    """One round's actions. `seen`, `made`: what the plan was made from. `base`: the result that the round starts from.
    `references`: those with which it compares its model."""

    hub: Context
    seen: Observation
    made: Made
    base: Model | None
    references: tuple[Model, ...] = ()

    @cached_property
    def key(self) -> vault.RoundKey:
        """Read once for the RoundTasks of all hospitals. A Secret without it may have been made anew."""
        known = None if self.made.key_lost else self.made.key
        return vault.RoundKey(self.hub.client, self.round.metadata.uid, known)

    @property
    def round(self) -> FederatedRound:
        return self.seen.round

    async def run(self, actions: Sequence[Action]) -> tuple[Untaken, ...]:
        """Carries out the actions in order, tasks of different participants at once. Returns the participants whose
        RoundTask the API server does not take now, and whether it does not take the aggregation that would begin early.
        Raises Interrupted for whatever else an action raises."""
        refusals: list[Untaken] = []
        parallel: list[Action] = []
        for action in actions:
            if isinstance(action, Dispatch | Grant | Cancel):
                parallel.append(action)
                continue
            refusals += await self._together(parallel)
            parallel.clear()
            refusal = await self._one(action)
            refusals += [refusal] if refusal else []
        return (*refusals, *await self._together(parallel))

    async def _one(self, action: Action) -> Untaken | None:
        try:
            return await self.perform(action)
        except Exception as failure:
            raise Interrupted(action, failure) from failure

    async def _together(self, actions: Sequence[Action]) -> list[Untaken]:
        """Waits for the end of all, even if one fails: none of them may still run when the round is tried again."""
        results = await asyncio.gather(*map(self._one, actions), return_exceptions=True)
        for each in results:
            if isinstance(each, BaseException):
                raise each
        return [each for each in results if isinstance(each, Untaken)]

    @singledispatchmethod
    async def perform(self, action: Action) -> Untaken | None:
        raise TypeError(f"no way to perform {action}")

    @perform.register
    async def _make_round_key(self, _: MakeRoundKey) -> None:
        if self.made.key is not None and self.made.key_lost:
            emptied = self.made.key["metadata"]
            await self.hub.client.delete_if_exists("Secret", emptied["name"], uid=emptied["uid"])
        await vault.make_round_key(self.hub.client, self.round)

    @perform.register
    async def _dispatch(self, action: Dispatch) -> Refusal | None:
        round_meta, uid = self.round.metadata, self.round.metadata.uid
        attempt = (uid, action.participant, action.attempt)
        refused = self.hub.refusals.recent(attempt, self.hub.clock())
        if refused is not None:
            return Refusal(participant=action.participant, message=refused)
        recipient = self._recipient(action.participant)
        key = await self.key.get()
        identity, now = self.hub.identity, self.hub.clock()
        series, base = await self._series, self._base_for(action.participant)
        spec = assign(self.round, recipient, action, key.public.raw, base, identity, now, self.references, series)
        labels = names.task_labels(round_meta.name, uid, recipient.name, action.attempt)
        if self.base is not None:
            labels[names.BASE_UID] = self.base.manifest.header.round_uid
        for label, reference in zip(names.REFERENCE_UIDS, self.references, strict=False):
            labels[label] = reference.manifest.header.round_uid
        name = names.task_name(round_meta.name, uid, action.attempt)
        sealed, expires = await self._grants(recipient, action.attempt, None)
        task = manifest(roundtask.KIND, name, recipient.name, labels, replace(spec, grants=sealed))
        task["metadata"]["annotations"] = _granted(expires, None)
        try:
            self.hub.tasks.put(await self.hub.client.create(task))
        except AlreadyExists:
            await self.hub.tasks.refresh(round_meta, NamespacedName(recipient.name, name))
            return None
        except ApiError as failure:
            # A quota, a policy or a webhook may be corrected: the plan asks again. No other participant waits for it.
            message = failure.answer[: conditions.MESSAGE_LIMIT]
            self.hub.refusals.note(attempt, message, self.hub.clock())
            if task_refused(recipient.name, message) not in self.round.status.attention:
                logger.warning("round %s/%s: %s", round_meta.namespace, round_meta.name, failure)
            await self._remember(action.after, message)
            return Refusal(participant=recipient.name, message=message)
        logger.info(
            "round %s/%s: asked %s, attempt %d", round_meta.namespace, round_meta.name, recipient.name, action.attempt
        )
        return None

    @cached_property
    def _series(self) -> asyncio.Future[AssignedSeries | None]:
        """Read once for the RoundTasks of all hospitals."""
        return asyncio.ensure_future(self._assigned_series())

    async def _assigned_series(self) -> AssignedSeries | None:
        """The series that the round belongs to; None for a round that a person has made, or whose model was gone when
        the round asked its first hospital. A further attempt names the series of the attempts before, whatever has
        become of the model: a hospital's denial of the model covers that attempt too."""
        meta = self.round.metadata
        # All tasks of a round name one series, so the one assignment that the hub operator keeps is enough.
        signed = next((task for task in self.seen.tasks if task.spec.assignment), None)
        if signed and (asked := self._series_of(signed)):
            return asked
        owner = controller(meta, federatedmodel.KIND)
        if owner is None:
            return None
        if known := self.hub.assigned_series.take(meta.uid):
            return known
        item = await self.hub.client.get_if_exists(federatedmodel.KIND, owner.name, meta.namespace)
        if item is None:
            return None
        model = federatedmodel.parse(item)
        return models.assigned_series(model, meta.name) if model.metadata.uid == owner.uid else None

    def _series_of(self, task: RoundTask) -> AssignedSeries | None:
        """The series that the hub has signed for a task of this round."""
        try:
            asks = open_assignment(task.spec.assignment, self.hub.identity.key.public_key())
        except Refused:
            return None
        return asks.series if asks.round_uid == self.round.metadata.uid else None

    async def _remember(self, before: RoundTask | None, message: str) -> None:
        """Notes a refusal at the attempt before, if there is one. A first attempt needs no note: the signed roster says
        which participants were to be asked."""
        if before is None:
            return
        since, last = refused_since(before)
        if since is None or message != last:
            await self._patch(before, {}, {REFUSED: f"{to_seconds(since or self.hub.clock())} {message}"})

    @perform.register
    async def _grant(self, action: Grant) -> None:
        task = action.task
        recipient = self._recipient(task.metadata.namespace)
        sealed, expires = await self._grants(recipient, task.spec.attempt, action.upload)
        await self._patch(task, {"grants": sealed}, _granted(expires, action.upload))

    @perform.register
    async def _cancel(self, action: Cancel) -> None:
        await self._patch(action.task, {"cancel": True}, {CANCELLED: action.reason})

    @perform.register
    async def _aggregate(self, action: Aggregate) -> EarlyRefusal | None:
        if action.number == EARLY_NUMBER:
            return await self._begin_early(action)
        await self._make_aggregation(action)
        await tries.note_made(self.hub, self.round.metadata.uid, action.number)
        return None

    async def _begin_early(self, action: Aggregate) -> EarlyRefusal | None:
        """A quota, a policy or a webhook may refuse the Job. The round needs this Job only to be faster."""
        meta, refusals = self.round.metadata, self.hub.refusals
        key = (meta.uid, "", action.number)
        if cause := refusals.recent(key, self.hub.clock()):
            return EarlyRefusal(cause=cause)
        await self.key.get()  # a key that is gone is no refusal
        try:
            await self._make_aggregation(action)
        except ApiError as failure:
            logger.warning("round %s/%s: no aggregation can begin early: %s", meta.namespace, meta.name, failure)
            refusals.note(key, type(failure).__name__, self.hub.clock())
            return EarlyRefusal(cause=type(failure).__name__)
        return None

    async def _make_aggregation(self, action: Aggregate) -> None:
        key, now = await self.key.get(), self.hub.clock()
        numbers = await note_number(self.hub.client, await self.key.secret(), action.number)
        await tries.delete_before(self.hub, self.round.metadata.uid, numbers, action.number - 1)
        job = aggregations.job(
            self.round, action, namespace=self.hub.settings.namespace, image=self.hub.settings.image, now=now
        )
        store = StoreAccess(self.hub.settings.store_internal, self.hub.settings.store_ca)
        plan = await beside(
            aggregations.plan,
            self.seen,
            action,
            key,
            self.base,
            await self._listed(action, now),
            presigner=self.hub.internal,
            store=store,
            now=now,
        )
        planned = await self.hub.client.create_if_absent(aggregation.secret(job, plan))
        try:
            await self.hub.client.create_if_absent(aggregation.build(job))
        except (Forbidden, Invalid):
            if planned:  # a later plan has newer URLs, and more updates
                await self.hub.client.delete_if_exists("Secret", job.name)
            raise

    async def _listed(self, action: Aggregate, now: datetime) -> PlannedList:
        """The list of updates that the Job reads: stored, unless it begins empty."""
        uid, presigner, collects = self.round.metadata.uid, self.hub.internal, action.collects
        nonce = self.hub.random_bytes(NONCE_BYTES)
        if collects:
            terms = (collects.most, collects.largest, collects.seconds)
            return collected_list.planned(uid, action.number, *terms, presigner, now, nonce)
        updates = UpdateList(self.seen, action, presigner, now, nonce)
        # To make a page takes long if the model is large, so only the store's time is limited.
        await put_each(self.hub.store, updates.objects(), lambda: self.hub.store_looks.limited(look_ends()))
        return updates.planned

    @perform.register
    async def _list_updates(self, action: ListUpdates) -> None:
        await early.list_updates(self.hub, self.seen, action)

    @perform.register
    async def _stop_early(self, _: StopEarly) -> None:
        await self.hub.client.delete_if_exists("Job", names.aggregation_name(self.round.metadata.uid, EARLY_NUMBER))

    @perform.register
    async def _store_model(self, action: StoreModel) -> None:
        secret = await self.hub.client.get("Secret", names.aggregation_name(self.round.metadata.uid, action.number))
        plan = kept_plan.read(vault.value(secret, "plan.json"))
        made = results.model(plan, action.answer, action.model, self.hub.identity.key)
        # First the cards of what this round measured: once the result is kept, the plan does not ask for this again.
        await self._revise_card(action.model.result)
        card = await self._card(action.model, made.manifest)
        await vault.keep_model(self.hub.client, self.round, replace(made, card=card))

    async def _card(self, stored: StoredModel, manifest: ModelManifest) -> str:
        """The signed card of the model that this round has made; "" if it has made none."""
        if stored.task != "Train":
            return ""
        assert self.seen.schema is not None, "a round that has asked hospitals has a DataSchema"
        making = cards.Making(
            round=self.round,
            stored=stored,
            manifest=manifest,
            base=self.base,
            base_card=self._opened(self.base.card) if self.base and self.base.card else None,
            hospital_names=names_on_card(self.seen.participants, stored.aggregated),
            schema_digest=self.seen.schema.digest,
            schema=await self._data_schema(self.seen.schema),
        )
        return sign_card(cards.first(making, self.hub.clock()), self.hub.identity.key)

    async def _data_schema(self, assigned_schema: AssignedSchema) -> Mapping[str, Any] | None:
        """The spec of the round's DataSchema; None if people have deleted it, or made another one of its name."""
        meta = self.round.metadata
        item = await self.hub.client.get_if_exists("DataSchema", self.round.spec.schema_name, meta.namespace)
        if item is None:
            return None
        try:
            return item["spec"] if assigned(item["spec"]) == assigned_schema else None
        except SchemaInvalid:
            return None

    def _base_for(self, participant: str) -> Model | None:
        """The base, with the card that this site reads."""
        reads = self.round.spec.task != "Deliver" or reads_names(self.seen.participants[participant])
        card = self._opened(self.base.card) if self.base and self.base.card and not reads else None
        if self.base is None or card is None or not card.hospital_names:
            return self.base
        return replace(self.base, card=sign_card(cards.without_names(card), self.hub.identity.key))

    async def _revise_card(self, result: Result) -> None:
        """Puts the numbers of this round onto the card of the model that it measured."""
        if self.base is None or not self.base.card:
            return

        def revise(text: str) -> str | None:
            before = self._opened(text)
            name, task = self.round.metadata.name, self.round.spec.task
            card = before and cards.measured(before, result, name, task, self.hub.clock())
            return sign_card(card, self.hub.identity.key) if card else None

        base_uid = self.base.manifest.header.round_uid
        await vault.revise_card(self.hub.client, base_uid, revise)
        await version_cards.show(self.hub, self.round.metadata.namespace, self._versions_of_base(), base_uid)

    def _versions_of_base(self) -> tuple[str, ...]:
        """Names of the ModelVersions that may be of the model that this round starts from."""
        if version := base_version(self.round):
            return (version,)
        owners = self.seen.base.metadata.owner_references if self.seen.base else ()
        return tuple(each.name for each in owners if each.kind == modelversion.KIND)

    def _opened(self, card: str) -> ModelCard | None:
        """A card of this hub; None for a damaged one, because no round may fail for it."""
        try:
            return open_card(card, self.hub.identity.key.public_key())
        except Refused as damage:
            logger.error("round %s: the card of its base cannot be used: %s", self.round.metadata.name, damage.reason)
            return None

    @perform.register
    async def _clean_up(self, action: CleanUp) -> None:
        """Deletes the keys first, because that needs no store. The emptied Secret goes last: as long as it exists, it
        says what is left to do. Then the status says that nothing is left."""
        client, memory = self.hub.client, await self._memory()
        if memory.get("data"):
            await vault.note(client, memory, {}, emptied=True)
        for plan in self.made.plans.values():
            await client.delete_if_exists("Secret", plan["metadata"]["name"])
        await delete_stored(self.hub, names.updates_prefix(self.round.metadata.uid), look_ends())
        if action.until is None:
            await client.delete_if_exists("Secret", memory["metadata"]["name"], uid=memory["metadata"]["uid"])
        else:
            notes = {names.CLEANED_UP: to_seconds(self.hub.clock()), names.PUTS_UNTIL: to_seconds(action.until)}
            await vault.note(client, memory, notes)

    async def _memory(self) -> Object:
        """The Secret of the round's key. If somebody has deleted it, an empty one takes its place: without it, nothing
        says what is left to do if the store fails."""
        if self.made.key is not None:
            return self.made.key
        numbers = sorted(self.made.plans)
        await vault.make_memory(self.hub.client, self.round, {names.AGGREGATIONS: " ".join(map(str, numbers))})
        return await self.key.secret()

    def _recipient(self, name: str) -> Recipient:
        return Recipient.from_participant(self.seen.participants[name])

    async def _grants(self, recipient: Recipient, attempt: int, upload: Upload | None) -> tuple[str, datetime]:
        uid = self.round.metadata.uid
        location = names.update_location(uid, attempt, recipient.name)
        now = self.hub.clock()
        # Each part has a URL: to sign those of a large model takes a tenth of a second for each participant.
        models, external = (self.base, upload), self.hub.external
        return await beside(grant, recipient, uid, attempt, location, *models, external, now, self.references)

    async def _patch(self, task: RoundTask, spec: dict[str, object], notes: dict[str, str]) -> None:
        metadata = {"uid": task.metadata.uid, "annotations": notes}
        body = {"metadata": metadata, "spec": spec}
        patched = await self.hub.client.patch("RoundTask", task.metadata.name, body, task.metadata.namespace)
        self.hub.tasks.put(patched)


def _granted(expires: datetime, upload: Upload | None) -> dict[str, str]:
    return {GRANTS_EXPIRE: to_seconds(expires), GRANTS_BYTES: granted_text(upload)}
