"""Ten rounds of three hospitals without Kubernetes: all of Wardround in one process, in virtual time, real keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab import demo_data
from tests.conditions import is_true
from tests.players import segments
from tests.simulation.apiserver import Place
from tests.simulation.federation import HUB_NAMESPACE
from tests.simulation.rounds import OWN, Played, documents, play_ten_rounds, scratch
from wardround.hub import vault
from wardround.metrics.digits import rounded_count
from wardround.plans.assignment import open_signed
from wardround.plans.schema import assigned
from wardround.sealing.assignments import open_assignment
from wardround.sealing.body import Body
from wardround.sealing.cards import open_card
from wardround.sealing.keys import load_signing_key, load_verification_key
from wardround.sealing.manifests import open_model, open_update
from wardround.simulate.play import Finished, play
from wardround.simulate.prepared import prepared
from wardround.tensors import parse_header
from wardround.wire import canonical, codec
from wardround.wire.assignment import Assignment
from wardround.wire.card import ModelCard
from wardround.wire.digests import digest
from wardround.wire.models import ModelManifest
from wardround.wire.versions import LATEST

NAMES = [hospital.name for hospital in demo_data.HOSPITALS]
# So many bytes of plaintext do not occur in ciphertext by chance.
TELLING = 8


@pytest.fixture(scope="module")
def tables() -> dict[str, demo_data.Table]:
    return demo_data.tables()


@pytest.fixture(scope="module")
def played(tables: Mapping[str, demo_data.Table]) -> Played:
    with scratch() as folder:
        return play_ten_rounds(Path(folder), tables, seed=1)


def secret(played: Played, round_uid: str) -> dict[str, Any]:
    item = played.federation.hub.read(Place("Secret", HUB_NAMESPACE, f"model-{round_uid}"))
    return {key: vault.value(item, key) for key in item["data"]}


def manifest(played: Played, played_round: dict[str, Any]) -> ModelManifest:
    """The manifest of a round's result, which the hub has signed."""
    hub = played.federation.hub.read(Place("Secret", HUB_NAMESPACE, "hub-signing-key"))
    key = load_signing_key(vault.value(hub, "key")).public_key()
    return open_model(secret(played, played_round["metadata"]["uid"])["manifest"].decode(), key)


def opened(played: Played, played_round: dict[str, Any]) -> bytes:
    """The plaintext of a round's result in the store."""
    signed = manifest(played, played_round)
    body = Body(secret(played, played_round["metadata"]["uid"])["dataKey"], signed.header)
    stored = played.federation.store.stored
    parts = sorted(key for key in stored if key.startswith(f"{signed.location}/part-"))
    return segments.opened(body, b"".join(stored[key] for key in parts))


def request(task: dict[str, Any]) -> Assignment:
    """The assignment of a RoundTask, under the key that came with it."""
    return open_signed(task["spec"]["assignment"], task["spec"]["hubKey"])


def arrays(plain: bytes) -> dict[str, np.ndarray[Any, Any]]:
    layout = parse_header(plain[: 8 + int.from_bytes(plain[:8], "little")], len(plain))
    kinds = {"F32": "<f4", "F64": "<f8"}
    return {each.name: np.frombuffer(plain[start:stop], kinds[each.dtype]) for each, start, stop in layout.places}


def test_every_round_completes_with_all_three_hospitals(played: Played) -> None:
    assert len(played.rounds) == 10
    for each in played.rounds:
        assert is_true(each, "Complete"), each["status"]["conditions"]
        counts = {key: each["status"]["participants"][key] for key in ("selected", "sent", "aggregated", "failed")}
        # The clinic has too few malignant test rows: it withholds its numbers, and that is no failure.
        counted = 2 if each["spec"]["task"] == "Evaluate" else 3
        assert counts == {"selected": 3, "sent": 3, "aggregated": counted, "failed": 0}
        assert each["status"]["result"].get("withheld", 0) >= 3 - counted
    assert {name: sorted(task["metadata"]["namespace"] for task in tasks) for name, tasks in played.tasks.items()} == {
        each["metadata"]["name"]: NAMES for each in played.rounds
    }


def test_every_hospital_has_read_its_dataset_without_a_round(played: Played) -> None:
    for name, server in played.federation.sites.items():
        [dataset] = server.select("Dataset", None)
        reading = dataset["status"]["reading"]
        assert (reading["reason"], reading["generation"]) == ("Read", 1), name
        assert not [job for job in server.select("Job", None) if job["metadata"]["name"].startswith("read-")]


