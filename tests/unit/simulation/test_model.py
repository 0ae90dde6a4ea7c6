"""A FederatedModel trained by all of Wardround in one process: its rounds make the models of rounds chained by hand."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lab import demo_data, demo_rounds
from tests.conditions import condition, is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import HUB_NAMESPACE, Federation
from tests.simulation.rounds import OWN, documents, own_round, play_rounds, scratch
from tests.simulation.virtual import VirtualLoop, play
from wardround.api.dataset import Dataset
from wardround.api.names import HUB_CONFIG_MAP
from wardround.api.site import Site
from wardround.card.folder import Folder, load
from wardround.plans import approval as approvals
from wardround.plans import terms
from wardround.plans.site.report import report
from wardround.ports import Object
from wardround.wire import card as cards
from wardround.wire import versions
from wardround.wire.assignment import Assignment

FEDERATION = demo_rounds.NAMESPACE
TASKS = ["Train", "Statistics", "Evaluate", "Deliver"]
ALL_TASKS = replace(OWN, policy={**OWN.policy, "tasks": TASKS, "nameOnCards": True})
TRAININGS = 2


def by_hand() -> list[Object]:
    """Statistics and the first Train rounds of the examples."""
    return documents(OWN)[: 1 + TRAININGS]


def model(trainings: int = TRAININGS) -> Object:
    """A model with the fields of these rounds."""
    [_, first, *_] = by_hand()
    spec = first["spec"]
    shared = ("image", "datasetName", "participants", "quorum", "command", "exchange")
    return {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "FederatedModel",
        "metadata": {
            "name": "breast",
            "namespace": FEDERATION,
            "labels": {"argocd.argoproj.io/instance": "hub"},
            "annotations": {"argocd.argoproj.io/tracking-id": "hub:wardround.io/FederatedModel:breast"},
        },
        "spec": {
            "schemaName": spec["schemaName"],
            "initial": {"seed": spec["seed"]},
            "round": {name: spec[name] for name in shared if name in spec},
            "series": {"rounds": trainings, "parameters": own_round()["parameters"]},
            # The clinic has too few people of a class on its validation side.
            "evaluation": {"quorum": {"min": 2}},
        },
    }


@dataclass
class Trained:
    """`kept`, `forgotten`: the FederatedRounds and results after the model was deleted, and after its version was.
    `assignments`: of all RoundTasks of the series. `delivered`: the folder of the model on each hospital's claim of
    models, as it loads; `current`: the file of that name. `deliveries`: the Deliver rounds. `fingerprint`: of the hub's
    key."""

    model: Object
    rounds: list[Object]
    version: Object
    kept: tuple[list[str], list[str]]
    forgotten: tuple[list[str], list[str]]
    assignments: list[Assignment]
    deliveries: list[Object]
    delivered: dict[str, Folder]
    current: dict[str, str]
    fingerprint: str


LATE = demo_data.HOSPITALS[2].name


async def delivered_to_all(federation: Federation, model: Place) -> None:
    """The hub may not ask one hospital when the version is delivered, and may a while later."""
    participant = Place("Participant", LATE, LATE)
    federation.hub.change(participant, {"spec": {"suspend": True}})
    federation.hub.change(model, {"spec": {"deliver": {"to": "Participants"}}})
    await federation.until("the version is delivered", lambda: is_true(federation.hub.read(model), "Delivered"))
    assert not (federation.models(LATE) / "breast").exists()
    federation.hub.change(participant, {"spec": {"suspend": False}})
    await federation.until("the hub may ask it", lambda: is_true(federation.hub.read(participant), "Ready"))
    # The hub operator looks again every hour, and whenever the model changes.
    federation.hub.change(model, {"metadata": {"annotations": {"tests.wardround.io/looked": "again"}}})
    asked = {each.name for each in demo_data.HOSPITALS}
    await federation.until(
        "the hospital that joined later has been asked too",
        lambda: set(federation.hub.read(model)["status"]["delivery"].get("asked", ())) == asked,
    )


def report_of_an_older_site(site: Site, datasets: Sequence[Dataset]) -> Object:
    """What the site tells its hub. The late hospital's does not know names on cards."""
    known = report(site, datasets)
    if site.spec.hub.participant_namespace == LATE:
        del known["nameOnCards"]
    return known


