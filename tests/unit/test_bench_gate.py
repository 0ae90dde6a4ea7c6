"""What bench.gate plays: rows that are dealt evenly, a hospital with other units, and which model is the candidate."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import gate, gate_inside
from lab import demo_data, demo_gate, demo_rounds
from tests.simulation.rounds import OWN
from tests.unit.simulate.rounds import short


def test_every_row_without_a_fault_is_at_one_hospital_and_the_hospitals_are_equal() -> None:
    made = demo_data.tables()
    dealt = gate.evenly(made)
    sizes = [len(rows) for _, rows in dealt.values()]
    assert sum(sizes) == 569 - sum(len(faults) for faults in demo_data.BLEMISHES.values())
    assert max(sizes) - min(sizes) <= 1
    assert len({row[0] for _, rows in dealt.values() for row in rows}) == sum(sizes)


def test_centimetres_change_lengths_and_areas_and_nothing_else() -> None:
    header = ["patient_id", "malignant", "mean_radius", "worst_perimeter", "area_error", "mean_texture"]
    [row] = gate.centimetres((header, [["p", "1", "21.5", "150", "400", "20.1"]]))[1]
    assert row == ["p", "1", "2.15", "15", "4", "20.1"]


def comparison(loss: str, outcome: str) -> dict[str, Any]:
    return {"loss": loss, "outcome": outcome}


def test_the_candidate_is_the_model_with_the_lowest_loss_and_among_equals_the_earlier_one() -> None:
    assert gate.chosen([comparison("0.2", "a"), comparison("0.15", "b"), comparison("0.15", "c")])["outcome"] == "b"
    assert gate.chosen([comparison("", "a"), comparison("2.5", "b")])["outcome"] == "b"


def test_one_hospital_has_a_fault_in_a_series_of_faults_and_all_rounds_have_files() -> None:
    scenario = gate.faults()
    for each in scenario.rounds:
        variants = scenario.files[each["metadata"]["name"]]
        assert all(name in scenario.tables[variant] for name, variant in variants.items())
    for series, comparisons in scenario.series.items():
        assert len(comparisons) == demo_rounds.FURTHER_ROUNDS
        faulty = {name for name, variant in scenario.files[comparisons[0]].items() if variant != gate.AS_EXPORTED}
        assert faulty == {demo_gate.HOSPITAL}, series


def test_the_demos_series_learn_from_the_new_cases_first_and_from_flipped_labels_then() -> None:
    scenario = gate.demo()
    assert list(scenario.series) == ["new-cases", "flipped-labels"]
    first, second, third = (scenario.files[name] for name in ("train-5", "new-cases-r1", "flipped-labels-r1"))
    assert set(first.values()) == {"start"}
    assert second == {**first, demo_data.GROWING: gate.AS_EXPORTED}
    assert third == {**second, demo_gate.HOSPITAL: "flipped"}
    assert set(scenario.accepted) == {
        *(f"flipped-labels-{kind}{number}" for kind in "rcb" for number in range(1, demo_rounds.FLIPPED_ROUNDS + 1))
    }
    assert all(each == {demo_gate.HOSPITAL: 1} for each in scenario.accepted.values())


def test_flipped_labels_are_compared_also_with_the_first_version_if_no_later_one_has_a_lower_loss() -> None:
    scenario = gate.demo()
    second = dict(zip(scenario.series["new-cases"], (comparison("0.2", ""), comparison("0.15", "")), strict=True))
    for loss, names in (("0.15", scenario.with_best), ("0.16", scenario.series), ("", scenario.series)):
        repeat = {**second, gate.measured_by("train-5"): comparison(loss, "")}
        assert scenario.comparisons("flipped-labels", repeat) == names["flipped-labels"], loss
    [both] = [each for each in scenario.rounds if each["metadata"]["name"] == "flipped-labels-b1"]
    assert both["spec"]["references"] == ["new-cases-r2", "train-5"]


def short_scenario(*changed: str, **spec: Any) -> gate.Scenario:
    """A model and two comparisons of it. `spec`: of the rounds `changed`."""
    statistics, training, first = short()
    second = short()[2]
    first["metadata"]["name"], second["metadata"]["name"] = "c1", "c2"
    made = demo_data.tables()
    scenario = gate.Scenario({gate.AS_EXPORTED: made}, fixed_split=True)
    for each in (statistics, training, first, second):
        each["spec"] |= spec if each["metadata"]["name"] in changed else {}
        scenario.add(each, dict.fromkeys(made, gate.AS_EXPORTED))
    return scenario


def played(scenario: gate.Scenario, folder: Path) -> dict[str, Any]:
    scenario.write(folder, gate_alone=False)
    return gate_inside.repeat(folder, json.loads((folder / "scenario.json").read_text("utf-8")), 0, OWN.program)


def test_the_rounds_after_a_comparison_that_fails_are_played_and_the_series_counts_as_failed(tmp_path: Path) -> None:
    """The clinic withholds its numbers, so the first comparison has two hospitals."""
    repeat = played(short_scenario("c1", quorum={"min": 3}), tmp_path)
    assert repeat["failed"] == {"c1": "NumbersWithheld"}
    assert float(repeat["c2"]["loss"]) > 0
    assert gate.decision(repeat, ["c1", "c2"], refused=False) == ("failed: NumbersWithheld", [])


def test_a_training_that_fails_ends_the_repeat_and_the_series_counts_as_failed(tmp_path: Path) -> None:
    repeat = played(short_scenario("train-1", quorum={"min": 4}), tmp_path)
    assert "train-1" in repeat["failed"]
    assert gate.decision(repeat, ["c1", "c2"], refused=False) == ("failed: a Train round has failed", [])


@pytest.mark.parametrize(("refused", "rows"), [(True, "without the refused rows"), (False, "with all rows")])
def test_the_decision_about_a_series_is_that_about_its_candidate(refused: bool, rows: str) -> None:
    losses = ("0.2", "0.1")
    ended = [{**comparison(loss, "Worse"), "reason": loss, "differences": [{"value": loss}]} for loss in losses]
    repeat = {"failed": {}, "c1": ended[0], "c2": ended[1]}
    end, differences = gate.decision(repeat, ["c1", "c2"], refused=refused)
    assert (end, differences) == (f"Worse, 0.1, of a model {rows}", [{"value": "0.1"}])
