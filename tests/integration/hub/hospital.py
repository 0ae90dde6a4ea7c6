"""A hospital as the hub sees it: a site's account at the API server, beside the keys and the courier of the players."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tests.players import courier
from tests.players.hospital import Hospital as Player
from wardround.api import conditions, roundtask
from wardround.api.roundtask import RoundTask
from wardround.kube.client import Client
from wardround.kube.errors import Conflict
from wardround.plans.assignment import base_digest
from wardround.store.transfer import StoreClient
from wardround.wire import codec
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Grants

# Of the first weights, which the hospitals make alike.
INITIAL_DIGEST = "sha256:" + "7" * 64


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
        self.player = Player(self.name)

    @property
    def fingerprint(self) -> str:
        return self.player.fingerprint

    async def publish(self) -> None:
        """Keys and datasets into status.site."""

        async def published() -> bool:
            participant = await self.client.get("Participant", self.name)
            try:
                await self.client.apply_status(participant, {}, self.player.status("breast"))
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
        return self.player.assignment(task.spec, self.hub_fingerprint)

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
        assignment = self.assignment(task)
        await self.report(task, {}, ("Accepted", True, "Accepted"))
        plain, schema_digest = courier.written(tensors or {"w": np.array(weights, dtype=np.float32)})
        sealed, place = await courier.seal(
            assignment,
            self.player.signing,
            folder / f"{self.name}-{round_name}",
            plain,
            samples=samples,
            sums=courier.validation_sums() if assignment.task == "Train" else None,
            base_digest=base_digest(assignment, task.spec.hub_key) or (INITIAL_DIGEST if assignment.initial else ""),
            schema_digest=schema_digest,
        )
        await self.report(task, {"upload": {"bytes": sealed.manifest.bytes}}, ("Trained", True, "Trained"))

        async def granted() -> Grants | None:
            grants = self.grants(await self.task(round_name))
            return grants if grants.put else None

        await courier.put(sealed, place, (await until(granted, "PUT grants")).put, store)
        update = {"manifest": sealed.envelope, "samples": samples}
        await self.report(task, {"update": update}, ("Sent", True, "Sent"))
