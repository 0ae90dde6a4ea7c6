"""A FederatedModel at a real API server with the chart's rights: the hub operator makes its rounds and its version."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import toolchain
from tests.integration.api.apiserver import account
from tests.integration.api.objects import DIGEST, FEDERATION, HUB, condition, federated_model, federated_round
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import conditions
from tests.players.hub import Hub
from wardround.api import federatedround, names
from wardround.hub import vault
from wardround.kube.errors import NotFound
from wardround.kubectl import main
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")
OPERATOR = account(HUB, "hub-operator")


async def newest(world: World, model: str, rounds: int, series: int = 1) -> Object:
    """The live round of this series, once the status names so many."""

    async def made() -> Object | None:
        status = (await world.client.get("FederatedModel", model, FEDERATION)).get("status") or {}
        named = (status.get("series") or {}).get("rounds", [])
        if len(named) < rounds or status["series"]["number"] != series:
            return None
        try:
            return await world.client.get("FederatedRound", named[rounds - 1]["name"], FEDERATION)
        except NotFound:
            return None

    made_round: Object = await until(made, f"round {rounds} of {model}")
    return made_round


async def end(world: World, made: Object, kind: str, **result: Any) -> None:
    """The hub operator finds a round over. How rounds end is for other tests.

    The result has a key, or the rounds that start from it would fail.
    """
    status: dict[str, Any] = {"conditions": [condition(kind)]}
    if kind == "Complete":
        parsed = federatedround.parse(made)
        hub = Hub(await vault.identity(world.client))
        model = hub.seal_model(b"a model", parsed.metadata.uid, task=parsed.spec.task).model
        await vault.keep_model(world.client, parsed, model)
        status["result"] = {"digest": DIGEST, "location": "models/x", "bytes": 9, "samples": 300, **result}
    world.admin.patch_status("FederatedRound", made["metadata"]["name"], status, FEDERATION, user=OPERATOR)


def loss(value: str, model: str) -> dict[str, Any]:
    number = {"name": "loss", "value": value, "people": 90, "hospitals": 2, "rows": "Validation", "model": model}
    return {"metrics": [{**number, "low": "0.4", "high": "0.7"}]}


async def table(world: World, name: str) -> dict[str, str]:
    """The row that `kubectl get fm` shows, by column."""
    command = (str(toolchain.tool("kubectl")), f"--kubeconfig={world.admin.kubeconfig}", "get", "fm", name)
    printed = await asyncio.to_thread(
        subprocess.run, (*command, "-n", FEDERATION), capture_output=True, text=True, check=True
    )
    header, row = printed.stdout.splitlines()
    places = [header.index(column) for column in header.split()]
    return {
        header[start:end].strip(): row[start:end].strip()
        for start, end in zip(places, (*places[1:], None), strict=True)
    }


async def test_a_series_runs_to_a_version_and_survives_a_restart(world: World, tmp_path: Path) -> None:
    made = federated_model("restarted", rounds=2)
    made["spec"]["deliver"] = {"to": "Participants"}
    world.admin.create(made)
    statistics = await newest(world, "restarted", 1)
    assert statistics["spec"]["task"] == "Statistics"
    await end(world, statistics, "Complete")
    first = await newest(world, "restarted", 2)
    assert first["spec"]["initial"]["statisticsRoundName"] == statistics["metadata"]["name"]
    await world.restart()
    await end(world, first, "Complete")
    second = await newest(world, "restarted", 3)
    await end(world, second, "Complete", **loss("0.5", first["metadata"]["name"]))
    evaluation = await newest(world, "restarted", 4)
    await end(world, evaluation, "Complete", **loss("0.6", second["metadata"]["name"]))

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

    async def summarized() -> bool:
        item = await world.client.get("FederatedModel", "restarted", FEDERATION)
        return "loss" in item["status"].get("summary", {})

    await until(summarized, "the model has the numbers of its version")
    row = await table(world, "restarted")
    assert (row["LOGLOSS"], row["TREND"], row["SERIES"], row["ROUND"]) == ("0.5 (0.4 to 0.7)", "+0.1", "1", "2")
    assert {"CURRENT", "AUC", "NEXT"} < set(row)
    page = tmp_path / "restarted.html"
    words = ["report", "fm/restarted", "-n", FEDERATION, "-o", str(page), "--kubeconfig", str(world.admin.kubeconfig)]
    assert await asyncio.to_thread(main, words) == 0
    # Names of hospitals are in the report only if their Participants and tasks were found.
    assert ">0.5 (0.4 to 0.7)<" in page.read_text()
    assert "(site-a)" in page.read_text()
    kept = await world.client.get("FederatedRound", first["metadata"]["name"], FEDERATION)
    assert {each["kind"] for each in kept["metadata"]["ownerReferences"]} == {"FederatedModel", "ModelVersion"}

    # The result of this test has no card, so no hospital gets it.
    async def delivered() -> Object | None:
        item = await world.client.get("FederatedModel", "restarted", FEDERATION)
        return item if conditions(item).get("Delivered") == ("False", "DeliveryFailed") else None

    failed: Object = await until(delivered, "the delivery has failed")
    delivery = await world.client.get("FederatedRound", failed["status"]["delivery"]["round"], FEDERATION)
    assert conditions(delivery)["Failed"] == ("True", "DeliveryWithoutCard")
    assert (delivery["spec"]["task"], delivery["spec"]["base"]) == ("Deliver", {"roundName": first["metadata"]["name"]})
    await another_delivery(world, delivery["metadata"])


async def another_delivery(world: World, first: Object) -> None:
    """The author deletes a Deliver round that is over, and the hub operator makes another one."""
    world.admin.delete("FederatedRound", first["name"], FEDERATION)

    async def made() -> bool:
        item = await world.client.get_if_exists("FederatedRound", first["name"], FEDERATION)
        return item is not None and item["metadata"]["uid"] != first["uid"]

    await until(made, "the hub operator makes another Deliver round")


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


async def test_a_round_in_the_place_of_one_of_the_series_becomes_no_version(world: World) -> None:
    """A person who may delete and create rounds deletes the best one, and makes her own of that name."""
    world.admin.create(federated_model("replaced", rounds=2))
    await end(world, await newest(world, "replaced", 1), "Complete")
    first = await newest(world, "replaced", 2)
    name = first["metadata"]["name"]
    await end(world, first, "Complete")
    second = await newest(world, "replaced", 3)

    async def began() -> bool:
        item = await world.client.get("FederatedRound", second["metadata"]["name"], FEDERATION)
        return conditions(item).get("Reconciling") != ("True", "Pending")

    # A round that has not looked at its base yet would fail, because it would find hers (BaseReplaced).
    await until(began, "the second round has its base")
    await world.client.delete("FederatedRound", name, FEDERATION)

    async def gone() -> bool:
        return await world.client.get_if_exists("FederatedRound", name, FEDERATION) is None

    await until(gone, "the round is deleted")
    await end(world, world.admin.create(federated_round(name)), "Complete")
    await end(world, second, "Complete", **loss("0.2", name))
    last = await newest(world, "replaced", 4)
    await end(world, last, "Complete", **loss("0.6", second["metadata"]["name"]))

    async def stalled() -> Object | None:
        item = await world.client.get("FederatedModel", "replaced", FEDERATION)
        over = (item["status"].get("series") or {}).get("stage") == "Ended"
        return item if over and conditions(item).get("Stalled", ("", ""))[0] == "True" else None

    model: Object = await until(stalled, "the model says what is wrong")
    assert not model["status"].get("current")
    [message] = [each["message"] for each in model["status"]["conditions"] if each["type"] == "Stalled"]
    assert name in message
    world.admin.delete("FederatedRound", name, FEDERATION)


async def test_a_model_whose_round_the_api_server_refuses_says_why_and_goes_on_when_it_changes(world: World) -> None:
    """Each of the two fields is small enough for the FederatedModel. Together they are too many for a round."""
    model = federated_model("refused", rounds=1)
    model["spec"]["series"]["parameters"] = {f"p{number}": "1" for number in range(64)}
    step = [{"fromRound": 1, "value": "2"}]
    model["spec"]["series"]["schedules"] = [{"parameter": f"q{number}", "steps": step} for number in range(2)]
    world.admin.create(model)
    await end(world, await newest(world, "refused", 1), "Complete")

    async def stalled() -> str | None:
        item = await world.client.get("FederatedModel", "refused", FEDERATION)
        true = [each for each in item["status"]["conditions"] if each["type"] == "Stalled" and each["status"] == "True"]
        return str(true[0]["message"]) if true and true[0]["reason"] == "RoundRefused" else None

    message: str = await until(stalled, "RoundRefused")
    assert "spec.parameters" in message
    world.admin.patch("FederatedModel", "refused", {"spec": {"series": {"schedules": []}}}, FEDERATION)
    assert (await newest(world, "refused", 2))["spec"]["task"] == "Train"


@dataclass
class Weekly:
    """A model with one Train round a series, played series by series. `seen`: the names of the rounds of its series."""

    world: World
    seen: list[str] = field(default_factory=list)

    async def live(self) -> Object:
        return await self.world.client.get("FederatedModel", "weekly", FEDERATION)

    async def series(self, number: int, verdict: str = "") -> Object:
        """Let the rounds of the series end, and wait until its version is listed. The last round measures its model. In
        a further series, it also compares it."""
        for place in range(2 if verdict else 3):
            made = await self._round(place + 1, number)
            measured = made["spec"].get("base", {}).get("roundName", "initial weights")
            result = loss(f"0.{place + 3 + number}", measured)
            if place and verdict:
                assert made["spec"]["gate"] == {"minEvents": 20}
                result |= {"verdict": {"outcome": verdict, "reason": "NotWorse"}}
            await end(self.world, made, "Complete", **result)

        async def listed() -> Object | None:
            model = await self.live()
            return model if model["status"]["series"].get("version") and _number(model) == number else None

        model: Object = await until(listed, f"series {number} has its version")
        return model

    async def requested(self, number: int) -> None:
        """A person begins one further series."""
        words = ["begin", "fm/weekly", "-n", FEDERATION, "--kubeconfig", str(self.world.admin.kubeconfig)]
        assert await asyncio.to_thread(main, words) == 0
        await self._begun(number)

    async def timely(self, number: int) -> None:
        """A trigger for each minute begins one further series at once, as its start is in the past."""
        admin, trigger = self.world.admin, {"cron": "* * * * *", "timeZone": "Etc/UTC"}
        admin.patch("FederatedModel", "weekly", {"spec": {"trigger": trigger}}, FEDERATION)
        missed = {"next": {**trigger, "at": "2026-01-01T00:00:00Z"}}
        admin.patch_status("FederatedModel", "weekly", missed, FEDERATION, user=OPERATOR)
        await self._begun(number)
        admin.patch("FederatedModel", "weekly", {"spec": {"trigger": None}}, FEDERATION)

    async def only_left(self, versions: list[str], rounds: set[str]) -> bool:
        """Whether only these versions are left, and only these rounds of the first two series."""
        client = self.world.client
        live = [each["metadata"]["name"] for each in await client.list("ModelVersion", FEDERATION)]
        kept = {each["metadata"]["name"] for each in await client.list("FederatedRound", FEDERATION)} & set(self.seen)
        return [name for name in live if name.startswith("weekly")] == versions and rounds == {
            name for name in kept if "-s3-" not in name
        }

    async def _round(self, place: int, number: int) -> Object:
        made = await newest(self.world, "weekly", place, number)
        self.seen.append(made["metadata"]["name"])
        return made

    async def _begun(self, number: int) -> None:
        async def has_begun() -> bool:
            return _number(await self.live()) == number

        await until(has_begun, f"series {number} has begun")


async def test_a_second_series_is_compared_and_what_nothing_needs_is_deleted(world: World) -> None:
    """The gate finds the second version worse, and the third one good. The first one has the lowest loss: it stays."""
    item = federated_model("weekly", rounds=1)
    item["spec"]["history"] = {"versions": 1}
    world.admin.create(item)
    weekly = Weekly(world)
    first = await weekly.series(1)
    # People copy rounds, with their labels. The policy refuses to delete this one for a model that does not own it.
    copied = federated_round("copied-round")
    copied["metadata"]["labels"] = {names.MODEL_UID: first["metadata"]["uid"]}
    world.admin.create(copied)
    # A tool of somebody else holds a round that nothing needs after the next series. The third series begins anyway.
    held, finalizer = weekly.seen[0], "tests.wardround.io/held"
    world.admin.patch("FederatedRound", held, {"metadata": {"finalizers": [finalizer]}}, FEDERATION)
    await weekly.timely(2)
    second = await weekly.series(2, "Worse")
    assert second["status"]["current"] == first["status"]["current"]
    assert second["status"]["candidate"] == second["status"]["series"]["version"]
    await weekly.requested(3)
    third = await weekly.series(3, "Accepted")
    assert (second["status"]["series"]["trigger"], third["status"]["series"]["trigger"]) == ("Cron", "Requested")
    kept_by_tool = await world.client.get("FederatedRound", held, FEDERATION)
    assert kept_by_tool["metadata"]["deletionTimestamp"]
    world.admin.patch("FederatedRound", held, {"metadata": {"finalizers": None}}, FEDERATION)
    versions = [each["status"]["current"] for each in (first, third)]
    rounds = {name for name in weekly.seen if "-s1-r1-" in name}
    await until(lambda: weekly.only_left(versions, rounds), "only what the first and the third version need is left")
    old, new = [await world.client.get("ModelVersion", name, FEDERATION) for name in versions]
    assert [each["name"] for each in old["metadata"]["ownerReferences"]] == ["weekly"]
    assert "ownerReferences" not in new["metadata"]
    assert await world.client.get("FederatedRound", "copied-round", FEDERATION)
    world.admin.delete("FederatedRound", "copied-round", FEDERATION)


def _number(model: Object) -> int:
    number: int = ((model.get("status") or {}).get("series") or {}).get("number", 0)
    return number


async def test_a_series_whose_base_somebody_deletes_ends_and_the_next_one_starts_from_what_is_there(
    world: World,
) -> None:
    """As a GitOps tool may prune it. Whoever deletes the waiting round then gets no round that waits for the base."""
    world.admin.create(federated_model("pruned", rounds=1))
    for number in (1, 2, 3):
        await end(world, await newest(world, "pruned", number), "Complete")
    model = await until_model(world, "pruned", "Ready", ("True", "VersionCurrent"))
    version = await world.client.get("ModelVersion", model["status"]["current"], FEDERATION)
    base = version["spec"]["roundName"]
    begin(world, "pruned", "1")
    waits = (await newest(world, "pruned", 1, series=2))["metadata"]
    assert (await world.client.get("FederatedRound", waits["name"], FEDERATION))["spec"]["base"]["roundName"] == base
    world.admin.delete("FederatedRound", base, FEDERATION)
    await until_gone(world, base)  # as long as the API server has it, another round can start from it
    world.admin.delete("FederatedRound", waits["name"], FEDERATION)
    model = await until_model(world, "pruned", "Stalled", ("True", "VersionRoundGone"))
    await until_model(world, "pruned", "Ready", ("False", "VersionRoundGone"))
    lost = await world.client.get("ModelVersion", version["metadata"]["name"], FEDERATION)
    assert conditions(lost)["Ready"] == ("False", "VersionRoundGone")
    series = model["status"]["series"]
    assert (series["stage"], series["skipped"], len(series["rounds"])) == ("Ended", True, 1)
    failed = await world.client.get("FederatedRound", waits["name"], FEDERATION)
    assert failed["metadata"]["uid"] != waits["uid"]
    assert conditions(failed)["Failed"] == ("True", "BaseGone")
    [message] = [each["message"] for each in model["status"]["conditions"] if each["type"] == "Stalled"]
    assert message.startswith(f"Series 2 has ended without a version: its round {waits['name']} has failed (BaseGone)")
    assert f"round {base}, which made version 1, the current one" in message
    begin(world, "pruned", "2")
    await until_model(world, "pruned", "Scheduled", ("False", "VersionRoundGone"))
    world.admin.patch("FederatedModel", "pruned", {"spec": {"series": {"from": "Scratch"}}}, FEDERATION)
    assert (await newest(world, "pruned", 1, series=3))["spec"]["task"] == "Statistics"
    await until_model(world, "pruned", "Ready", ("False", "VersionRoundGone"))


async def test_the_advice_about_a_deleted_current_version_helps(world: World) -> None:
    """With another version, people set spec.current. Without one, a new series makes one, and people choose it."""
    world.admin.create(federated_model("deleted", rounds=1))
    await measured_series(world, "deleted", 1, rounds=3)
    model = await until_model(world, "deleted", "Ready", ("True", "VersionCurrent"))
    world.admin.delete("ModelVersion", model["status"]["current"], FEDERATION)
    model = await until_model(world, "deleted", "Stalled", ("True", "VersionGone"))
    [message] = [each["message"] for each in model["status"]["conditions"] if each["type"] == "Ready"]
    assert f"`kubectl wardround begin federatedmodel/deleted -n {FEDERATION}`" in message
    assert "remove" not in message
    begin(world, "deleted", "1")
    await measured_series(world, "deleted", 2, rounds=3)
    await until_model(world, "deleted", "VersionWaits", ("True", "PeopleDecide"))
    await until_model(world, "deleted", "Ready", ("False", "VersionGone"))
    pin(world, "deleted", 2)
    await until_model(world, "deleted", "Ready", ("True", "VersionCurrent"))
    begin(world, "deleted", "2")
    await measured_series(world, "deleted", 3, rounds=2)
    await until_model(world, "deleted", "VersionWaits", ("True", "PeopleDecide"))
    pin(world, "deleted", 3)
    model = await until_model(world, "deleted", "VersionWaits", ("False", "NoVersionWaits"))
    world.admin.delete("ModelVersion", model["status"]["current"], FEDERATION)
    await until_model(world, "deleted", "Stalled", ("True", "VersionGone"))
    pin(world, "deleted", 2)
    await until_model(world, "deleted", "Ready", ("True", "VersionCurrent"))
    await until_model(world, "deleted", "Stalled", ("False", "SeriesEnded"))


async def measured_series(world: World, model: str, number: int, *, rounds: int) -> None:
    """All rounds of a series end. Evaluate rounds measure the loss of their model."""
    for place in range(1, rounds + 1):
        made = await newest(world, model, place, series=number)
        numbers = loss("0.5", made["spec"]["base"]["roundName"]) if made["spec"]["task"] == "Evaluate" else {}
        await end(world, made, "Complete", **numbers)


def pin(world: World, model: str, version: int) -> None:
    world.admin.patch("FederatedModel", model, {"spec": {"current": {"version": version}}}, FEDERATION)


def begin(world: World, model: str, request: str) -> None:
    world.admin.patch("FederatedModel", model, {"metadata": {"annotations": {names.BEGIN: request}}}, FEDERATION)


async def until_gone(world: World, name: str) -> None:
    async def is_gone() -> bool:
        return await world.client.get_if_exists("FederatedRound", name, FEDERATION) is None

    await until(is_gone, f"round {name} is gone")


async def until_model(world: World, name: str, kind: str, shown: tuple[str, str]) -> Object:
    async def shows() -> Object | None:
        item = await world.client.get("FederatedModel", name, FEDERATION)
        return item if conditions(item).get(kind) == shown else None

    model: Object = await until(shows, f"{kind} of {name} is {shown}")
    return model
