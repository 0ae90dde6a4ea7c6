"""`results` shows each number with its interval and what it is over, and no single hospital's that is not told."""

import csv
import io
import json
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.unit.cli.required import REQUIRED, RESULT, metric
from wardround.cli import results
from wardround.cli.errors import CommandError
from wardround.cli.results import Results
from wardround.metrics.digits import rounded_count

METRICS = [
    metric("loss", "0.12", low="0.08", high="0.16", better="Lower", rows="Test"),
    metric("auc", "0.97", low="0.9", high="1", better="Higher", rows="Test"),
    metric("people", "82", rows="Test"),
]


def round_(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "FederatedRound",
        "metadata": {"name": "evaluate", "namespace": "breast-cancer", "uid": "u"},
        "spec": {**REQUIRED["FederatedRound"], "task": "Evaluate"},
        "status": {
            "participants": {"aggregated": 2},
            "result": {**RESULT, "digest": "sha256:d", "samples": 82, "metrics": METRICS, "withheld": 1, **changes},
        },
    }


def task(hospital: str, *, withheld: bool = False, attempt: int = 1) -> dict[str, Any]:
    return {
        "kind": "RoundTask",
        "metadata": {"name": f"evaluate-a{attempt}", "namespace": hospital, "uid": hospital},
        "spec": {**REQUIRED["RoundTask"], "attempt": attempt},
        "status": {"update": {"manifest": "{}", "samples": 0 if withheld else 41, "withheld": withheld}},
    }


TASKS = [task("site-a"), task("site-b"), task("site-c", withheld=True)]
HOSPITALS = [{"name": "site-a", "metrics": [{"name": "loss", "value": "0.2"}, {"name": "auc", "value": "0.95"}]}]


def shown(**changes: Any) -> Results:
    return results.results(round_(**changes), TASKS)


def drawn(table: Table) -> list[list[str]]:
    """The title's line, and the cells of each row."""
    file = io.StringIO()
    Console(file=file, width=200, no_color=True).print(table)
    title, *lines = file.getvalue().splitlines()
    cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines]
    return [[title.strip()], *(each for each in cells if len(each) > 1)]


def test_the_table_has_each_number_with_its_interval_and_what_it_is_over() -> None:
    title, head, *rows = drawn(results.table(shown()))
    assert title == ["breast-cancer/evaluate Evaluate, 2 hospitals combined, 1 withheld"]
    assert head == ["metric", "value", "95 % interval", "better", "people", "hospitals", "rows", "model"]
    assert rows == [
        ["loss", "0.12", "0.08 to 0.16", "Lower", "40", "2", "Test", "train-5"],
        ["auc", "0.97", "0.9 to 1", "Higher", "40", "2", "Test", "train-5"],
        ["people", "82", "", "", "40", "2", "Test", "train-5"],
    ]


DIFFERENCE = {
    "reference": "train-3",
    "value": "-0.021",
    "low": "-0.034",
    "high": "-0.008",
    "better": "Lower",
    "referenceLoss": "0.14",
    "people": 40,
    "events": 19,
    "hospitals": 2,
    "rows": "Test",
    "model": "train-5",
}


def test_a_difference_from_a_reference_says_from_which_model_and_its_interval() -> None:
    _, head, *rows = drawn(results.table(shown(differences=[DIFFERENCE])))
    assert head[-2:] == ["model", "reference"]
    assert rows[-1] == [
        *("lossDifference", "-0.021", "-0.034 to -0.008", "Lower", "40", "2", "Test"),
        *("train-5", "train-3"),
    ]
    assert rows[0][-1] == ""
    loss = DIFFERENCE["referenceLoss"]
    assert rows[-2] == ["referenceLoss", loss, "", "Lower", "40", "2", "Test", "train-3", ""]
    near = drawn(results.table(shown(differences=[{**DIFFERENCE, "high": "0"}])))[-1]
    assert near[2] == "-0.034 to below 0", "the words beyond chance stand beside this interval"
    # A round that does not declare the loss tells no reference's loss.
    undeclared = {name: each for name, each in DIFFERENCE.items() if name != "referenceLoss"}
    assert len(shown(differences=[undeclared]).rows) == len(shown(differences=[DIFFERENCE]).rows) - 1
    text = results.text(shown(differences=[DIFFERENCE]), "csv", by_hospital=False)
    assert list(csv.DictReader(io.StringIO(text)))[-1]["reference"] == "train-3"
    document = json.loads(results.text(shown(differences=[DIFFERENCE]), "json", by_hospital=False))
    assert document["differences"] == [DIFFERENCE]


