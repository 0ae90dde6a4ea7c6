"""What bench.gate plays: rows that are dealt evenly, a hospital with other units, and which model is the candidate."""

from typing import Any

from bench import gate
from lab import demo_data, demo_gate, demo_rounds


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
        *(f"flipped-labels-{kind}{number}" for kind in "rc" for number in range(1, demo_rounds.FURTHER_ROUNDS + 1))
    }
    assert all(each == {demo_gate.HOSPITAL: 1} for each in scenario.accepted.values())