@pytest.fixture(scope="module")
def trained() -> Iterator[Trained]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wardround.plans.site.plan.report", report_of_an_older_site)
        yield played()


def played() -> Trained:
    async def main(loop: VirtualLoop) -> Trained:
        federation = Federation(loop, folder, ALL_TASKS, 1)
        async with federation.running(demo_data.tables()):
            federation.apply(model())
            place = Place("FederatedModel", FEDERATION, "breast")
            await federation.until("the series has ended", lambda: is_true(federation.hub.read(place), "Ready"))
            await federation.until("the version is ready", lambda: is_true(version(federation), "Ready"))
            await federation.until("the version is tested", lambda: is_true(federation.hub.read(place), "Tested"))
            await delivered_to_all(federation, place)
            ended, made = federation.hub.read(place), version(federation)
            homes = {each.name: federation.models(each.name) / "breast" for each in demo_data.HOSPITALS}
            pin = federation.hub.read(Place("ConfigMap", HUB_NAMESPACE, HUB_CONFIG_MAP))["data"]["fingerprint"]
            delivered = {name: load(home / "v1", pin) for name, home in homes.items()}
            current = {name: (home / "current").read_text() for name, home in homes.items()}
            every = federation.hub.select("FederatedRound", FEDERATION)
            deliveries = [each for each in every if each["spec"]["task"] == "Deliver"]
            rounds = [federation.round(each["name"]) for each in ended["status"]["series"]["rounds"]]
            every_task = map(assignment_of, federation.hub.select("RoundTask", None))
            asked = [each for each in every_task if each.task != "Deliver"]
            federation.hub.remove(place)
            await federation.until("one round is left", lambda: len(left(federation)[0]) == 1)
            await federation.until("one result is left", lambda: len(left(federation)[1]) == 1)
            kept = left(federation)
            federation.hub.remove(Place("ModelVersion", FEDERATION, made["metadata"]["name"]))
            await federation.until("nothing is left", lambda: left(federation) == ([], []))
            return Trained(ended, rounds, made, kept, left(federation), asked, deliveries, delivered, current, pin)

    with scratch() as name:
        folder = Path(name)
        return play(main)


def assignment_of(task: Object) -> Assignment:
    return versions.read(json.loads(base64.b64decode(json.loads(task["spec"]["assignment"])["payload"])))


def version(federation: Federation) -> Any:
    [only] = federation.hub.select("ModelVersion", FEDERATION)
    return only


def left(federation: Federation) -> tuple[list[str], list[str]]:
    """Names of FederatedRounds, and the rounds' UIDs of which the hub has a result."""
    rounds = [each["metadata"]["name"] for each in federation.hub.select("FederatedRound", FEDERATION)]
    secrets = federation.hub.select("Secret", HUB_NAMESPACE)
    results = [each for each in secrets if each["metadata"]["name"].startswith("model-") and each.get("data")]
    return rounds, [each["metadata"]["name"].removeprefix("model-") for each in results]


def test_a_model_makes_the_digests_of_rounds_that_are_chained_by_hand(trained: Trained) -> None:
    with scratch() as folder:
        chained = play_rounds(Path(folder), demo_data.tables(), by_hand())
    own = [each["status"]["result"]["digest"] for each in trained.rounds]
    assert own[: 1 + TRAININGS] == chained.digests
    assert [each["spec"]["task"] for each in trained.rounds] == ["Statistics", "Train", "Train", "Evaluate"]


def test_the_rounds_belong_to_the_model_and_have_nothing_of_its_labels(trained: Trained) -> None:
    for each in trained.rounds:
        controllers = [owner["name"] for owner in each["metadata"]["ownerReferences"] if owner.get("controller")]
        assert controllers == ["breast"]
        assert not any(
            "argocd" in name for name in (*each["metadata"]["labels"], *each["metadata"].get("annotations", {}))
        )