def test_the_compression_of_a_round_stands_in_the_title() -> None:
    trained = round_(withheld=0, metrics=[])
    trained["spec"] |= {"task": "Train", "aggregation": {"compression": "Int8"}}
    title = results.results(trained, TASKS).title
    assert title == "breast-cancer/evaluate Train, 2 hospitals combined, updates compressed with Int8"


def test_the_title_of_a_train_round_says_whose_numbers_it_shows() -> None:
    """A reader would take them for those of the model that the round made."""
    trained = round_(withheld=0)
    trained["spec"] |= {"task": "Train"}
    title = results.results(trained, TASKS).title
    assert title == "breast-cancer/evaluate Train, 2 hospitals combined, numbers of the model before training (train-5)"
    assert "before training" not in shown().title


def test_the_verdict_of_a_gate_stands_in_the_title_and_in_json() -> None:
    names = {"unseen": ["site-c", "site-d"], "tooFewPeople": ["site-c"]}
    verdict = {"outcome": "Undecided", "reason": "TooFewSeen", "reference": "", **names}
    assert shown(verdict=verdict).title.endswith("1 withheld, verdict Undecided (TooFewSeen)")
    assert json.loads(results.text(shown(verdict=verdict), "json", by_hospital=False))["verdict"] == verdict


def test_a_declared_metric_without_a_number_is_named_below_the_table() -> None:
    declared = round_()
    declared["spec"]["metrics"] = ["loss", "brier", "f1"]
    missing, rounded = results.notes(results.results(declared, []))
    assert missing.startswith(
        "The result of this round does not show these metrics that the round declares: brier. Cause: too few people"
    )
    assert "that the round declares: f1. Cause: Wardround does not compute the metric" in missing
    assert rounded == results.ROUNDED
    # A Statistics round measures nothing.
    declared["spec"]["task"] = "Statistics"
    assert results.notes(results.results(declared, [])) == [results.ROUNDED]


@pytest.mark.parametrize(
    ("task", "cause"),
    [("Train", "a Train round cannot measure the metric, but an Evaluate round can"), ("Evaluate", "too few people")],
)
def test_a_metric_that_only_evaluate_rounds_have_says_so_below_the_table_of_a_train_round(
    task: str, cause: str
) -> None:
    declared = round_()
    declared["spec"] |= {"task": task, "metrics": ["loss", "brier", "sensitivityAtSpecificity"]}
    [missing, _] = results.notes(results.results(declared, []))
    sentences = missing.split("The result of this round does not show these metrics that the round declares: ")[1:]
    causes = {name: each for each in sentences for name in each.partition(". ")[0].split(", ")}
    assert causes["sensitivityAtSpecificity"].partition("Cause: ")[2].startswith(cause)
    assert causes["brier"].partition("Cause: ")[2].startswith("too few people")


def test_below_the_table_stands_how_numbers_of_people_are_rounded() -> None:
    assert results.notes(shown()) == [results.ROUNDED]
    assert [rounded_count(each) for each in (99, 999.4, 9_994, 123_456)] == [99, 1000, 9990, 123_500]


def test_by_hospital_a_hospital_that_tells_has_its_numbers_and_others_say_why_not() -> None:
    _, _, *rows = drawn(results.table_by_hospital(shown(hospitals=HOSPITALS)))
    assert rows == [
        ["site-a", "loss", "0.2"],
        ["", "auc", "0.95"],
        ["site-b", results.NOT_TOLD, ""],
        ["site-c", "withheld: fewer people than policy.minCell are in a class", ""],
    ]


def test_a_person_without_the_right_to_read_tasks_sees_the_hospitals_of_the_result() -> None:
    shown_results = results.results(round_(hospitals=HOSPITALS), [])
    assert [each.name for each in shown_results.hospitals] == ["site-a"]


