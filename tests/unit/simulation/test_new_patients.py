"""New patients at a hospital begin a series of a model: from the file to the new version, by all of Wardround."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from lab import demo_data
from lab.demo_data import GROWING
from tests.conditions import condition, is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import SITE_NAMESPACE, Federation
from tests.simulation.rounds import OWN, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_model import FEDERATION, model
from wardround.api.times import parse_time
from wardround.plans.model import patients
from wardround.ports import Object

MODEL, DATASET = Place("FederatedModel", FEDERATION, "breast"), Place("Dataset", SITE_NAMESPACE, "breast")
TELLING = replace(OWN, policy={**OWN.policy, "tellNewPatients": True})
HOUR = 3600
NEW_PATIENTS = 22


@dataclass
class Grown:
    """The model after its first and its second series, and the Dataset of the growing hospital at the same times.
    `rounds`: the first Train round of each series. `unread`, `read`: the model before and after a pod has read the
    longer file, on the day of the first number."""

    models: list[Object]
    datasets: list[Object]
    rounds: list[Object]
    unread: Object
    read: Object


@pytest.fixture(scope="module")
def grown() -> Grown:
    async def main(loop: VirtualLoop) -> Grown:
        federation, made = Federation(loop, folder, TELLING, 1), demo_data.tables()
        models: list[Object] = []
        datasets: list[Object] = []
        rounds: list[Object] = []

        def now(place: Place) -> Object:
            server = federation.hub if place is MODEL else federation.sites[GROWING]
            return copy.deepcopy(server.read(place))

        def published(hospital: demo_data.Hospital) -> bool:
            site = federation.participant(hospital.name)["status"]["site"]
            return all("trainingPatients" in each for each in site["datasets"])

        async def ended(number: int) -> None:
            def over() -> bool:
                series = (federation.hub.read(MODEL).get("status") or {}).get("series") or {}
                return bool(series.get("number") == number and series.get("version"))

            await federation.until(f"series {number} has a version", over, 2 * HOUR)
            await federation.until("the model is at rest", lambda: is_true(federation.hub.read(MODEL), "Ready"))
            models.append(now(MODEL))
            datasets.append(now(DATASET))
            listed = models[-1]["status"]["series"]["rounds"]
            rounds.append(federation.round(next(each["name"] for each in listed if each["task"] == "Train")))

        async with federation.running(demo_data.at_start(made)):
            federation.sites[GROWING].change(DATASET, {"spec": {"readEvery": 6 * HOUR}})
            await federation.until("all hospitals tell their numbers", lambda: all(map(published, demo_data.HOSPITALS)))
            item = model()
            item["spec"] |= {"trigger": {"newPatients": NEW_PATIENTS}}
            item["spec"]["evaluation"]["testRows"] = False
            item["spec"]["series"]["rounds"] = 1
            federation.apply(item)
            await ended(1)
            claim = folder / GROWING / "claims" / SITE_NAMESPACE / "data"
            demo_data.write(made[GROWING], claim / "cases.csv")
            unread, before = now(MODEL), datasets[0]["status"]["trainingPatients"]

            def noticed() -> bool:
                return bool(federation.sites[GROWING].read(DATASET)["status"]["trainingPatients"] > before)

            # Between two looks at the objects, hours pass.
            await asyncio.sleep(6 * HOUR)
            await federation.until("a pod has read the longer file", noticed)
            read = now(MODEL)
            await asyncio.sleep(17 * HOUR)
            await ended(2)
            return Grown(models, datasets, rounds, unread, read)

    # To play the seven days of this pause would take a minute.
    with scratch() as name, pytest.MonkeyPatch.context() as changes:
        changes.setattr(patients, "PAUSE", timedelta(days=1))
        folder = Path(name)
        return play(main)


def test_the_model_waits_for_the_number_of_new_patients(grown: Grown) -> None:
    for each in (grown.unread, grown.read):
        assert each["status"]["series"]["number"] == 1
        known = each["status"]["series"]["trainingPatients"]
        scheduled = condition(each, "Scheduled")
        assert scheduled is not None
        assert f"{NEW_PATIENTS} more training patients than {known}" in scheduled.message


def test_the_hospital_tells_another_number_a_day_later_and_a_rounded_one(grown: Grown) -> None:
    first, second = (each["status"]["published"] for each in grown.datasets)
    assert parse_time(second["at"]) - parse_time(first["at"]) >= timedelta(days=1)
    for each in grown.datasets:
        rounded, exact = each["status"]["published"]["trainingPatients"], each["status"]["trainingPatients"]
        assert rounded == exact - exact % 11


def test_the_number_of_new_patients_begins_a_series_that_trains_with_them(grown: Grown) -> None:
    first, second = (each["status"]["series"] for each in grown.models)
    assert (first["number"], second["number"]) == (1, 2)
    assert second["trainingPatients"] - first["trainingPatients"] >= NEW_PATIENTS
    assert second["base"] == grown.rounds[0]["metadata"]["name"]
    samples = [each["status"]["result"]["samples"] for each in grown.rounds]
    exact = [each["status"]["trainingPatients"] for each in grown.datasets]
    assert samples[1] - samples[0] == exact[1] - exact[0] > 0
