"""Plays hospitals, and the Job controller with the kubelet, for bench/models.py, with as little work as possible.

The hub operator sees every object and every status write of a round. Nobody trains. Hospitals seal random bytes, and
send them as couriers do. Models are random bytes in the real store, and the numbers of a result are invented: the hub
operator opens none of them.
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
from pathlib import Path
from typing import Any

from tests.integration.api.objects import HUB
from tests.integration.hub.hospital import Hospital
from tests.players.pods import ended, pod_of
from wardround.aggregate import plan as plans
from wardround.aggregate.update_list import listed_updates
from wardround.api import names, roundtask
from wardround.api.roundtask import RoundTask
from wardround.api.times import to_seconds
from wardround.courier.workspace import TaskFolder
from wardround.kube.client import Client
from wardround.kube.errors import Conflict, NotFound
from wardround.metrics import registry
from wardround.ports import Object
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

# Of the ciphertext of each update and of each model. A hub takes no update that is longer than its base.
UPDATE_BYTES = 1000
SAMPLES = 200
VERDICTS = (
    CombinedVerdict(outcome="Accepted", reason="NotWorse", reference="", unseen=()),
    CombinedVerdict(outcome="Worse", reason="WorseThanReference", reference="", unseen=()),
    CombinedVerdict(outcome="Undecided", reason="NotShown", reference="", unseen=()),
)


class Player(ABC):
    """Follows objects of one kind and works on several at once. Ends the benchmark if its own code fails."""

    def __init__(self, client: Client) -> None:
        self.client = client
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


class Site(Player):
    """Accepts each RoundTask of a hospital at once, asks for grants, and sends once it has them."""

    def __init__(self, hospital: Hospital, store: StoreClient, folder: Path) -> None:
        super().__init__(hospital.client)
        self._hospital, self._store, self._folder = hospital, store, folder
        self._granted: dict[str, asyncio.Future[RoundTask]] = {}

    async def follow(self) -> None:
        granted: asyncio.Future[RoundTask] | None
        async for event, item in self.client.watch("RoundTask"):
            if event in ("ADDED", "MODIFIED"):
                task = roundtask.parse(item)
                granted = self._granted.setdefault(task.metadata.uid, asyncio.Future())
                if task.metadata.annotations.get(names.GRANTS_BYTES) and not granted.done():
                    granted.set_result(task)
                self.start(item, "played", self._play(task, granted))
            elif event == "DELETED":
                self.forget(item)
                if granted := self._granted.pop(item["metadata"]["uid"], None):
                    granted.cancel()

    async def _play(self, task: RoundTask, granted: asyncio.Future[RoundTask]) -> None:
        folder = self._folder / task.metadata.uid
        try:
            plain = secrets.token_bytes(UPDATE_BYTES - body.TAG)
            sealed, sender = await self._hospital.seal(task, folder, plain, samples=SAMPLES)
            await self._hospital.deliver(await granted, sealed, sender, self._store)
        except NotFound:
            pass  # A task that is gone needs no status.
        finally:
            TaskFolder(folder).remove()


class Kubelet(Player):
    """Makes the pod of each aggregation Job, ends it with an answer, and deletes it after its Job. `answered`: how many
    Jobs have ended."""

    def __init__(self, client: Client, store: StoreClient) -> None:
        super().__init__(client)
        self._store = store
        self.answered = 0

    async def follow(self) -> None:
        async for event, item in self.client.watch("Job", HUB):
            if event == "DELETED":
                self.forget(item)
                await self.client.delete_if_exists("Pod", item["metadata"]["name"], HUB)
            elif event in ("ADDED", "MODIFIED") and not item.get("status", {}).get("conditions"):
                self.start(item, "ended", self._end({"apiVersion": "batch/v1", "kind": "Job", **item}))

    async def _end(self, job: Object) -> None:
        secret = await self.client.get("Secret", job["metadata"]["name"], HUB)
        plan = plans.parse(base64.b64decode(secret["data"]["plan.json"]))
        for upload in (plan.put.parts[0], plan.put.segments):
            await self._store.put_bytes(upload.url, upload.headers, secrets.token_bytes(UPDATE_BYTES))
        number = int(job["metadata"]["labels"][names.ATTEMPT])
        hospitals = tuple([each.participant async for each in listed_updates(self._store, plan.listed)])
        pod, now = await self.client.create(pod_of(job)), to_seconds(datetime.now(UTC))
        await self._write(pod, ended(answer(plan, number, hospitals), now))
        over = [
            {"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("SuccessCriteriaMet", "Complete")
        ]
        counted = {"succeeded": 1, "startTime": now, "completionTime": now, "uncountedTerminatedPods": {}}
        await self._write(job, {**counted, "conditions": over})
        self.answered += 1

    async def _write(self, item: Object, change: Mapping[str, Any]) -> None:
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