def test_the_newest_attempt_says_whether_a_hospital_is_withheld() -> None:
    tasks = [task("site-a", attempt=2), task("site-a", withheld=True)]
    [hospital] = results.results(round_(), tasks).hospitals
    assert hospital.note == results.NOT_TOLD


def test_csv_has_a_line_of_names_and_one_for_each_number() -> None:
    rows = list(csv.DictReader(io.StringIO(results.text(shown(), "csv", by_hospital=False))))
    assert [each["metric"] for each in rows] == ["loss", "auc", "people"]
    assert rows[0]["low"] == "0.08"
    assert (rows[2]["low"], rows[2]["better"], rows[2]["model"]) == ("", "", "train-5")


def test_csv_by_hospital_has_numbers_or_a_note() -> None:
    text = results.text(shown(hospitals=HOSPITALS), "csv", by_hospital=True)
    rows = [(each["hospital"], each["metric"], each["value"]) for each in csv.DictReader(io.StringIO(text))]
    assert rows == [
        *[("site-a", "loss", "0.2"), ("site-a", "auc", "0.95")],
        *[("site-b", "", ""), ("site-c", "", "")],
    ]


def test_json_has_the_fields_of_the_result() -> None:
    curve = [{"from": "0.000001", "to": "0.5", "people": 41, "observed": "0.02"}]
    document = json.loads(results.text(shown(calibration=curve), "json", by_hospital=False))
    assert document["metrics"] == METRICS
    assert (document["withheld"], document["calibration"]) == (1, curve)
    assert "hospitals" not in document
    hospitals = json.loads(results.text(shown(hospitals=HOSPITALS), "json", by_hospital=True))["hospitals"]
    assert hospitals[0] == {"name": "site-a", "metrics": {"loss": "0.2", "auc": "0.95"}, "note": ""}
    assert hospitals[1]["metrics"] == {}


def test_a_round_without_a_result_names_the_command_that_says_why() -> None:
    waiting = round_()
    waiting["status"] = {}
    with pytest.raises(CommandError, match=r"explain federatedround/evaluate -n breast-cancer"):
        results.results(waiting, [])


def test_a_result_that_had_no_room_for_single_hospitals_says_so() -> None:
    assert "no room for the numbers of single hospitals" in shown(hospitalsOmitted=True).title


def test_a_note_names_the_hospitals_whose_number_no_mean_counts() -> None:
    made = shown(numbersTooLarge=["site-b"])
    [note] = [each for each in results.notes(made) if "site-b" in each]
    assert note.endswith(
        "site-b. To see what to do: kubectl wardround explain federatedround/evaluate -n breast-cancer"
    )
    assert [each.note for each in made.hospitals] == [results.NOT_TOLD, results.TOO_LARGE, results.WITHHELD]
    assert json.loads(results.text(made, "json", by_hospital=False))["numbersTooLarge"] == ["site-b"]
    assert not any("1e38" in each for each in results.notes(shown()))


def test_a_note_has_the_middle_norm_of_the_updates() -> None:
    made = shown(middleNorm="1.2")
    assert "The middle Euclidean norm of the combined updates is 1.2." in results.notes(made)
    assert not any("largestNorm" in each for each in results.notes(made))
    assert json.loads(results.text(made, "json", by_hospital=False))["middleNorm"] == "1.2"
    assert json.loads(results.text(shown(), "json", by_hospital=False))["middleNorm"] is None
    assert not any("norm" in each for each in results.notes(shown()))


def test_a_bound_on_norms_stands_beside_the_middle_norm() -> None:
    """A bound far above all norms has no effect, and nothing else says it: the largest norm is of one hospital."""
    bounded = round_(middleNorm="1.2")
    bounded["spec"] |= {
        "task": "Train",
        "aggregation": {"strategy": "NormBounding", "parameters": {"largestNorm": "1000"}},
    }
    notes = results.notes(results.results(bounded, TASKS))
    beside = "largestNorm of the round is 1000. Far above the middle norm, it limits nobody."
    assert notes[notes.index("The middle Euclidean norm of the combined updates is 1.2.") + 1] == beside
