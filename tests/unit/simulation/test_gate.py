"""Two further series of a model by all of Wardround in one process: one is accepted, one with flipped labels is not.

Each of the three hospitals has so many people that all of them are measured.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lab import demo_data
from tests.conditions import condition, is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import SITE_NAMESPACE, Federation
from tests.simulation.rounds import OWN, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_model import FEDERATION, left, model
from wardround.ports import Object

COPIES, LABEL = 3, "malignant"
MODEL = Place("FederatedModel", FEDERATION, "breast")
DATASET = Place("Dataset", SITE_NAMESPACE, "breast")
# A cron line for each minute: a series begins as soon as the trigger is there, and the last one has ended.
SOON = {"cron": "* * * * *"}


def tables() -> dict[str, demo_data.Table]:
    """The demo's cases, each as three people who differ a little, dealt evenly to the hospitals."""
    own = demo_data.tables()
    draw = np.random.default_rng(7)
    header = own["site-a"][0]
    faulty = {(name, row) for name, faults in demo_data.BLEMISHES.items() for row, *_ in faults}
    cases = [row for name in own for place, row in enumerate(own[name][1]) if (name, place) not in faulty]
    made: dict[str, demo_data.Table] = {name: (header, []) for name in own}
    for number in range(COPIES * len(cases)):
        _, label, *values = cases[number % len(cases)]
        name = sorted(made)[number % len(made)]
        varied = [f"{float(each) * draw.uniform(0.97, 1.03):g}" for each in values]
        made[name][1].append([f"{name}-{number:05}", label, *varied])
    return made


def flip(federation_folder: Path, name: str, table: demo_data.Table) -> None:
    """Write the hospital's file anew, with each malignant finding as a benign one, and the other way round."""
    header, rows = table
    place = header.index(LABEL)
    flipped = [[*row[:place], "10"[int(row[place])], *row[place + 1 :]] for row in rows]
    demo_data.write((header, flipped), federation_folder / name / "claims" / SITE_NAMESPACE / "data" / "cases.csv")


@dataclass
class Retrained:
    """The model after each series, all versions at the end, and what is left of rounds and results."""

    after: list[Object]
    versions: dict[int, Object]
    rounds: dict[str, Object]
    left: tuple[list[str], list[str]]


@pytest.fixture(scope="module")
def retrained() -> Retrained:
    async def main(loop: VirtualLoop) -> Retrained:
        federation, data = Federation(loop, folder, OWN, 1), tables()
        rounds: dict[str, Object] = {}
        after: list[Object] = []

        async def ended(number: int) -> None:
            def over() -> bool:
                series = (federation.hub.read(MODEL).get("status") or {}).get("series") or {}
                return bool(series.get("number") == number and series.get("version"))

            await federation.until(f"series {number} has a version", over, 3600)
            after.append(copy.deepcopy(federation.hub.read(MODEL)))
            for each in after[-1]["status"]["series"]["rounds"]:
                rounds[each["name"]] = federation.round(each["name"])

        async def another(number: int) -> None:
            """One further series: the trigger goes as soon as the series has begun."""
            federation.hub.change(MODEL, {"spec": {"trigger": SOON}})
            begun = f"series {number} has begun"
            await federation.until(begun, lambda: federation.hub.read(MODEL)["status"]["series"]["number"] == number)
            federation.hub.change(MODEL, {"spec": {"trigger": None}})
            await ended(number)

        async with federation.running(data):
            item = model()
            item["spec"]["evaluation"] = {"testRows": False}
            federation.apply(item)
            await ended(1)
            await another(2)
            flip(folder, "site-b", data["site-b"])
            # Otherwise the hospital refuses the file (ColumnsChanged).
            federation.sites["site-b"].change(DATASET, {"spec": {"columnsVersion": 1}})
            await another(3)
            await federation.until("all is in order", lambda: is_true(federation.hub.read(MODEL), "VersionWaits"))
            await federation.until("the first series is deleted", lambda: len(left(federation)[0]) <= 6)
            await federation.until("its results are deleted", lambda: len(left(federation)[1]) <= 6)
            made = federation.hub.select("ModelVersion", FEDERATION)
            after.append(copy.deepcopy(federation.hub.read(MODEL)))
            return Retrained(after, {each["spec"]["version"]: each for each in made}, rounds, left(federation))

    with scratch() as name:
        folder = Path(name)
        return play(main)


def verdict(retrained: Retrained, number: int) -> tuple[str, str]:
    verdict = retrained.versions[number]["status"]["verdict"]
    return verdict["outcome"], verdict["reason"]


def current(retrained: Retrained) -> list[int]:
    """The number of the current version after each series."""
    numbers = {each["metadata"]["name"]: number for number, each in retrained.versions.items()}
    return [numbers[each["status"]["current"]] for each in retrained.after]


def test_a_second_series_that_learns_on_is_accepted(retrained: Retrained) -> None:
    assert verdict(retrained, 1) == ("Accepted", "FirstVersion")
    assert verdict(retrained, 2) == ("Accepted", "NotWorse")
    assert current(retrained)[:2] == [1, 2]


def test_it_starts_from_the_current_version_and_is_compared_with_it(retrained: Retrained) -> None:
    first = retrained.versions[1]["spec"]["roundName"]
    [training, *_, comparison] = retrained.after[1]["status"]["series"]["rounds"]
    assert retrained.rounds[training["name"]]["spec"]["base"] == {"roundName": first}
    compared = retrained.rounds[comparison["name"]]
    assert compared["spec"]["references"] == [first] == comparison["references"]
    result = compared["status"]["result"]
    assert result["withheld"] == 0
    [difference] = result["differences"]
    assert float(difference["high"]) < 0.01
    assert difference["hospitals"] == len(demo_data.HOSPITALS)


def test_a_series_with_flipped_labels_at_one_of_three_hospitals_is_not_accepted(retrained: Retrained) -> None:
    """In the total it is the better one, because the hospital's validation rows are flipped too."""
    assert verdict(retrained, 3) == ("Undecided", "WorseAtHospital")
    assert current(retrained) == [1, 2, 2, 2]
    waits = condition(retrained.after[-1], "VersionWaits")
    assert waits is not None
    assert "Version 3 is Undecided" in waits.message


def test_rounds_and_results_that_no_version_needs_are_deleted(retrained: Retrained) -> None:
    names, uids = retrained.left
    kept = {each["spec"]["roundName"] for each in retrained.versions.values()}
    assert set(names) == kept | {each["name"] for each in retrained.after[-1]["status"]["series"]["rounds"]}
    assert {each["spec"]["roundUID"] for each in retrained.versions.values()} <= set(uids)
    assert len(uids) == len(names)
