"""The report compares the versions with models that single hospitals trained alone, and with nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cli import reported
from wardround.cli.report import own_models
from wardround.cli.report.document import IntervalChart, Paragraph, Section, Table

Object = dict[str, Any]


def section(objects: Object | None = None) -> Section:
    return own_models.own_models(reported.parsed(objects or reported.objects()))


def with_spec(name: str, **spec: Any) -> Object:
    """The objects, with other fields in the spec of one round."""
    objects = reported.objects()
    for each in objects["rounds"]:
        if each["metadata"]["name"] == name:
            each["spec"] |= spec
    return objects


def nothing(objects: Object) -> bool:
    return section(objects).blocks == (Paragraph(own_models.NOTHING),)


def test_an_own_model_stands_beside_the_version_with_the_difference_on_the_same_people() -> None:
    _, chart, numbers = section().blocks
    assert isinstance(chart, IntervalChart)
    assert chart.table.rows == (
        (
            *("own model of North Hospital (site-a)", "0.431", "version 1", "0.33"),
            *("0.1", "0.04 to 0.16", "640", "2", "Validation"),
        ),
    )
    assert chart.points[0].label == "own model of North Hospital (site-a) minus version 1"
    assert isinstance(numbers, Table)
    loss = ("0.431", "0.37 to 0.49", "Lower", "640", "2", "Validation")
    assert numbers.rows == (("loss", "North Hospital (site-a)", *loss, "own-models"),)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        (reported.OWN, {"participants": {"names": ["site-a", "site-b"]}}),
        (reported.OWN, {"participants": {"selector": {"matchLabels": {"country": "de"}}}}),
        ("north-statistics", {"participants": {"names": ["site-b"]}}),
        ("north-statistics", {"participants": {"names": ["site-a", "site-b"]}}),
        (reported.OWN, {"initial": None, "base": {"roundName": reported.name(2, "r3")}}),
        (reported.OWN, {"initial": None, "base": {"versionName": "pretrained"}}),
        (reported.OWN, {"initial": None, "base": {"roundName": "deleted"}}),
        (reported.OWN, {"initial": None, "base": {"roundName": reported.OWN}}),
    ],
    ids=["two", "selected", "other", "statistics", "federated", "pushed", "deleted", "itself"],
)
def test_a_model_with_rows_of_others_behind_it_is_nobodys_own(name: str, spec: Object) -> None:
    assert nothing(with_spec(name, **spec))


def test_numbers_of_pushed_weights_with_the_name_of_an_own_models_round_are_nobodys_own() -> None:
    """Whoever may push chooses the name, so the numbers would stand beside a hospital that never trained them."""
    assert nothing(with_spec("own-models", base={"versionName": reported.OWN}))


def test_a_model_that_goes_on_from_an_own_model_is_an_own_model() -> None:
    objects = with_spec("own-models", base={"roundName": "north-again"})
    again = reported.own_rounds()[1]
    again["metadata"]["name"] = "north-again"
    again["spec"] |= {"initial": None, "base": {"roundName": reported.OWN}}
    again["status"]["timeline"][0]["time"] = "2026-11-24T13:00:01.700000Z"
    measured = objects["rounds"][-1]["status"]["result"]
    for each in (*measured["metrics"], *measured["differences"]):
        each["model"] = "north-again"
    assert not nothing({**objects, "rounds": [*objects["rounds"], again]})


@pytest.mark.parametrize("name", [reported.OWN, "north-statistics"])
@pytest.mark.parametrize("stages", [[("Dispatched", "2026-11-24T14:00:00.000000Z")], []], ids=["runs", "waits"])
def test_numbers_of_a_round_that_was_deleted_are_not_those_of_the_one_that_has_its_name(name: str, stages: Any) -> None:
    objects = reported.objects()
    for each in objects["rounds"]:
        if each["metadata"]["name"] == name:
            each["metadata"] |= {"uid": "made again", "creationTimestamp": "2026-11-24T13:30:00Z"}
            each["status"]["timeline"] = [{"stage": stage, "time": time} for stage, time in stages]
    assert nothing(objects)


def test_numbers_of_an_own_model_over_one_hospital_are_left_out() -> None:
    objects = reported.objects()
    measured = objects["rounds"][-1]["status"]["result"]
    for each in (*measured["metrics"], *measured["differences"]):
        each["hospitals"] = 1
    assert nothing(objects)


def test_a_namespace_without_own_models_says_how_to_measure_one() -> None:
    assert nothing({**reported.objects(), "rounds": reported.rounds()})


def test_a_version_that_is_an_own_model_stands_beside_a_version_of_all_hospitals() -> None:
    objects = reported.objects()
    model, (newer, *older), rounds = objects["model"]
    newer = {**newer, "spec": {**newer["spec"], "roundName": reported.OWN, "roundUID": reported.OWN}}
    objects["model"] = model, [newer, *older], rounds
    for turned in (False, True):
        [difference] = objects["rounds"][-1]["status"]["result"]["differences"]
        if turned:
            difference["model"], difference["reference"] = difference["reference"], difference["model"]
        _, chart, _ = section(objects).blocks
        assert isinstance(chart, IntervalChart)
        assert len(chart.points) == 1


def test_the_newest_comparison_counts() -> None:
    older = reported.own_rounds()[2]
    older["metadata"] |= {"name": "older", "creationTimestamp": "2026-11-24T13:00:01Z"}
    older["status"]["timeline"][0]["time"] = "2026-11-24T13:00:01.900000Z"
    older["status"]["result"]["differences"][0]["value"] = "0.5"
    objects = reported.objects()
    assert section({**objects, "rounds": [*objects["rounds"], older]}) == section()
