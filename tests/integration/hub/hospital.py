"""A hospital as the hub sees it: a site's account at the API server, beside the keys and the courier of the players."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tests.integration.api.objects import data_schema, dataset
from tests.players import courier
from tests.players.hospital import Hospital as Player
from tests.players.hospital import offering
from wardround.api import conditions, roundtask
from wardround.api.roundtask import RoundTask
from wardround.courier.send import Sealed
from wardround.kube.client import Client
from wardround.kube.errors import Conflict
from wardround.plans.assignment import base_digest
from wardround.simulate.courier import Courier
from wardround.store.transfer import StoreClient
from wardround.wire import codec
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Grants

# Of the first weights, which the hospitals make alike.
INITIAL_DIGEST = "sha256:" + "7" * 64
VALIDATION_SUMS = courier.validation_sums()


def now() -> datetime:
    return datetime.now(UTC)


async def until(look: Callable[[], Any], subject: str, seconds: float = 180) -> Any:
    """Polls until `look` (a coroutine function) returns something true."""
    for _ in range(int(seconds / 0.05)):
        value = await look()
        if value:
            return value
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {subject}")


@dataclass
class Hospital:
    name: str
    client: Client
    hub_fingerprint: str
    player: Player = field(init=False)

    def __post_init__(self) -> None:
        self.player = offering(self.name, "breast", dataset()["spec"], data_schema()["spec"], self.hub_fingerprint)

    @property
    def fingerprint(self) -> str:
        return self.player.fingerprint

    async def publish(self) -> None:
        """Keys and datasets into status.site."""

        async def published() -> bool:
            participant = await self.client.get("Participant", self.name)
            try:
                await self.client.apply_status(participant, {}, self.player.status())
            except Conflict:  # the hub has just written its part
                return False
            return True

        await until(published, "the keys of a hospital to be published")

    async def task(self, round_name: str, attempt: int = 1) -> RoundTask:
        async def find() -> RoundTask | None:
            tasks = map(roundtask.parse, await self.client.list("RoundTask"))
            return next((t for t in tasks if (t.spec.round_ref.name, t.spec.attempt) == (round_name, attempt)), None)

        task = await until(find, f"a RoundTask of {round_name} at {self.name}")
        assert isinstance(task, RoundTask)
        return task

    def assignment(self, task: RoundTask) -> Assignment:
        return self.player.assignment(task.spec)

    def grants(self, task: RoundTask) -> Grants:
        return self.player.grants(task.spec)

    async def report(self, task: RoundTask, status: dict[str, Any], *kinds: tuple[str, bool, str]) -> None:
        """Writes the RoundTask's status as the site operator does: all conditions, and again on a conflict."""
        stored = await self.client.get("RoundTask", task.metadata.name)
        known = roundtask.parse(stored).status.conditions
        for kind, holds, reason in kinds:
            known = conditions.set_condition(known, kind, holds, reason, now=now(), generation=1)
        try:
            await self.client.apply_status(stored, {}, {**status, "conditions": [codec.dump(each) for each in known]})
        except Conflict:
            await self.report(task, status, *kinds)

    async def send(
        self,
        round_name: str,
        weights: list[float],
        samples: int,
        store: StoreClient,
        folder: Path,
        *,
        tensors: Mapping[str, Any] | None = None,
    ) -> None:
        """Accept, seal these weights (after a first round: differences) or tensors, ask for grants, store, report."""
        task = await self.task(round_name)
        await self.report(task, {}, ("Accepted", True, "Accepted"))
        plain, schema_digest = courier.written(tensors or {"w": np.array(weights, dtype=np.float32)})
        workspace = folder / f"{self.name}-{round_name}"
        sealed, sender = await self.seal(task, workspace, plain, samples=samples, schema_digest=schema_digest)

        async def granted() -> RoundTask | None:
            task = await self.task(round_name)
            return task if self.grants(task).put else None

        await self.deliver(await until(granted, "PUT grants"), sealed, sender, store)

    async def seal(self, task: RoundTask, folder: Path, plain: bytes, **claims: Any) -> tuple[Sealed, Courier]:
        """Accept the task, seal an update for it, and ask for grants."""
        assignment = self.assignment(task)
        known = {
            "sums": VALIDATION_SUMS if assignment.task == "Train" else None,
            "base_digest": base_digest(assignment, task.spec.hub_key) or (INITIAL_DIGEST if assignment.initial else ""),
        }
        sealed, sender = await courier.seal(assignment, self.player.identity, folder, plain, **known, **claims)
        upload = {"upload": {"bytes": sealed.manifest.bytes}}
        await self.report(task, upload, ("Accepted", True, "Accepted"), ("Trained", True, "Trained"))
        return sealed, sender

    async def deliver(self, task: RoundTask, sealed: Sealed, sender: Courier, store: StoreClient) -> None:
        """Store the update by the grants of the task, and report."""
        await sender.send(sealed, self.grants(task), store)
        sent = {"manifest": sealed.envelope, "samples": sealed.manifest.samples}
        await self.report(task, {"update": sent}, ("Sent", True, "Sent"))