def test_every_task_of_the_series_says_what_the_whole_series_asks_for(trained: Trained) -> None:
    """So a hospital can approve the series with its first task, and no later task falls outside."""
    assert {each.task for each in trained.assignments} == {"Statistics", "Train", "Evaluate"}
    assert {each.model.round for each in trained.assignments if each.model} == {0, 1, 2}
    assert [approvals.deviations(each) for each in trained.assignments if approvals.deviations(each)] == []
    known = {terms.text(series) if (series := terms.series_terms(each)) else "" for each in trained.assignments}
    [only] = known
    document = json.loads(only)
    assert (document["modelName"], document["series"], document["rounds"]) == ("breast", 1, TRAININGS)
    assert document["parameters"] == own_round()["parameters"]


def test_the_version_is_the_best_round_with_its_numbers(trained: Trained) -> None:
    series = trained.model["status"]["series"]
    losses = {each["name"]: each["loss"] for each in series["rounds"] if "loss" in each}
    assert len(losses) == TRAININGS
    assert series["best"] == min(losses, key=lambda name: float(losses[name])) == trained.version["spec"]["roundName"]
    numbers = {each["name"]: each["value"] for each in trained.version["status"]["metrics"]}
    assert numbers["loss"] == losses[series["best"]]
    assert trained.model["status"]["current"] == trained.version["metadata"]["name"]
    ready = condition(trained.model, "Ready")
    assert ready is not None
    assert ready.reason == "VersionCurrent"


def test_the_version_names_the_newest_card_and_who_may_get_the_model(trained: Trained) -> None:
    """The card that a delivery brings. Two rounds have made another revision of it: the evaluation after the last
    training, and the one on test rows."""
    [folder, *_] = trained.delivered.values()
    digest = cards.digest(folder.card)
    assert folder.card.revision == 3
    assert {each.rows for each in folder.card.metrics} == {"Validation", "Test"}
    assert trained.version["status"]["card"] == {"digest": digest, "revision": 3, "signedBy": trained.fingerprint}
    assert (trained.version["spec"]["parents"], trained.version["spec"]["release"]) == ([], "Participants")


def test_the_version_is_measured_once_on_test_rows_apart_from_validation_rows(trained: Trained) -> None:
    status = trained.version["status"]
    test, name = status["test"], trained.version["spec"]["roundName"]
    assert (test["roundName"], test["outcome"]) == (trained.model["status"]["testing"]["round"], "Complete")
    assert {(each["rows"], each["model"]) for each in test["metrics"]} == {("Test", name)}
    assert {each["rows"] for each in status["metrics"]} == {"Validation"}
    people = {each["name"]: each["people"] for each in test["metrics"]}
    assert people["loss"] > 0
    opened = {(each.round_name, each.participant) for each in trained.assignments if each.rows == "Test"}
    assert opened == {(test["roundName"], each.name) for each in demo_data.HOSPITALS}


def test_every_hospital_has_the_current_version(trained: Trained) -> None:
    """One of them by a delivery of its own, because it joined after the others had the version."""
    [delivery] = trained.deliveries
    assert is_true(delivery, "Complete")
    assert delivery["spec"]["participants"]["names"] == [LATE]
    assert set(trained.delivered) == {each.name for each in demo_data.HOSPITALS}
    assert {each.card.round_uid for each in trained.delivered.values()} == {trained.version["spec"]["roundUID"]}
    assert {each.card.model.digest for each in trained.delivered.values()} == {trained.version["spec"]["digest"]}
    assert set(trained.current.values()) == {"v1\n"}


def test_a_hospital_whose_site_reads_no_names_gets_the_card_without_them(trained: Trained) -> None:
    """In the version before names: an older courier would refuse the delivery."""
    cards_with_names = {name: each.card for name, each in trained.delivered.items() if each.card.hospital_names}
    assert set(cards_with_names) == {each.name for each in demo_data.HOSPITALS} - {LATE}
    card = trained.delivered[LATE].card
    assert card.version == cards.LOWEST
    assert replace(card, version=cards.NAMES_SINCE, hospital_names=()) in [
        replace(each, hospital_names=()) for each in cards_with_names.values()
    ]


def test_a_deleted_model_leaves_its_current_version_with_the_result(trained: Trained) -> None:
    spec = trained.version["spec"]
    assert trained.kept == ([spec["roundName"]], [spec["roundUID"]])


def test_a_deleted_version_takes_the_result_with_it(trained: Trained) -> None:
    assert trained.forgotten == ([], [])
