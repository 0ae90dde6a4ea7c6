"""A person sweeps over parameters and compares two models in pairs, with the commands and a real API server."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.integration.api.objects import FEDERATION, federated_model
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import conditions
from tests.integration.hub.test_models import end, loss, newest, until_model
from wardround.api import names
from wardround.kube.errors import NotFound
from wardround.kubectl import main
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def runs(world: World, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Both outputs of a command. The hub operator runs in this thread's loop."""
    capsys.readouterr()
    more = ["-n", FEDERATION, "--kubeconfig", str(world.admin.kubeconfig)]
    assert await asyncio.to_thread(main, [*words, *more]) == 0
    output = capsys.readouterr()
    return output.out + output.err


def models(world: World) -> list[Object]:
    path = f"/apis/wardround.io/v1alpha1/namespaces/{FEDERATION}/federatedmodels"
    items = world.admin.call("GET", path)["items"]
    swept = [each for each in items if each["metadata"].get("labels", {}).get(names.SWEEP) == "swept"]
    return sorted(swept, key=lambda each: str(each["spec"]["series"]["parameters"]["epochs"]))


async def trained(world: World, model: str, value: str) -> None:
    """Plays the rounds of a series of one Train round, whose model has this loss."""
    await end(world, await newest(world, model, 1), "Complete")
    train = await newest(world, model, 2)
    await end(world, train, "Complete")
    await end(world, await newest(world, model, 3), "Complete", **loss(value, train["metadata"]["name"]))

    async def measured() -> bool:
        live = await world.client.get("FederatedModel", model, FEDERATION)
        listed = live["status"].get("versions", [])
        if not listed:
            return False
        version = await world.client.get("ModelVersion", listed[0], FEDERATION)
        return conditions(version).get("Ready") == ("True", "VersionReady")

    await until(measured, f"the version of {model}")


async def comparison(world: World) -> Object:
    """The round that compares two models, once there is one."""

    async def made() -> Object | None:
        path = f"/apis/wardround.io/v1alpha1/namespaces/{FEDERATION}/federatedrounds"
        items = (await asyncio.to_thread(world.admin.call, "GET", path))["items"]
        comparisons = [each for each in items if each["metadata"]["name"].startswith("compare-")]
        return comparisons[0] if comparisons else None

    live: Object = await until(made, "the round of the comparison")
    return live


def assert_in_pairs(spec: Object, better: str, worse: str) -> None:
    """The round measures both models on the same validation rows, and has no gate."""
    assert (spec["task"], spec["rows"], spec["parameters"]) == ("Evaluate", "Validation", {"epochs": "2"})
    assert spec["base"]["roundName"].startswith(f"{better[:30].rstrip('-')}-s1-r1-")
    assert len(spec["references"]) == 1
    assert spec["references"][0].startswith(f"{worse[:30].rstrip('-')}-s1-r1-")
    assert "gate" not in spec


async def is_gone(world: World, model: str) -> bool:
    try:
        await world.client.get("FederatedModel", model, FEDERATION)
    except NotFound:
        return True
    return False


async def test_a_sweep_is_made_once_ranked_and_its_first_two_are_compared_in_pairs(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = federated_model("swept", rounds=1, parameters={"epochs": "1"})
    model["spec"]["deliver"] = {"to": "Participants"}
    # Training code reports `steps` for the strategy alone. The API server refuses the metric in an Evaluate round.
    model["spec"]["round"] |= {"aggregation": {"strategy": "FedNova"}, "metrics": ["loss", "steps"]}
    file = tmp_path / "model.yaml"
    file.write_text(yaml.safe_dump(model))
    command = ("sweep", str(file), "--set", "epochs=1,2")
    output = await runs(world, capsys, *command)
    assert output.count("Created federatedmodel/") == 2
    assert "The table ranks 0 of 2 models" in output
    first, second = models(world)
    assert {each["spec"]["deliver"]["to"] for each in (first, second)} == {"Nobody"}
    one, two = (each["metadata"]["name"] for each in (first, second))
    await trained(world, one, "0.5")
    await trained(world, two, "0.4")

    output = await runs(world, capsys, *command)
    assert "Created" not in output
    assert "The table ranks 2 of 2 models by their loss on validation rows of 2 hospitals." in output
    assert output.index(two) < output.index(one)
    # The version of either model waits for people.
    for name in (one, two):
        waits = await until_model(world, name, "Ready", ("False", "PeopleDecide"))
        assert "current" not in waits["status"]

    running = asyncio.create_task(runs(world, capsys, "compare", f"fm/{two}", f"fm/{one}"))

    live = await comparison(world)
    spec = live["spec"]
    assert_in_pairs(spec, two, one)
    assert "ownerReferences" not in live["metadata"]
    reference, base = spec["references"][0], spec["base"]["roundName"]
    numbers = {"value": "-0.1", "low": "-0.2", "high": "-0.05", "better": "Lower", "people": 80, "events": 30}
    over = {"hospitals": 2, "rows": "Validation", "model": base, "reference": reference}
    await end(world, live, "Complete", differences=[{**numbers, **over}])
    output = await running
    assert "-0.2 to -0.05" in output
    # The same comparison costs no second evaluation.
    assert "Created" not in await runs(world, capsys, "compare", f"fm/{two}", f"fm/{one}")
    for name in (one, two):
        world.admin.delete("FederatedModel", name, FEDERATION)
    world.admin.delete("FederatedRound", live["metadata"]["name"], FEDERATION)
    await until(partial(is_gone, world, one), "the sweep is deleted")
