"""A FederatedModel at a real API server with the chart's rights: the hub operator makes its rounds and its version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.apiserver import account
from tests.integration.api.objects import DIGEST, FEDERATION, HUB, condition, federated_model, federated_round
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import conditions
from wardround.kube.errors import NotFound
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")
OPERATOR = account(HUB, "hub-operator")


async def newest(world: World, model: str, rounds: int) -> Object:
    """The live round of the series, once the status names so many."""

    async def made() -> Object | None:
        status = (await world.client.get("FederatedModel", model, FEDERATION)).get("status") or {}
        named = (status.get("series") or {}).get("rounds", [])
        if len(named) < rounds:
            return None
        try:
            return await world.client.get("FederatedRound", named[rounds - 1]["name"], FEDERATION)
        except NotFound:
            return None

    made_round: Object = await until(made, f"round {rounds} of {model}")
    return made_round


def end(world: World, made: Object, kind: str, **result: Any) -> None:
    """The hub operator finds a round over. How rounds end is for other tests."""
    status: dict[str, Any] = {"conditions": [condition(kind)]}
    if kind == "Complete":
        status["result"] = {"digest": DIGEST, "location": "models/x", "bytes": 9, "samples": 300, **result}
    world.admin.patch_status("FederatedRound", made["metadata"]["name"], status, FEDERATION, user=OPERATOR)


def loss(value: str, model: str) -> dict[str, Any]:
    number = {"name": "loss", "value": value, "people": 90, "hospitals": 2, "rows": "Validation", "model": model}
    return {"metrics": [number]}


async def test_a_series_runs_to_a_version_and_survives_a_restart(world: World) -> None:
    world.admin.create(federated_model("restarted", rounds=2))
    statistics = await newest(world, "restarted", 1)
    assert statistics["spec"]["task"] == "Statistics"
    end(world, statistics, "Complete")
    first = await newest(world, "restarted", 2)
    assert first["spec"]["initial"]["statisticsRoundName"] == statistics["metadata"]["name"]
    await world.restart()
    end(world, first, "Complete")
    second = await newest(world, "restarted", 3)
    end(world, second, "Complete", **loss("0.5", first["metadata"]["name"]))
    evaluation = await newest(world, "restarted", 4)
    end(world, evaluation, "Complete", **loss("0.6", second["metadata"]["name"]))

    async def ready() -> Object | None:
        item = await world.client.get("FederatedModel", "restarted", FEDERATION)
        return item if conditions(item).get("Ready") == ("True", "VersionCurrent") else None

    model: Object = await until(ready, "the version counts")
    assert [each["outcome"] for each in model["status"]["series"]["rounds"]] == ["Complete"] * 4

    async def numbered() -> Object | None:
        item = await world.client.get("ModelVersion", model["status"]["current"], FEDERATION)
        return item if conditions(item).get("Ready") == ("True", "VersionReady") else None

    version: Object = await until(numbered, "the version has its numbers")
    assert version["spec"]["roundName"] == first["metadata"]["name"]
    assert version["status"]["metrics"][0]["value"] == "0.5"
    kept = await world.client.get("FederatedRound", first["metadata"]["name"], FEDERATION)
    assert {each["kind"] for each in kept["metadata"]["ownerReferences"]} == {"FederatedModel", "ModelVersion"}


async def test_a_round_of_a_person_keeps_its_name(world: World) -> None:
    model = federated_model("unlucky")
    model["spec"]["suspend"] = True
    world.admin.create(model)

    async def named() -> str | None:
        status = (await world.client.get("FederatedModel", "unlucky", FEDERATION)).get("status") or {}
        rounds = (status.get("series") or {}).get("rounds", [])
        return str(rounds[0]["name"]) if rounds else None

    name: str = await until(named, "the status names a round")
    world.admin.create(federated_round(name))
    world.admin.patch("FederatedModel", "unlucky", {"spec": {"suspend": False}}, FEDERATION)

    async def stalled() -> bool:
        item = await world.client.get("FederatedModel", "unlucky", FEDERATION)
        return conditions(item).get("Stalled") == ("True", "NameTaken")

    await until(stalled, "NameTaken")
    assert "ownerReferences" not in (await world.client.get("FederatedRound", name, FEDERATION))["metadata"]
