"""When the hub operator looks at a FederatedModel: at the ends of its rounds, and when people change or delete one."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.players.hub import SCHEMA, Hub
from tests.simulation.apiserver import Place
from tests.simulation.client import Client
from tests.simulation.hub import FEDERATION, IMAGE, NAMESPACE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.plans_hub.builders import NOW, condition
from wardround.api import conditions, federatedround, names
from wardround.api.federatedround import FederatedRound
from wardround.api.times import to_seconds
from wardround.clock import system_draw
from wardround.hub import models, vault
from wardround.hub.made import note_number
from wardround.hub.models import ModelController
from wardround.hub.observe import get_round, identified
from wardround.kube.controller import Key, gone
from wardround.kube.queue import WorkQueue
from wardround.ports import Api, Object
from wardround.wire import codec
from wardround.wire.compression import NONE, Compression

HOSPITALS = ["site-a", "site-b"]
MODEL = Place("FederatedModel", FEDERATION, "breast")
# A round waits for its DataSchema before it asks hospitals.
NO_SCHEMA = "applied-later"


def series_round(generation: int = 1, *conditions: Object) -> Object:
    owner = {"apiVersion": "wardround.io/v1alpha1", "kind": "FederatedModel", "name": "breast", "uid": "u"}
    meta = {"name": "r", "uid": "r", "namespace": FEDERATION, "generation": generation, "ownerReferences": [owner]}
    return {"metadata": meta, "spec": {"task": "Train"}, "status": {"conditions": list(conditions)}}


def test_a_round_wakes_its_model_when_it_has_ended_or_somebody_has_changed_or_deleted_it() -> None:
    def woken(item: Object) -> list[Key]:
        controller = ModelController(cast(Any, None), WorkQueue(draw=system_draw))
        return [each.key for each in controller.keys(federatedround.KIND, item)]

    runs = codec.dump(condition("Reconciling", True, "Collecting"))
    assert woken(series_round(1, runs)) == []
    model = [Key("FederatedModel", FEDERATION, "breast")]
    assert woken(series_round(1, codec.dump(condition("Complete", True, "Complete")))) == model
    assert woken(series_round(1, codec.dump(condition("Failed", True, "QuorumNotMet")))) == model
    assert woken(series_round(2, runs)) == model
    assert woken(gone(series_round(1, runs), NOW)) == model


def test_a_round_that_waits_for_people_wakes_its_model_until_it_goes_on() -> None:
    controller = ModelController(cast(Any, None), WorkQueue(draw=system_draw))
    runs = series_round(1, codec.dump(condition("Reconciling", True, "Collecting")))
    waits = series_round(1, codec.dump(condition("Stalled", True, "RoundSchemaNotFound")))
    shown = [bool(list(controller.keys(federatedround.KIND, each))) for each in (runs, waits, waits, runs, runs)]
    assert shown == [False, True, True, True, False]


def test_a_round_that_is_cleaned_up_wakes_only_a_model_that_does_not_know_its_end() -> None:
    controller = ModelController(cast(Any, None), WorkQueue(draw=system_draw))

    def wakes(*kinds: str) -> bool:
        shown = series_round(1, *(codec.dump(condition(kind, True, kind)) for kind in kinds))
        return bool(list(controller.keys(federatedround.KIND, shown)))

    assert wakes("Complete", "CleanedUp"), "the watch had a gap"
    assert wakes("Complete")
    assert not wakes("Complete", "CleanedUp")
    assert wakes("Complete", "CleanedUp"), "this is another change"


def begin_series(hub: LoneHub, hospitals: list[str], schema: str = "breast-v1") -> None:
    for name in hospitals:
        hub.enrol(name)
    apply_model(hub, hospitals, schema=schema)


def apply_model(
    hub: LoneHub, hospitals: list[str], quorum: int = 2, schema: str = "breast-v1", **template: Any
) -> None:
    shared = {"image": IMAGE, "datasetName": "breast", **template}
    shared |= {"participants": {"names": hospitals}, "quorum": {"min": quorum}}
    spec = {"schemaName": schema, "round": shared, "series": {"rounds": 2}}
    hub._create("wardround.io/v1alpha1", "FederatedModel", "breast", FEDERATION, spec=spec)


def test_a_model_is_not_read_for_each_hospital_that_its_round_asks() -> None:
    def reads(count: int) -> int:
        async def main(loop: VirtualLoop) -> int:
            hub, hospitals = LoneHub(loop), [f"site-{number}" for number in range(count)]
            async with hub.running():
                for name in hospitals:
                    hub.enrol(name)
                await hub.settle()
                apply_model(hub, hospitals)
                await hub.settle()
                [made] = hub.server.select("FederatedRound", FEDERATION)
                assert list(hub.tasks(made["metadata"]["name"])) == hospitals
                return sum(each.kind == "FederatedModel" for each in hub.server.reads)

        return play(main)

    assert reads(2) == reads(8)


async def complete_newest(hub: LoneHub, card: str = "", compression: Compression = NONE) -> None:
    """A result of the newest round is stored, so the hub operator completes the round when it looks at it. `card`,
    `compression`: of the result, for a delivery."""
    live = federatedround.parse(hub.round(named_rounds(hub)[-1]))
    token = hub.server.token(f"{NAMESPACE}:hub-operator", 3600)
    client = Client(hub.server, lambda: token, NAMESPACE, lambda: 0.0)
    # As before the aggregation that makes the result.
    await vault.make_round_key(client, live)
    await note_number(client, await client.get("Secret", names.round_secret(live.metadata.uid)), 1)
    signer = Hub(await vault.identity(client))
    model = signer.seal_model(b"x", live.metadata.uid, task=live.spec.task).model
    result = replace(model.stored.result, columns_digest=SCHEMA.columns_digest, schema_digest=SCHEMA.digest)
    result = replace(result, compression=compression)
    stored = replace(model.stored, result=result, aggregated=tuple(HOSPITALS), quorum=len(HOSPITALS))
    await vault.keep_model(client, live, replace(model, card=card, stored=stored))
    place = Place("FederatedRound", FEDERATION, live.metadata.name)
    hub.server.change(place, {"metadata": {"annotations": {"tests.wardround.io/looked": "again"}}})


async def complete_short_series(hub: LoneHub, change: Object, card: str = "", compression: Compression = NONE) -> None:
    """Changes the spec of the model, and completes its three rounds. `card`, `compression`: of each result."""
    hub.server.change(MODEL, {"spec": {**change, "series": {"rounds": 1}}})
    await hub.settle()
    for _ in ("Statistics", "Train", "Evaluate"):
        await complete_newest(hub, card, compression)
        await hub.settle()


def payload(task: Object) -> Any:
    """The assignment of a RoundTask."""
    return json.loads(base64.b64decode(json.loads(task["spec"]["assignment"])["payload"]))


def model_status(hub: LoneHub) -> Any:
    return hub.server.select("FederatedModel", FEDERATION)[0]["status"]


def named_rounds(hub: LoneHub) -> list[str]:
    return [each["name"] for each in model_status(hub)["series"]["rounds"]]


def test_a_round_of_a_series_costs_one_read_and_two_writes_of_its_model() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await hub.settle()
            await complete_newest(hub)
            hub.server.reads.clear()
            hub.server.writes.clear()
            await hub.settle()
            reads = Counter(each.kind for each in hub.server.reads)
            assert (reads["FederatedModel"], reads["ModelVersion"]) == (1, 0)
            _, newest = named_rounds(hub)
            writes = Counter((each.verb, each.place.kind) for each in hub.server.writes)
            assert (writes["patch", "FederatedModel"], writes["create", "FederatedRound"]) == (1, 1)
            assert hub.round(newest)["metadata"]["name"] == newest

    play(main)


def test_a_round_of_a_series_reads_its_model_no_more_for_its_hospitals() -> None:
    """The hub operator has just made the round from this model."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await hub.settle()
            await complete_newest(hub)
            hub.server.reads.clear()
            await hub.settle()
            assert sum(each.kind == "FederatedModel" for each in hub.server.reads) == 1
            assert list(hub.tasks(named_rounds(hub)[-1])) == HOSPITALS

    play(main)


