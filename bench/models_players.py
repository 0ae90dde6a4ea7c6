"""Plays hospitals, and the Job controller with the kubelet, for bench/models.py, with as little work as possible.

The hub operator sees every object and every status write of a round. Nobody trains: updates and results are random
bytes in the real store, and the numbers of a result are invented. The hub operator opens none of them.
"""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.integration.api.objects import HUB, condition
from wardround.aggregate import plan as plans
from wardround.aggregate.update_list import listed_updates
from wardround.api import names
from wardround.api.conditions import NEVER
from wardround.api.times import to_seconds
from wardround.kube.client import Client
from wardround.kube.errors import Conflict, NotFound
from wardround.metrics import registry
from wardround.ports import Object
from wardround.presign import Presigner
from wardround.sealing import body
from wardround.store.transfer import StoreClient
from wardround.wire import digests
from wardround.wire.aggregation import (
    AggregationPlan,
    AggregationResult,
    CombinedDifference,
    CombinedMetric,
    CombinedVerdict,
)

UPDATE_BYTES = 1000
# A signed manifest has about so many characters.
MANIFEST = "m" * 5000
SAMPLES = 200
HOUR = 3600
VERDICTS = (
    CombinedVerdict(outcome="Accepted", reason="NotWorse", reference="", unseen=()),
    CombinedVerdict(outcome="Worse", reason="WorseThanReference", reference="", unseen=()),
    CombinedVerdict(outcome="Undecided", reason="NotShown", reference="", unseen=()),
)


