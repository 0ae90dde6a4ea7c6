"""A hospital whose file has another unit takes part in no round, until its people accept it. The hub hears why."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.gate import centimetres, evenly
from lab import demo_data
from tests.conditions import condition, is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import SITE_NAMESPACE, Federation
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.virtual import VirtualLoop, play
from wardround.ports import Object

CHANGED, DATASET = "site-b", Place("Dataset", SITE_NAMESPACE, "breast")


@dataclass
class Played:
    """`refused`, `accepted`: a round before and after people have accepted the change. `tasks`: the RoundTasks of the
    first one. `dataset`: that of the hospital with centimetres, after the first one."""

    refused: Object
    accepted: Object
    tasks: list[Object]
    dataset: Object


@pytest.fixture(scope="module")
def played() -> Played:
    async def main(loop: VirtualLoop) -> Played:
        federation, tables = Federation(loop, folder, OWN, 1), evenly(demo_data.tables())
        statistics, first = documents(OWN)[:2]
        first["spec"]["quorum"] = {"min": 2}
        async with federation.running(tables):
            federation.apply(statistics)
            await federation.over(statistics["metadata"]["name"])
            file = folder / CHANGED / "claims" / SITE_NAMESPACE / "data" / "cases.csv"
            demo_data.write(centimetres(tables[CHANGED]), file)
            federation.apply(first)
            refused = await federation.over(first["metadata"]["name"])
            name = first["metadata"]["name"]
            tasks = copy.deepcopy(federation.hub.select("RoundTask", None, f"wardround.io/round={name}"))
            dataset = copy.deepcopy(federation.sites[CHANGED].read(DATASET))
            federation.sites[CHANGED].change(DATASET, {"spec": {"columnsVersion": 1}})
            ready = "the file is accepted"
            await federation.until(ready, lambda: is_true(federation.sites[CHANGED].read(DATASET), "Ready"))
            again = documents(OWN)[1]
            again["metadata"]["name"] = "again"
            federation.apply(again)
            return Played(refused, await federation.over("again"), tasks, dataset)

    with scratch() as name:
        folder = Path(name)
        return play(main)


def test_the_round_goes_on_without_the_hospital(played: Played) -> None:
    assert is_true(played.refused, "Complete")
    status = played.refused["status"]
    assert status["participants"]["aggregated"] == 2
    assert [(each["participant"], each["reason"]) for each in status["attention"]] == [(CHANGED, "ColumnsChanged")]


def test_the_hospitals_people_see_the_columns_and_the_hub_does_not(played: Played) -> None:
    ready = condition(played.dataset, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "ColumnsChanged")
    assert "mean_radius, mean_perimeter, mean_area" in ready.message
    assert "columnsVersion" in ready.message
    at_the_hub = json.dumps([played.refused["status"], *(each["status"] for each in played.tasks)])
    assert "ColumnsChanged" in at_the_hub
    assert not [word for word in ("mean_radius", "quantile", "another scale") if word in at_the_hub]


def test_after_people_have_accepted_the_change_all_hospitals_take_part(played: Played) -> None:
    assert is_true(played.accepted, "Complete")
    assert played.accepted["status"]["participants"]["aggregated"] == 3