@pytest.mark.parametrize("fate", ["begins the next series", "is deleted and leaves its round"])
def test_a_further_attempt_names_the_series_of_the_attempt_before_whatever_its_model_does(fate: str) -> None:
    """So the hospital's denial of the model covers the attempt."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await hub.settle()
            [name] = named_rounds(hub)
            task = hub.tasks(name)["site-b"]
            before = payload(task)["model"]
            if fate == "begins the next series":
                entry = {**model_status(hub)["series"]["rounds"][0], "name": "breast-s2-r1"}
                following = {"number": before["series"] + 1, "rounds": [entry]}
                hub.server.change(MODEL, {"status": {"series": following}}, subresource="status")
            else:
                place = Place("FederatedRound", FEDERATION, name)
                hub.server.change(place, {"metadata": {"ownerReferences": []}})
                hub.server.remove(MODEL)
            failed = {
                "failure": {"class": "Platform", "reason": "Evicted"},
                "conditions": [codec.dump(condition("Failed", True, "Evicted"))],
            }
            place = Place("RoundTask", "site-b", task["metadata"]["name"])
            hub.server.change(place, {"status": failed}, subresource="status")
            await hub.settle()
            attempts = {payload(each)["attempt"]: payload(each) for each in hub.server.select("RoundTask", "site-b")}
            assert sorted(attempts) == [1, 2]
            assert attempts[2]["model"] == before

    play(main)


def test_a_round_that_its_event_has_shown_to_be_over_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def recorded(client: Api, namespace: str, name: str) -> tuple[Object, FederatedRound] | None:
        asked.append(name)
        return await get_round(client, namespace, name)

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await hub.settle()
            monkeypatch.setattr(models, "get_round", recorded)
            await complete_newest(hub)
            await hub.settle()
            assert len(named_rounds(hub)) == 2, "the series has gone on"
            assert asked == []

    play(main)


def test_a_model_lists_no_tasks_of_a_delivery_that_has_asked_nobody() -> None:
    """The version has no card, so its delivery fails at once."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await complete_short_series(hub, {"deliver": {"to": "Participants"}})
            assert shown(hub, "Delivered")[:2] == ("False", "DeliveryFailed")
            hub.server.reads.clear()
            for number in range(3):
                hub.server.change(MODEL, {"metadata": {"annotations": {"tests.wardround.io/looked": str(number)}}})
                await hub.settle()
            assert sum(each.kind == "FederatedModel" for each in hub.server.reads) >= 3, "it looks"
            assert not any(each.kind == "RoundTask" for each in hub.server.reads)

    play(main)


