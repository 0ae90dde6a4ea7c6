"""Plays rounds at the hub: hospitals send, an aggregation runs as its pod would, the round reaches a condition."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.integration.api.objects import FEDERATION, HUB, federated_round
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.players.pods import ended, pod_of
from wardround.aggregate import plan as aggregate_plan
from wardround.aggregate.job import aggregate
from wardround.aggregate.scratch import Scratch
from wardround.api import names
from wardround.clock import system_draw
from wardround.kube.errors import NotFound
from wardround.ports import Object
from wardround.store.admin import list_keys
from wardround.store.transfer import StoreClient
from wardround.wire.aggregation import AggregationResult


def conditions(item: Object) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in item.get("status", {}).get("conditions", [])}


async def until_condition(world: World, name: str, kind: str, reason: str) -> Object:
    async def reached() -> Object | None:
        round_ = await world.client.get("FederatedRound", name, FEDERATION)
        return round_ if conditions(round_).get(kind) == ("True", reason) else None

    round_: Object = await until(reached, f"{name} {kind} {reason}")
    return round_


async def sent_round(world: World, name: str, folder: Path, **spec: Any) -> str:
    """UID of a new round to which both hospitals have sent."""
    created = world.admin.create(federated_round(name, **spec))
    async with world.server.client() as store:
        a, b = world.hospitals["site-a"], world.hospitals["site-b"]
        await asyncio.gather(a.send(name, [1.0, 2.0], 100, store, folder), b.send(name, [4.0, 8.0], 200, store, folder))
    return str(created["metadata"]["uid"])


async def complete_round(world: World, name: str, folder: Path) -> Object:
    await play_kubelet(world, await sent_round(world, name, folder))
    return await until_condition(world, name, "Complete", "Complete")


async def aggregation_pod(world: World, uid: str, number: int = 1, node: str | None = None) -> str:
    """The pod of an aggregation Job, as the Job's controller makes it once the hub has made the Job."""
    name = names.aggregation_name(uid, number)

    async def made() -> Object | None:
        try:
            return await world.client.get("Job", name)
        except NotFound:
            return None

    pod = pod_of(await until(made, f"Job {name}"))
    if node:
        pod["spec"]["nodeName"] = node
    world.admin.create(pod)
    return name


async def play_kubelet(
    world: World, uid: str, number: int = 1, plan_of: Callable[[Object], Object] | None = None
) -> AggregationResult:
    """Runs the aggregation of a Job as its pod would, and reports its end as the kubelet would. `plan_of`: makes the
    plan that the hub operator finds then, from that of the Job."""
    name = await aggregation_pod(world, uid, number)
    secret = await world.client.get("Secret", name)
    plan = aggregate_plan.parse(base64.b64decode(secret["data"]["plan.json"]))
    with TemporaryDirectory() as folder, Scratch(Path(folder)) as scratch:
        async with StoreClient(plan.store.origin, plan.store.ca_bundle, draw=system_draw) as store:
            result = await aggregate(plan, store, scratch, datetime.now(UTC))
    if plan_of is not None:
        world.admin.delete("Secret", name, HUB)
        meta = {key: secret["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
        document = json.dumps(plan_of(json.loads(base64.b64decode(secret["data"]["plan.json"])))).encode()
        world.admin.create(secret | {"metadata": meta, "data": {"plan.json": base64.b64encode(document).decode()}})
    world.admin.patch_status("Pod", name, ended(result, "2026-01-01T00:00:00Z"), HUB)
    return result


async def stored(world: World, prefix: str) -> list[str]:
    async with world.server.client() as store:
        return [key async for key in list_keys(store, world.server.presigner, prefix, datetime.now(UTC))]