def test_numbers_are_over_several_hospitals_and_no_hospitals_own_is_on_the_hub(played: Played) -> None:
    """No Site of the play says policy.tellOwnMetrics."""
    *training, evaluation = (each for each in played.rounds if each["spec"]["task"] != "Statistics")
    result = evaluation["status"]["result"]
    # They are too few people for a recalibration.
    threshold = {"threshold", "specificityAtThreshold"}
    assert {each["name"] for each in result["metrics"]} == {*evaluation["spec"]["metrics"], *threshold}
    assert {(each["hospitals"], each["rows"], each["model"]) for each in result["metrics"]} == {
        (2, "Test", evaluation["spec"]["base"]["roundName"])
    }
    assert result["withheld"] == 1
    [difference] = result["differences"]
    assert (difference["reference"], difference["model"]) == ("train-1", evaluation["spec"]["base"]["roundName"])
    assert (difference["hospitals"], difference["rows"], difference["better"]) == (2, "Test", "Lower")
    # By these labels the hub keeps the results, and a further attempt gets the same ones.
    uids = {each["metadata"]["name"]: each["metadata"]["uid"] for each in played.rounds}
    for task in played.tasks[evaluation["metadata"]["name"]]:
        assert task["metadata"]["labels"]["wardround.io/base-uid"] == uids[difference["model"]]
        assert task["metadata"]["labels"]["wardround.io/reference1-uid"] == uids["train-1"]
    assert difference["people"] == rounded_count(result["samples"])
    assert float(difference["low"]) <= float(difference["value"]) <= float(difference["high"])
    # The clinic has too few malignant validation rows. A Train round measures the model that it starts from.
    assert {each["status"]["result"]["withheld"] for each in training} == {1}
    for each in training:
        [loss] = each["status"]["result"]["metrics"]
        base = each["spec"].get("base", {}).get("roundName", "initial weights")
        assert (loss["hospitals"], loss["rows"], loss["model"]) == (2, "Validation", base)
    assert all(not each["status"]["result"]["hospitals"] for each in played.rounds)
    for tasks in played.tasks.values():
        for task in tasks:
            assert task["status"]["update"].keys() == {"manifest", "samples", "withheld"}


def test_every_assignment_has_the_latest_version_and_names_the_columns_of_the_dataset(played: Played) -> None:
    hub = played.federation.hub
    key = load_signing_key(vault.value(hub.read(Place("Secret", HUB_NAMESPACE, "hub-signing-key")), "key")).public_key()
    for tasks in played.tasks.values():
        for task in tasks:
            site = task["metadata"]["namespace"]
            [dataset] = hub.read(Place("Participant", site, site))["status"]["site"]["datasets"]
            assignment = open_assignment(task["spec"]["assignment"], key)
            assert assignment.version == LATEST
            assert assignment.schema.digest == dataset["schemaDigest"]
            assert assignment.schema.columns_digest == dataset["columnsDigest"]


def card(played: Played, played_round: dict[str, Any]) -> ModelCard:
    """The card of a round's model, which the hub has signed."""
    hub = played.federation.hub.read(Place("Secret", HUB_NAMESPACE, "hub-signing-key"))
    key = load_signing_key(vault.value(hub, "key")).public_key()
    return open_card(secret(played, played_round["metadata"]["uid"])["card"].decode(), key)


def test_every_model_has_a_card_with_its_file_its_fields_and_all_rounds_before_it(played: Played) -> None:
    statistics, *training, evaluation = played.rounds
    before = [statistics]
    for each in training:
        own = card(played, each)
        assert own.model.digest == manifest(played, each).digest == digest(opened(played, each))
        assert [(parent.round_name, parent.digest) for parent in own.parents] == [
            (parent["metadata"]["name"], manifest(played, parent).digest) for parent in reversed(before)
        ]
        assert own.data_schema is not None
        assert assigned(own.data_schema) == request(played.tasks[each["metadata"]["name"]][0]).schema
        assert (own.hospitals, own.people) == (3, rounded_count(each["status"]["result"]["samples"]))
        before.append(each)
    for each in (statistics, evaluation):
        assert "card" not in secret(played, each["metadata"]["uid"])


def test_the_card_of_a_model_has_the_numbers_of_the_round_that_measured_it_and_no_others(played: Played) -> None:
    _, *models, evaluation = played.rounds
    for model, measuring in zip(models, [*models[1:], evaluation], strict=True):
        own = card(played, model)
        assert own.revision == 2
        assert [(each.name, each.value, each.low, each.people) for each in own.metrics] == [
            (each["name"], each["value"], each.get("low"), each["people"])
            for each in measuring["status"]["result"]["metrics"]
        ]
        rows = "Test" if measuring is evaluation else "Validation"
        assert {(each.round_name, each.rows) for each in own.metrics} == {(measuring["metadata"]["name"], rows)}


def test_the_seed_reaches_every_round_of_training(played: Played) -> None:
    for each in played.rounds:
        expected = 7 if each["spec"]["task"] == "Train" else 0
        tasks = played.tasks[each["metadata"]["name"]]
        assert [request(task).seed for task in tasks] == 3 * [expected]


def test_each_model_starts_from_the_model_before(played: Played) -> None:
    statistics, first, *further = played.rounds
    assert manifest(played, statistics).header.base_digest == ""
    before = first
    for each in further:
        assert manifest(played, each).header.base_digest == before["status"]["result"]["digest"]
        # The evaluation starts from the last model, and makes none.
        before = each
    for each in played.rounds:
        plain = opened(played, each)
        assert digest(plain) == each["status"]["result"]["digest"] == manifest(played, each).digest
    assert len(set(played.digests)) == 10


