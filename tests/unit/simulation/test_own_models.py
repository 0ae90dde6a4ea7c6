"""A hospital trains alone, all hospitals measure its model beside the federation's, and the report shows both.

All of Wardround plays in one process. Only the hospital that trains alone takes part in rounds of one hospital.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conditions import is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import SITE_NAMESPACE, Federation
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_gate import tables
from tests.unit.simulation.test_model import FEDERATION, model, version
from wardround.cli.report import own_models, seen
from wardround.cli.report.document import IntervalChart, Section, Table
from wardround.ports import Object

MODEL = Place("FederatedModel", FEDERATION, "breast")
ALONE, OTHER = "site-a", "site-b"
SMALL_QUORUM = {"spec": {"policy": {"minQuorum": 1}}}


def alone(hospital: str) -> list[Object]:
    """The rounds of docs/federation.md that one hospital trains in."""
    statistics, training, *_ = copy.deepcopy(documents(OWN))
    for each in (statistics, training):
        each["metadata"]["name"] = f"{hospital}-{each['spec']['task'].lower()}"
        each["spec"] |= {"participants": {"names": [hospital]}, "quorum": {"min": 1}}
    training["spec"]["initial"]["statisticsRoundName"] = statistics["metadata"]["name"]
    return [statistics, training]


def comparison(base: str, reference: str) -> Object:
    result = copy.deepcopy(documents(OWN)[-1])
    result["metadata"]["name"] = "own-models"
    result["spec"] |= {"base": {"roundName": base}, "references": [reference], "rows": "Validation"}
    return result


@pytest.fixture(scope="module")
def played() -> tuple[Section, Object]:
    """The section of the report, and the round in which a hospital would not train alone."""

    async def main(loop: VirtualLoop) -> tuple[Section, Object]:
        federation = Federation(loop, folder, OWN, 1)
        async with federation.running(tables()):
            federation.sites[ALONE].change(Place("Site", SITE_NAMESPACE, "site"), SMALL_QUORUM)
            federation.apply(model(), *alone(ALONE), alone(OTHER)[0])
            await federation.until("the series has ended", lambda: is_true(federation.hub.read(MODEL), "Ready"))
            await federation.until("the version is ready", lambda: is_true(version(federation), "Ready"))
            await federation.over(f"{ALONE}-train")
            refused = await federation.over(f"{OTHER}-statistics")
            federation.apply(comparison(version(federation)["spec"]["roundName"], f"{ALONE}-train"))
            await federation.over("own-models")
            hub = federation.hub
            rounds = hub.select("FederatedRound", FEDERATION)
            objects = hub.read(MODEL), hub.select("ModelVersion", FEDERATION), rounds
            participants = hub.select("Participant", None)
            read = seen.parse(objects, rounds, None, participants, None, datetime(2027, 1, 1, tzinfo=UTC))
            return own_models.own_models(read), refused

    with scratch() as name:
        folder = Path(name)
        return play(main)


def test_the_report_has_the_difference_between_the_version_and_the_own_model(played: tuple[Section, Object]) -> None:
    _, chart = played[0].blocks
    assert isinstance(chart, IntervalChart)
    [row] = chart.table.rows
    assert row[0] == "version 1"
    assert row[2].startswith("own model of ")
    assert row[2].endswith(f"({ALONE})")
    loss, reference_loss, difference = (float(row[place]) for place in (1, 3, 4))
    assert difference == pytest.approx(loss - reference_loss, abs=0.02), "the losses are over the same people"
    assert row[7:] == ("3", "Validation")
    assert len(chart.points) == 1


def test_numbers_over_the_hospital_alone_are_not_in_the_section(played: tuple[Section, Object]) -> None:
    assert not [each for each in played[0].blocks if isinstance(each, Table)]


def test_no_hospital_trains_alone_whose_site_asks_for_more_hospitals(played: tuple[Section, Object]) -> None:
    assert is_true(played[1], "Failed")
    attention = played[1]["status"]["attention"]
    assert [(each["participant"], each["reason"]) for each in attention] == [(OTHER, "QuorumTooSmall")]