def complete_delivery(hub: LoneHub, loop: VirtualLoop) -> None:
    """The hospitals report that they have the version."""
    for task in hub.tasks(model_status(hub)["delivery"]["round"]).values():
        at = to_seconds(loop.clock())
        ends = [codec.dump(condition(kind, True, kind)) for kind in ("Accepted", "Complete")]
        hub.report(task, *({**each, "lastTransitionTime": at} for each in ends))


def test_a_model_takes_the_hospitals_of_its_delivery_from_memory() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await complete_short_series(hub, {"deliver": {"to": "Participants"}}, card="a card")
            tasks = hub.tasks(model_status(hub)["delivery"]["round"])
            complete_delivery(hub, loop)
            hub.server.reads.clear()
            await hub.settle()
            assert shown(hub, "Delivered")[:2] == ("True", "DeliveryComplete")
            assert model_status(hub)["delivery"]["asked"] == list(tasks) == HOSPITALS
            lists = [each for each in hub.server.reads if each.kind == "RoundTask" and each.scanned > 1]
            assert len(lists) == 1, "the one on which the end of the round rests"

    play(main)


def test_hospitals_are_not_looked_through_for_a_round_that_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def counted(*arguments: Any) -> Any:
        looks.append("all Participants")
        return identified(*arguments)

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            hub.server.change(MODEL, {"spec": {"series": {"rounds": 1}, "evaluation": {"testRows": False}}})
            monkeypatch.setattr(models, "identified", counted)
            await hub.settle()
            await complete_newest(hub)
            await hub.settle()
            assert looks, "a Train round waits for its hospitals"
            looks.clear()
            for stage in ("Evaluating", "Ended"):
                await complete_newest(hub)
                await hub.settle()
                assert model_status(hub)["series"]["stage"] == stage
            hub.server.remove(Place("FederatedRound", FEDERATION, named_rounds(hub)[-1]))
            await hub.settle()
            assert looks == []

    play(main)


def reads_for_an_edit() -> int:
    """How often the hub operator reads a model when somebody suspends it."""

    async def main(loop: VirtualLoop) -> int:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS, schema=NO_SCHEMA)
            await hub.settle()
            # The running round is suspended with its model, and nothing is left to do at the next edit.
            hub.server.change(MODEL, {"spec": {"suspend": True}})
            await hub.settle()
            hub.server.reads.clear()
            hub.server.change(MODEL, {"spec": {"history": {"versions": 2}}})
            await hub.settle()
            return sum(each.kind == "FederatedModel" for each in hub.server.reads)

    return play(main)


