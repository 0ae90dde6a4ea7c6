"""The controller of ModelPushes: observe, plan, execute, one status write. Keeps and forgets what was pushed.

A ModelVersion that was pushed has the name of its ModelPush, so one key stands for both.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from wardround.api import conditions, federatedround, modelpush, modelversion, names
from wardround.api.federatedround import base_version
from wardround.api.modelpush import ModelPush, ModelPushStatus
from wardround.api.modelversion import ModelVersion, ModelVersionStatus
from wardround.api.times import read_time, sooner, to_seconds
from wardround.clock import Draw
from wardround.documents import pushes as documents
from wardround.documents.pushes import SealedPush
from wardround.hub import register, requests, vault, version_cards
from wardround.hub.context import Context
from wardround.hub.leftovers import Memory, delete_remembered
from wardround.hub.observe import started_from
from wardround.kube.controller import Key, Source, Wake
from wardround.kube.errors import ApiError, NotFound
from wardround.kube.queue import WorkQueue
from wardround.kube.retries import Retries
from wardround.plans import push as push_plan
from wardround.plans.push import ExaminedFile, Observation, Plan
from wardround.plans.request import expires
from wardround.plans.round.status import is_over
from wardround.plans.schema import assigned
from wardround.ports import Object
from wardround.reasons.registry import REASONS
from wardround.sealing.body import new_file_key
from wardround.store.errors import StoreError
from wardround.tabular import dataschema
from wardround.tabular.dataschema import SchemaInvalid
from wardround.threads import beside
from wardround.wire.assignment import AssignedSchema

# A round that needs a forgotten model is over some time. No event of it names the model.
FOLLOWERS_SECONDS = 60.0
# To read a pushed file can take long. While others wait for the store, the push waits without a worker.
WAITING_SECONDS = 10.0
logger = logging.getLogger(__name__)


class PushController:
    """`_uids`: by name, UIDs of pushes whose Secret may exist. Events of pushes and versions show them, and the entries
    of the register at the start of the hub operator."""

    kind = modelpush.KIND
    sources: Mapping[str, Source] = {modelpush.KIND: Source.EVERYWHERE, modelversion.KIND: Source.EVERYWHERE}

    def __init__(self, hub: Context, queue: WorkQueue[Key], *, draw: Draw) -> None:
        self._hub = hub
        self._queue = queue
        self._draw = draw
        self._uids: defaultdict[Key, set[str]] = defaultdict(set)

    def keys(self, kind: str, item: Object) -> Iterable[Wake]:
        if kind == modelversion.KIND and "pushed" not in item["spec"]:
            return ()
        key = Key(self.kind, item["metadata"]["namespace"], item["metadata"]["name"])
        self._uids[key].add(item["spec"]["roundUID"] if kind == modelversion.KIND else item["metadata"]["uid"])
        return (Wake(key),)

    async def run(self) -> None:
        """Finds the pushes and versions that were deleted while no operator ran."""
        retries = Retries(self._draw, most_seconds=60)
        while True:
            try:
                async for item in register.entries(self._hub.client, names.PUSH_UID):
                    key = Key(self.kind, *vault.push_of(item))
                    self._uids[key].add(item["metadata"]["labels"][names.PUSH_UID])
                    self._queue.add(key)
                return
            except ApiError as failure:
                await retries.wait(failure)

    async def reconcile(self, key: Key) -> float | None:
        """Raises ApiError, StoreError. After a crash the push is looked at again."""
        item = await self._hub.client.get_if_exists(self.kind, key.name, key.namespace)
        version = await self._version(key)
        after_push: float | None = None
        failure: StoreError | None = None
        if item is not None:
            try:
                after_push = await self._push(item, modelpush.parse(item), version)
            except StoreError as away:
                failure = away  # a file that cannot be read keeps no key of an earlier push
            item = await self._hub.client.get_if_exists(self.kind, key.name, key.namespace)
            version = await self._version(key)
        if version is not None and version.spec.pushed is not None:
            await self._ready(version)
        kept = {version.spec.round_uid} if version is not None else set()
        push = modelpush.parse(item) if item is not None else None
        if push is not None and not _has_failed(push):
            kept.add(push.metadata.uid)
        after = sooner(after_push, await self._forget(key, kept))
        if failure is not None:
            raise failure
        return after

    async def _version(self, key: Key) -> ModelVersion | None:
        item = await self._hub.client.get_if_exists(modelversion.KIND, key.name, key.namespace)
        return modelversion.parse(item) if item is not None else None

    async def _push(self, item: Object, push: ModelPush, version: ModelVersion | None) -> float | None:
        schema, spec, features = await self._schema(push)
        seen = Observation(
            push=push,
            schema=schema,
            features=features,
            name_taken=version is not None and version.spec.round_uid != push.metadata.uid,
            kept=version is not None and version.spec.round_uid == push.metadata.uid,
            key_usable=requests.key_usable(push),
            examined=None,
            now=self._hub.clock(),
        )
        plan = push_plan.plan(seen)
        if plan.look:
            await self._hub.reporter.write(item, push.status, plan.status)
            item = await self._hub.client.get(self.kind, push.metadata.name, push.metadata.namespace)
            examined = await self._look(push)
            if examined is None:
                return sooner(plan.requeue_after, WAITING_SECONDS)
            seen = replace(seen, push=modelpush.parse(item), examined=examined)
            plan = push_plan.plan(seen)
        if plan.delete:
            await requests.delete(self._hub, self.kind, push)
            return None
        status = await self._carried_out(seen, plan, spec)
        await requests.write(self._hub, item, seen.push.status, status)
        return plan.requeue_after

    async def _carried_out(self, seen: Observation, plan: Plan, schema_spec: Mapping[str, Any]) -> ModelPushStatus:
        """The status, once the API server has what the plan asks for."""
        hub, push = self._hub, seen.push
        if plan.offer:
            fresh = new_file_key()
            until = to_seconds(expires(push))
            await vault.keep_push(hub.client, push, SealedPush(fresh, documents.header(push, fresh)), until)
            sealed = await vault.sealed_push(hub.client, push.metadata.uid)
            arguments = (push, sealed, hub.identity, hub.external, hub.settings.store_ca, seen.now)
            return replace(plan.status, upload=await beside(documents.offer, *arguments))
        if plan.keep and seen.schema is not None and seen.examined is not None:
            sealed = await vault.sealed_push(hub.client, push.metadata.uid)
            made = documents.model(push, sealed, seen.examined, seen.schema, schema_spec, hub.identity, seen.now)
            # The model comes first: a person who sees the version can start from it.
            await vault.keep_pushed(hub.client, push.metadata.uid, made)
            await hub.client.create_if_absent(documents.version(push, made))
        return plan.status

    async def _schema(self, push: ModelPush) -> tuple[AssignedSchema | None, Mapping[str, Any], int]:
        """The DataSchema that the push names, its spec, and the number of its features."""
        meta = push.metadata
        item = await self._hub.client.get_if_exists("DataSchema", push.spec.schema_name, meta.namespace)
        if item is None:
            return None, {}, 0
        try:
            return assigned(item["spec"]), item["spec"], len(dataschema.parse(item["spec"]).features)
        except SchemaInvalid:
            return None, {}, 0

    async def _look(self, push: ModelPush) -> ExaminedFile | None:
        """What the store has; None while as many looks wait for the store as may wait long."""
        from wardround.hub import pushed_file

        hub = self._hub
        try:
            sealed = await vault.sealed_push(hub.client, push.metadata.uid)
        except (NotFound, KeyError, ValueError) as damage:
            logger.error("the key of push %s is of no use: %s", push.metadata.uid, type(damage).__name__)
            return ExaminedFile(reason=pushed_file.ALTERED, tensors={})
        # Nothing may run in between: another look could begin to wait, and this one would end after two seconds.
        if hub.store_looks.crowded:
            return None
        async with hub.store_looks.limited(None):
            return await pushed_file.look(hub.store, hub.internal, push, sealed, hub.clock())

    async def _ready(self, version: ModelVersion) -> None:
        """A pushed version is ready as soon as it exists: its model was kept before."""
        if conditions.is_true(version.status.conditions, "Ready"):
            return
        item = await self._hub.client.get(modelversion.KIND, version.metadata.name, version.metadata.namespace)
        generation = version.metadata.generation
        known = conditions.set_condition(
            (),
            "Ready",
            True,
            "VersionPushed",
            REASONS["VersionPushed"].meaning,
            now=self._hub.clock(),
            generation=generation,
        )
        card = await version_cards.newest(self._hub, version.spec.round_uid)
        status = ModelVersionStatus(observed_generation=generation, conditions=known, card=card)
        await self._hub.reporter.write(item, version.status, status)

    async def _forget(self, key: Key, kept: set[str]) -> float | None:
        """Deletes what was pushed under this name but for the UIDs in `kept`. Returns `requeue_after`.

        All keys go at once. An empty Secret is the memory of what is left to do: as long as the addresses hold,
        somebody can still upload.
        """
        hub = self._hub
        after: float | None = None
        memories: list[Memory] = []
        for uid in sorted(self._uids[key] - kept):
            item = await hub.client.get_if_exists("Secret", names.model_secret(uid))
            if item is None:
                await register.remove(hub.client, uid)
                self._uids[key].discard(uid)
                continue
            if await self._is_needed(key, uid):
                after = FOLLOWERS_SECONDS
                continue
            if item.get("data"):
                await vault.note(hub.client, item, {}, emptied=True)
            until = read_time(item["metadata"]["annotations"].get(names.PUTS_UNTIL, ""))
            memories.append(Memory(item, (names.models_prefix(uid),), until))
        until = await delete_remembered(hub, memories)
        if until is None:
            for each in memories:
                await register.remove(hub.client, each.item["metadata"]["labels"][names.PUSH_UID])
        if not self._uids[key]:
            del self._uids[key]
        return sooner(after, max((until - hub.clock()).total_seconds(), 0.0) if until else None)

    async def _is_needed(self, key: Key, push_uid: str) -> bool:
        """Whether a round that is not over has started from the model."""
        async for item in self._hub.client.each(federatedround.KIND, key.namespace):
            live = federatedround.parse(item)
            if base_version(live) != key.name or is_over(live):
                continue
            tasks = await self._hub.tasks.recall(live.metadata)
            if started_from(each.metadata.labels for each in tasks) == push_uid:
                return True
        return False


def _has_failed(push: ModelPush) -> bool:
    return conditions.is_true(push.status.conditions, "Failed")