def test_each_model_is_the_weighted_mean_of_the_hospitals_models(played: Played) -> None:
    """Computes the mean again from the hospitals' plaintexts."""
    for before, each in zip(played.rounds[1:8], played.rounds[2:9], strict=True):
        name = each["metadata"]["name"]
        base, result = arrays(opened(played, before)), arrays(opened(played, each))
        tasks = {task["metadata"]["namespace"]: task for task in played.tasks[name]}
        samples = {site: tasks[site]["status"]["update"]["samples"] for site in NAMES}
        updates = {site: arrays(played.plain[name, site, "update/update.safetensors"]) for site in NAMES}
        for tensor, values in result.items():
            mean = sum(samples[site] * updates[site][tensor].astype(np.float64) for site in NAMES)
            expected = base[tensor] + mean / sum(samples.values())
            assert np.allclose(values, expected, rtol=1e-6, atol=1e-7), (name, tensor)
        assert (base["weight"] != result["weight"]).any(), "it has learnt"


def test_an_update_in_the_store_is_signed_by_its_hospital_and_names_its_base(played: Played) -> None:
    bases = {"train-1": None, **{f"train-{n}": played.rounds[n - 1] for n in range(2, 9)}}
    for name, base in bases.items():
        for task in played.tasks[name]:
            site = task["metadata"]["namespace"]
            keys = played.federation.hub.read(Place("Participant", site, site))["status"]["site"]["keys"]
            key = load_verification_key(canonical.decode(keys["signing"]))
            update = open_update(task["status"]["update"]["manifest"], key)
            plain = played.plain[name, site, "update/update.safetensors"]
            # The aggregation has compared it with the content. The key is in the sealed text.
            assert update.digest.startswith("hmac-sha256:")
            assert digest(plain) not in json.dumps(task), "code could write a message into a digest that it can compute"
            if base is not None:
                assert update.header.base_digest == base["status"]["result"]["digest"]


def test_the_store_holds_no_parameter_in_plaintext(played: Played) -> None:
    """Checks every object that was ever stored: models and updates."""
    plain = dict(played.plain)
    for each in played.rounds:
        plain[each["metadata"]["name"], "", "result"] = opened(played, each)
    telling = {
        values[place : place + TELLING]
        for document in plain.values()
        for values in (array.tobytes() for array in arrays(document).values())
        for place in range(0, len(values) - TELLING, 4)
    }
    telling = {each for each in telling if len(set(each)) > 5}  # zeros and ones are no parameters
    assert len(telling) > 1000
    # A part of each update, a page of the list of updates, and of each result a part and its hashes.
    assert len(played.stored) == 10 * (3 + 1 + 2)
    for key, data in played.stored.items():
        spans = {data[place : place + TELLING] for place in range(len(data) - TELLING + 1)}
        assert not spans & telling, key
        assert b'"dtype"' not in data, key


def test_after_the_rounds_the_store_holds_only_results(played: Played) -> None:
    uids = {each["metadata"]["uid"] for each in played.rounds}
    assert {key.split("/")[1] for key in played.federation.store.stored} == uids
    assert all(key.startswith("models/") for key in played.federation.store.stored)


def test_the_models_do_not_depend_on_the_order_of_calls(played: Played, tables: Mapping[str, demo_data.Table]) -> None:
    """Keys, tokens, latencies and the order of the hospitals' answers differ."""
    with scratch() as folder:
        again = play_ten_rounds(Path(folder), tables, seed=2)
    assert again.digests == played.digests
    assert order(again) != order(played)
    first, second = by_place(played), by_place(again)
    assert first.keys() == second.keys()
    assert all(data != first[place] for place, data in second.items())


def test_simulate_makes_the_same_models_and_tells_the_same_numbers(played: Played, tmp_path: Path) -> None:
    """`wardround simulate` has the same secrets here, and no API server, operator, courier process or kubelet."""
    demo_data.write_folders(tmp_path)
    ended = play(prepared(documents(OWN), tmp_path, trainer=OWN.program))
    simulated = [each for each in ended if isinstance(each, Finished)]
    assert [each.name for each in simulated] == [each["metadata"]["name"] for each in played.rounds]
    assert [each.result.digest for each in simulated] == played.digests
    for each, federated_round in zip(simulated, played.rounds, strict=True):
        result = codec.dump(each.result)
        # The location has the UID of the round.
        assert {**result, "location": ""} == {**federated_round["status"]["result"], "location": ""}


def by_place(played: Played) -> dict[str, bytes]:
    """All that was stored. Each try to aggregate stores its list of updates under a random name."""
    return {re.sub(r"(/lists/\d+)-[0-9a-f]+/", r"\1/", key): data for key, data in played.stored.items()}


def order(played: Played) -> list[str]:
    """Of the hub's writes."""
    return [f"{each.verb} {each.place} {each.account}" for each in played.federation.hub.writes]