def test_an_edit_costs_one_read_of_the_model_and_another_if_more_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads_for_an_edit() == 1
    monkeypatch.setattr(models, "requeue_after_write", lambda *_: 0.0)
    assert reads_for_an_edit() == 2


def test_the_status_shows_that_another_persons_object_has_the_name_of_the_next_round() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS, schema=NO_SCHEMA)
            await hub.settle()
            hub.apply_round(named_rounds(hub)[0].replace("-r0-", "-r1-"), HOSPITALS)
            await complete_newest(hub)
            await hub.settle()
            [stalled] = [each for each in model_status(hub)["conditions"] if each["type"] == "Stalled"]
            assert (stalled["status"], stalled["reason"]) == ("True", "NameTaken")

    play(main)


def test_a_round_that_is_over_is_held_for_its_model_until_it_is_deleted() -> None:
    controller = ModelController(cast(Any, None), WorkQueue(draw=system_draw))
    over = series_round(1, codec.dump(condition("Complete", True, "Complete")))
    [model] = [each.key for each in controller.keys(federatedround.KIND, over)]
    assert controller.ended == {model: over}
    controller.keys(federatedround.KIND, gone(over, NOW))
    assert controller.ended == {}


def test_a_running_round_that_somebody_deletes_is_made_again() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await hub.settle()
            [first] = hub.server.select("FederatedRound", FEDERATION)
            hub.server.remove(Place("FederatedRound", FEDERATION, first["metadata"]["name"]))
            await hub.settle()
            [second] = hub.server.select("FederatedRound", FEDERATION)
            assert second["metadata"]["name"] == first["metadata"]["name"]
            assert second["metadata"]["uid"] != first["metadata"]["uid"]

    play(main)


def shown(hub: LoneHub, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition of the model."""
    [condition_] = [each for each in model_status(hub)["conditions"] if each["type"] == kind]
    return condition_["status"], condition_["reason"], condition_["message"]


def test_a_model_that_names_an_unknown_hospital_says_so_at_once_and_makes_no_round_until_the_hospital_joins() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            hub.enrol("site-a")
            hub.enrol("site-b")
            apply_model(hub, ["site-a", "siet-b"])
            await asyncio.sleep(1)
            status, reason, message = shown(hub, "Stalled")
            assert (status, reason) == ("True", "ParticipantUnknown")
            assert "siet-b: The hub has no Participant siet-b. Was site-b meant?" in message
            assert "1 hospital can take part, but quorum.min is 2." in message
            await asyncio.sleep(3 * 3600)
            assert hub.server.select("FederatedRound", FEDERATION) == []
            hub.enrol("siet-b")
            await hub.settle()
            [entry] = model_status(hub)["series"]["rounds"]
            assert (entry["task"], entry.get("attempt", 1)) == ("Statistics", 1)
            assert list(hub.tasks(entry["name"])) == ["siet-b", "site-a"]
            assert shown(hub, "Stalled")[0] == "False"

    play(main)


def test_a_model_whose_dataset_no_hospital_offers_says_so_at_once_and_goes_on_when_it_is_corrected() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            for name in HOSPITALS:
                hub.enrol(name)
            apply_model(hub, HOSPITALS, datasetName="braest")
            await asyncio.sleep(3 * 3600)
            status, reason, message = shown(hub, "Stalled")
            assert (status, reason) == ("True", "DatasetUnknown")
            assert "No hospital of the round offers a Dataset braest. Was breast meant?" in message
            assert hub.server.select("FederatedRound", FEDERATION) == []
            hub.server.change(MODEL, {"spec": {"round": {"datasetName": "breast"}}})
            await hub.settle()
            assert list(hub.tasks(named_rounds(hub)[0])) == HOSPITALS

    play(main)


def test_a_model_names_an_unknown_hospital_also_when_the_others_are_enough() -> None:
    """The first round waits for the hospital, and then continues without it. So the model is not Stalled."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            hub.enrol("site-a")
            apply_model(hub, ["site-a", "siet-b"], quorum=1)
            await hub.settle()
            [name] = named_rounds(hub)
            assert hub.round(name)["spec"]["participants"]["names"] == ["site-a", "siet-b"]
            assert conditions.shows(hub.round(name), "Stalled")
            assert shown(hub, "Stalled")[0] == "False"
            _, reason, message = shown(hub, "Reconciling")
            assert (reason, "The hub has no Participant siet-b." in message) == ("SeriesStatistics", True)
            hub.enrol("siet-b")
            await hub.settle()
            assert "siet-b" not in shown(hub, "Reconciling")[2]

    play(main)