class Player(ABC):
    """Follows objects of one kind and works on several at once. Ends the benchmark if its own code fails."""

    def __init__(self, client: Client, store: StoreClient, presigner: Presigner) -> None:
        self.client, self.store, self.presigner = client, store, presigner
        self._begun: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, item: Object, step: str, work: Coroutine[Any, Any, None]) -> None:
        """Does a step of an object, once."""
        key = (item["metadata"]["uid"], step)
        if key in self._begun:
            work.close()
            return
        self._begun.add(key)
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def forget(self, item: Object) -> None:
        self._begun = {key for key in self._begun if key[0] != item["metadata"]["uid"]}

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) and not self._failed.done():
            self._failed.set_exception(failure)

    async def run(self) -> None:
        """Runs without end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.follow())
            group.create_task(self._fail())

    async def _fail(self) -> None:
        await self._failed

    @abstractmethod
    async def follow(self) -> None:
        """Watches and plays, without end."""

    async def write(self, item: Object, change: Mapping[str, Any]) -> None:
        """Writes a status, and again on a conflict. An object that is gone needs no status."""
        while True:
            try:
                await self.client.apply_status(item, {}, change)
            except Conflict:
                pass
            else:
                return
            meta = item["metadata"]
            try:
                item = await self.client.get(item["kind"], meta["name"], meta["namespace"])
            except NotFound:
                return


class Hospital(Player):
    """Accepts each RoundTask at once, asks for grants, and sends once it has them."""

    async def follow(self) -> None:
        async for event, item in self.client.watch("RoundTask"):
            if event == "DELETED":
                self.forget(item)
            elif event in ("ADDED", "MODIFIED"):
                item = {"apiVersion": "wardround.io/v1alpha1", "kind": "RoundTask", **item}
                holds = {each["type"] for each in item.get("status", {}).get("conditions", ()) if _is_true(each)}
                if "Trained" not in holds:
                    self.start(item, "trained", self._trained(item))
                elif "Sent" not in holds and item["metadata"].get("annotations", {}).get(names.GRANTS_BYTES):
                    self.start(item, "sent", self._sent(item))

    async def _trained(self, item: Object) -> None:
        await self.write(item, {"conditions": _conditions("Accepted", "Trained"), "upload": {"bytes": UPDATE_BYTES}})

    async def _sent(self, item: Object) -> None:
        uid, attempt = item["spec"]["roundRef"]["uid"], item["spec"]["attempt"]
        location = names.update_location(uid, attempt, item["metadata"]["namespace"])
        await self.put(f"{location}/{body.part_name(0)}", secrets.token_bytes(UPDATE_BYTES))
        update = {"manifest": MANIFEST, "samples": SAMPLES}
        await self.write(item, {"conditions": _conditions("Accepted", "Trained", "Sent"), "update": update})

    async def put(self, key: str, data: bytes) -> None:
        upload = self.presigner.put(key, datetime.now(UTC), HOUR, length=len(data))
        await self.store.put_bytes(upload.url, upload.headers, data)


class Kubelet(Player):
    """Makes the pod of each aggregation Job, ends it with an answer, and deletes it after its Job. `answered`: how many
    Jobs have ended."""

    answered = 0

    async def follow(self) -> None:
        async for event, item in self.client.watch("Job", HUB):
            if event == "DELETED":
                self.forget(item)
                await self.client.delete_if_exists("Pod", item["metadata"]["name"], HUB)
            elif event in ("ADDED", "MODIFIED") and not item.get("status", {}).get("conditions"):
                self.start(item, "ended", self._end({"apiVersion": "batch/v1", "kind": "Job", **item}))

    async def _end(self, job: Object) -> None:
        name, template = job["metadata"]["name"], job["spec"]["template"]
        secret = await self.client.get("Secret", name, HUB)
        plan = plans.parse(base64.b64decode(secret["data"]["plan.json"]))
        for upload in (plan.put.parts[0], plan.put.segments):
            await self.store.put_bytes(upload.url, upload.headers, secrets.token_bytes(UPDATE_BYTES))
        number = int(job["metadata"]["labels"][names.ATTEMPT])
        hospitals = tuple([each.participant async for each in listed_updates(self.store, plan.listed)])
        message = plans.spell(answer(plan, number, hospitals)).decode()
        meta = {"name": name, "namespace": HUB, **template["metadata"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}
        now = to_seconds(datetime.now(UTC))
        ended = {"exitCode": 0, "message": message, "startedAt": now, "finishedAt": now}
        container = {"name": "aggregate", "image": "x", "imageID": "x", "ready": False, "restartCount": 0}
        states = [{**container, "state": {"terminated": ended}}]
        await self.write(await self.client.create(pod), {"phase": "Succeeded", "containerStatuses": states})
        over = [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("SuccessCriteriaMet", "Complete")
        ]
        counted = {"succeeded": 1, "startTime": now, "completionTime": now, "uncountedTerminatedPods": {}}
        await self.write(job, {**counted, "conditions": over})
        self.answered += 1


def answer(plan: AggregationPlan, number: int, hospitals: tuple[str, ...]) -> AggregationResult:
    """The answer of an aggregation that combined all updates, with invented numbers. Each later model has a slightly
    lower loss or a slightly higher one, so the gate has all its verdicts."""
    dice = random.Random(plan.round.uid)  # noqa: S311 - no secret
    header = body.new_header(
        plan.data_key,
        kind=body.MODEL,
        round_uid=plan.round.uid,
        attempt=number,
        participant="",
        base_digest=plan.base_digest or "",
        image_digest=plan.image_digest,
        schema_digest=digests.digest(b"schema"),
        length=UPDATE_BYTES - body.TAG,
    )
    measures = plan.task == "Evaluate" or plan.base is not None
    people = SAMPLES * len(hospitals)

    def metric() -> CombinedMetric:
        value = dice.uniform(0.3, 0.4)
        low, high = f"{value - 0.1:.4f}", f"{value + 0.1:.4f}"
        return CombinedMetric(value=f"{value:.4f}", low=low, high=high, people=people, hospitals=len(hospitals))

    differences = tuple(
        CombinedDifference(
            reference=each,
            value="-0.01",
            low="-0.02",
            high="0.005",
            loss="0.4",
            people=people,
            events=people // 2,
            hospitals=len(hospitals),
        )
        for each in plan.references
    )
    verdict = dice.choice(VERDICTS)
    return AggregationResult(
        header=header,
        digest=digests.digest(header.salt),
        segments_digest=digests.digest(header.commitment),
        bytes=UPDATE_BYTES,
        samples=people,
        metrics={name: metric() for name in registry.with_companions(plan.metrics)} if measures else {},
        calibration=(),
        by_hospital={},
        differences=differences,
        verdict=replace(verdict, reference=plan.references[0]) if plan.gate else None,
        withheld=0,
        uncounted=(),
        aggregated=hospitals,
        counted=(SAMPLES,) * len(hospitals) if plan.task == "Train" else (),
        left_out=(),
        state=(),
        closed=None,
    )


def _conditions(*kinds: str) -> list[Object]:
    now = to_seconds(datetime.now(UTC))
    return [{**condition(each, reason=each), "lastTransitionTime": now, "observedGeneration": 1} for each in kinds]


def _is_true(each: Object) -> bool:
    return bool(each["status"] == "True" and each["lastTransitionTime"] != NEVER)
