"""`wardround predict` answers as the trainer's own `predict` in the pod does, and guesses nothing."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from tests.unit.card.models import DATASET, SCHEMA, THRESHOLD, Made, changed, write_folder
from tests.unit.card.scored import scored
from wardround.__main__ import main
from wardround.card import folder, predict, table
from wardround.card.folder import FolderRefused
from wardround.wire.card import CardMetric, ModelCard

HEADER = "patient,side,age,RADIUS_CM,seen,malignant"
WITHOUT_TARGET = "patient,side,age,RADIUS_CM,seen"


def cases(rows: int) -> list[str]:
    """Valid rows with their target."""
    random = np.random.default_rng(3)
    sides = ("links", "rechts")
    return [
        f"p{each},{sides[each % 2]},{random.integers(20, 90)},{random.uniform(0.5, 3):.6f},2024-02-29,{each % 2}"
        for each in range(rows)
    ]


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return write_folder(tmp_path / "model")


def answers(made: Made, file: Path, spec: dict[str, Any] = DATASET) -> list[predict.Answer]:
    return list(predict.Answers(folder.load(made.path, made.identity.fingerprint), spec, file))


def notes(card: ModelCard) -> tuple[str, str]:
    """As the command shows them."""
    return predict.notes(card, predict.PULL_AGAIN)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
def test_the_answers_are_those_of_an_evaluation_to_a_millionth(tmp_path: Path, hidden: tuple[int, ...]) -> None:
    architecture = replace(write_folder(tmp_path / "any").card.architecture, hidden=hidden)  # type: ignore[type-var]
    made = write_folder(tmp_path / "model", hidden, architecture=architecture)
    file = written(tmp_path / "cases.csv", HEADER, *cases(300))
    pod = scored(made, file, tmp_path / "pod", 300)
    given = answers(made, file)
    assert [each.identifier for each in given] == pod.identifiers
    probabilities = np.array([each.probability for each in given], np.float64)
    assert np.abs(probabilities - pod.probabilities).max() < 1e-6
    assert pod.probabilities.std() > 0.01


def test_a_file_without_the_target_gets_the_same_answers(made: Made, tmp_path: Path) -> None:
    lines = cases(20)
    whole = answers(made, written(tmp_path / "whole.csv", HEADER, *lines))
    new = answers(made, written(tmp_path / "new.csv", WITHOUT_TARGET, *(line.rsplit(",", 1)[0] for line in lines)))
    assert new == whole


def test_a_row_outside_the_schema_has_its_fault_in_place_of_a_probability(made: Made, tmp_path: Path) -> None:
    file = written(
        tmp_path / "new.csv",
        WITHOUT_TARGET,
        "p1,links,50,1.5,2024-02-29",
        "p2,left,150,-9,",
        "p3,links",
        ",rechts,50,1.5,",
        "p5,rechts,,x,",
    )
    given = answers(made, file)
    assert [(each.row, each.identifier, each.faults) for each in given] == [
        (2, "p1", ()),
        (3, "p2", ("side: NotInEnum", "age: AboveMaximum", "radius: Missing")),
        (4, "", ("the row: RowMalformed",)),
        (5, "", ("patient: Missing",)),
        (6, "p5", ("age: Missing", "radius: NotANumber")),
    ]
    assert [each.probability is None for each in given] == [False, True, True, True, True]


def test_malformed_rows_at_the_end_are_reported(made: Made, tmp_path: Path) -> None:
    file = written(tmp_path / "new.csv", WITHOUT_TARGET, "p1,links,50,1.5,", "p2", "p3")
    assert [(each.row, bool(each.faults)) for each in answers(made, file)] == [(2, False), (3, True), (4, True)]


def test_a_parquet_file_gets_the_same_answers(made: Made, tmp_path: Path) -> None:
    file = written(tmp_path / "new.csv", HEADER, *cases(10))
    parquet.write_table(arrow_csv.read_csv(file), tmp_path / "new.parquet")
    spec = {**DATASET, "format": "Parquet"}
    given = answers(made, tmp_path / "new.parquet", spec)
    assert [each.row for each in given] == list(range(1, 11))
    assert [each.probability for each in given] == [each.probability for each in answers(made, file)]


def test_a_row_is_positive_from_the_cards_operating_point_on(made: Made, tmp_path: Path) -> None:
    file = written(tmp_path / "new.csv", HEADER, *cases(60))
    loaded = folder.load(made.path, made.identity.fingerprint)
    highest = max(each.probability or 0 for each in answers(made, file))
    threshold = replace(THRESHOLD, value=repr(highest))
    given = list(predict.Answers(replace(loaded, card=replace(loaded.card, metrics=(threshold,))), DATASET, file))
    assert {each.positive for each in given} == {True, False}
    assert all(each.positive == (each.probability == highest) for each in given)
    assert {each.operating_point for each in given} == {highest}


def table_of(answers: list[predict.Answer]) -> list[dict[str, str]]:
    """The file of these answers, as people read it."""
    file = io.StringIO()
    table.write(answers, file)
    return list(csv.DictReader(io.StringIO(file.getvalue())))


def test_the_answer_holds_the_operating_point_with_which_it_was_decided(made: Made, tmp_path: Path) -> None:
    """In full: with nine digits of a threshold, people would call other rows positive than the answer does."""
    file = written(tmp_path / "new.csv", WITHOUT_TARGET, "p1,links,50,1.5,", "p2,links,,1.5,")
    loaded = folder.load(made.path, made.identity.fingerprint)
    card = replace(loaded.card, metrics=(replace(THRESHOLD, value="0.123456789012"),))
    answered, outside = table_of(list(predict.Answers(replace(loaded, card=card), DATASET, file)))
    assert [each["operatingPoint"] for each in (answered, outside)] == ["0.123456789012"] * 2
    assert (answered["positive"], outside["positive"]) == ("true", "")
    bare = replace(loaded, card=replace(loaded.card, metrics=()))
    for each in table_of(list(predict.Answers(bare, DATASET, file))):
        assert (each["operatingPoint"], each["positive"]) == ("", "")


def test_a_probability_has_nine_decimals_and_no_exponent_that_could_hide_more(tmp_path: Path) -> None:
    """Code of a model answers such floats to hide bits of a row in exponent and sign."""
    hiding = [5e-324, 2.2250738585072014e-308, -0.0, 0.1234567891, 1.0, 1.9e-9]
    answers = [predict.Answer(2, "p1", each, each, None) for each in hiding]
    for column in ("probability", "recalibrated"):
        assert [each[column] for each in table_of(answers)] == ["0", "0", "0", "0.123456789", "1", "2e-09"]


def line(rows: str, intercept: str = "-0.5", slope: str = "0.8", round_name: str = "evaluate") -> list[CardMetric]:
    """A recalibration as an Evaluate round puts it on the card."""
    return [
        replace(THRESHOLD, name=name, value=value, people=2300, rows=rows, round_name=round_name)
        for name, value in (("calibrationIntercept", intercept), ("calibrationSlope", slope))
    ]


def test_a_probability_is_recalibrated_by_the_line_on_the_card(made: Made, tmp_path: Path) -> None:
    file = written(tmp_path / "cases.csv", HEADER, *cases(40))
    loaded = folder.load(made.path, made.identity.fingerprint)
    card = replace(loaded.card, metrics=(THRESHOLD, *line("Test", "9", "9"), *line("Validation")))
    given = list(predict.Answers(replace(loaded, card=card), DATASET, file))
    assert [replace(each, recalibrated=None) for each in given] == answers(made, file)
    odds = np.log([each.probability / (1 - each.probability) for each in given if each.probability])
    expected = 1 / (1 + np.exp(-(-0.5 + 0.8 * odds)))
    assert [each.recalibrated for each in given] == pytest.approx(expected.tolist(), rel=1e-12)


def test_only_a_whole_line_over_validation_rows_recalibrates(made: Made) -> None:
    """A line over test rows would choose by rows that have to choose nothing."""

    def recalibration(*metrics: CardMetric) -> predict.Recalibration | None:
        return predict.recalibration(replace(made.card, metrics=metrics))

    both = recalibration(*(replace(each, hospitals=1) for each in line("Test", "9", "9")), *line("Validation"))
    assert both is not None
    assert (both.intercept, both.people, both.hospitals, both.round_name) == (-0.5, 2300, 2, "evaluate")
    assert recalibration(*line("Test")) is None
    over_more = (replace(each, hospitals=1) for each in line("Validation"))
    assert recalibration(*line("Test"), *over_more) is None
    assert recalibration(line("Validation")[0]) is None
    assert recalibration(line("Validation")[0], line("Validation", round_name="another")[1]) is None


def test_the_notes_say_on_which_rows_and_people_the_numbers_were_chosen(made: Made) -> None:
    recalibrated_by, positive_from = notes(replace(made.card, metrics=(THRESHOLD, *line("Validation"))))
    assert recalibrated_by == (
        "The column recalibrated uses intercept -0.5 and slope 0.8, fitted by the round evaluate on the "
        "validation rows of 2300 "
        "people at 2 hospitals."
    )
    assert positive_from == (
        "The column positive is true where the probability is 0.4 or more. Round evaluate chose this threshold "
        "on the validation rows of 200 "
        "people at 2 hospitals. The value false says only that the probability is below the threshold. It does not say "
        "that a person is negative. The card does not say how many positive people are below the threshold."
    )
    for note in notes(replace(made.card, metrics=())):
        assert "empty" in note


def test_the_note_says_what_the_operating_point_is_worth_and_what_false_does_not_mean(made: Made) -> None:
    """The author of the evaluation chooses the operating point. A threshold that hardly anybody reaches makes false
    nearly empty of meaning."""
    specificity = replace(THRESHOLD, name="specificityAtThreshold", value="1")
    sensitivity = replace(THRESHOLD, name="sensitivityAtSpecificity", value="0.05", people=80)
    _, note = notes(replace(made.card, metrics=(THRESHOLD, specificity, sensitivity)))
    assert note.endswith(
        " of 200 people at 2 hospitals. There, the sensitivity is 0.05 (over 80 people at 2 hospitals) and the "
        "specificity is 1. The value false says only that the probability is below the threshold. It does not say that "
        "a person is negative. The sensitivity is the share of the positive people who reach the threshold. For all "
        "other positive people, the column positive is false too."
    )
    others = tuple(replace(each, round_name="another") for each in (specificity, sensitivity))
    _, other = notes(replace(made.card, metrics=(THRESHOLD, *others)))
    assert "specificity" not in other
    assert "sensitivity" not in other
    assert "It does not say that a person is negative." in other


def test_test_rows_choose_no_operating_point(made: Made) -> None:
    """They are for the report only."""
    over_test_rows = replace(THRESHOLD, rows="Test", value="0.7", hospitals=2)
    both = replace(made.card, metrics=(over_test_rows, THRESHOLD))
    assert predict.operating_point(both) == 0.4
    only = replace(made.card, metrics=(over_test_rows,))
    assert predict.operating_point(only) is None
    assert "lacks a threshold over validation rows" in notes(only)[1]


def test_one_hospital_of_three_sets_neither_operating_point_nor_recalibration(made: Made) -> None:
    """It measures the model alone. An author makes its round."""
    card = replace(made.card, hospitals=3)
    alone = tuple(replace(each, hospitals=1) for each in (THRESHOLD, *line("Validation")))
    only = replace(card, metrics=alone)
    assert (predict.operating_point(only), predict.recalibration(only)) == (None, None)
    assert all("more than half of the number that trained the model" in each for each in notes(only))
    federation = replace(card, metrics=(THRESHOLD, *line("Validation")))
    assert predict.operating_point(federation) == 0.4
    assert predict.recalibration(federation) is not None


@pytest.mark.parametrize("value", ["1.5", "-0.1", "1e999"])
def test_an_operating_point_that_is_no_probability_refuses_the_folder(made: Made, value: str) -> None:
    with pytest.raises(FolderRefused, match=f"threshold is {value}"):
        predict.operating_point(replace(made.card, metrics=(replace(THRESHOLD, value=value),)))


def test_a_line_that_is_not_finite_refuses_the_folder(made: Made) -> None:
    with pytest.raises(FolderRefused, match="calibrationSlope is 1e999"):
        predict.recalibration(replace(made.card, metrics=tuple(line("Validation", slope="1e999"))))


def test_without_an_operating_point_no_row_is_called_positive(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "model")
    loaded = folder.load(made.path, made.identity.fingerprint)
    bare = replace(loaded, card=replace(loaded.card, metrics=()))
    file = written(tmp_path / "new.csv", HEADER, *cases(3))
    assert [each.positive for each in predict.Answers(bare, DATASET, file)] == [None] * 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": None}, "The image's own `predict` answers, in a Prediction that names the image"),
        ({"fields": None}, "names no features"),
    ],
)
def test_a_model_that_this_program_does_not_know_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    made = write_folder(tmp_path / "model", **change)
    with pytest.raises(FolderRefused, match=words):
        answers(made, written(tmp_path / "new.csv", HEADER, *cases(1)))


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "model", (5,))
    with pytest.raises(FolderRefused, match="do not fit the network on its card"):
        answers(made, written(tmp_path / "new.csv", HEADER, *cases(1)))


@pytest.mark.parametrize(("name", "value"), [("std", 0.0), ("std", -1.0), ("mean", np.nan)])
def test_a_model_that_gives_no_numbers_is_refused(tmp_path: Path, name: str, value: float) -> None:
    other = {f"wardround.input.{name}": np.array([12, value], np.float32)}
    made = write_folder(tmp_path / "model", other=other)
    with pytest.raises(FolderRefused, match="predicts nothing"):
        answers(made, written(tmp_path / "new.csv", HEADER, *cases(1)))


def run(made: Made, file: Path, tmp_path: Path, fingerprint: str = "", *more: str) -> int:
    manifest = tmp_path / "dataset.yaml"
    manifest.write_text(yaml.safe_dump({"kind": "Dataset", "spec": DATASET}))
    words = ["predict", str(made.path), str(file), "--dataset", str(manifest), *more]
    return main([*words, "--hub-fingerprint", fingerprint or made.identity.fingerprint])


def schema_file(path: Path, spec: dict[str, Any], name: str = "breast-v1") -> Path:
    path.write_text(yaml.safe_dump({"kind": "DataSchema", "metadata": {"name": name}, "spec": spec}))
    return path


@pytest.mark.parametrize(
    ("spec", "name", "code", "words"),
    [
        (SCHEMA, "breast-v1", 0, ""),
        (changed("radius", unit="cm"), "breast-v1", 2, 'the model reads the column "radius" in another unit'),
        (SCHEMA, "breast-v2", 2, "has no DataSchema breast-v1, which the Dataset names"),
    ],
)
def test_the_command_compares_the_dataschema(
    made: Made,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spec: dict[str, Any],
    name: str,
    code: int,
    words: str,
) -> None:
    file = written(tmp_path / "new.csv", HEADER, *cases(3))
    described = schema_file(tmp_path / "schema.yaml", spec, name)
    assert run(made, file, tmp_path, "", "--schema", str(described)) == code
    shown = capsys.readouterr()
    assert words in shown.err
    assert "Nobody has compared" not in shown.err
    assert bool(shown.out) is (code == 0)


def test_the_command_takes_the_dataschema_beside_the_dataset_and_says_if_there_is_none(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, manifest = written(tmp_path / "new.csv", HEADER, *cases(3)), tmp_path / "both.yaml"
    words = ["predict", str(made.path), str(file), "--dataset", str(manifest)]
    words += ["--hub-fingerprint", made.identity.fingerprint]
    beside = {"kind": "DataSchema", "metadata": {"name": "breast-v1"}, "spec": changed("radius", unit="cm")}
    manifest.write_text(yaml.safe_dump_all([{"kind": "Dataset", "spec": DATASET}, beside]))
    assert main(words) == 2
    assert "in another unit" in capsys.readouterr().err
    manifest.write_text(yaml.safe_dump({"kind": "Dataset", "spec": DATASET}))
    assert main(words) == 0
    assert "give the file of the DataSchema as --schema" in capsys.readouterr().err


def test_the_command_prints_one_line_for_each_row(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "new.csv", WITHOUT_TARGET, "p1,links,50,1.5,", "p2,links,,1.5,")
    assert run(made, file, tmp_path) == 1
    shown = capsys.readouterr()
    first, second = csv.DictReader(shown.out.splitlines())
    assert (first["row"], first["identifier"], first["fault"]) == ("2", "p1", "")
    assert 0 < float(first["probability"]) < 1
    assert (second["probability"], second["positive"], second["fault"]) == ("", "", "age: Missing")
    assert (first["operatingPoint"], second["operatingPoint"]) == ("0.4", "0.4")
    assert (first["recalibrated"], second["recalibrated"]) == ("", "")
    assert "The column recalibrated is empty" in shown.err
    assert "The column positive is true where the probability is 0.4 or more" in shown.err
    assert "1 of 2 rows have no answer" in shown.err


def test_the_command_ends_with_0_if_every_row_has_an_answer(made: Made, tmp_path: Path) -> None:
    assert run(made, written(tmp_path / "new.csv", HEADER, *cases(3)), tmp_path) == 0


def test_the_command_warns_of_a_file_in_another_unit(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Dataset says centimetres, and the file has millimetres."""
    file = written(tmp_path / "new.csv", WITHOUT_TARGET, "p1,links,50,15,2024-02-29", "p2,rechts,60,17.5,")
    assert run(made, file, tmp_path) == 0
    shown = capsys.readouterr()
    [warning] = [each for each in shown.err.splitlines() if each.startswith("warning: ")]
    assert (
        'more than 8 standard deviations from the mean of the rows that trained the model, in the column "radius"'
        in (warning)
    )
    assert len(shown.out.splitlines()) == 3
    assert run(made, written(tmp_path / "right.csv", WITHOUT_TARGET, "p1,links,50,1.5,"), tmp_path) == 0
    assert "warning" not in capsys.readouterr().err


def test_the_command_warns_of_a_model_that_the_gate_did_not_accept(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command asks no cluster: `model pull` has written the lines. Nobody has signed them."""
    file = written(tmp_path / "new.csv", HEADER, *cases(3))
    folder.write_warnings(made.path, [])
    assert run(made, file, tmp_path) == 0
    assert "warning" not in capsys.readouterr().err
    folder.write_warnings(made.path, ["version 2 of federatedmodel/heart: Worse\x1b[2J"])
    assert run(made, file, tmp_path) == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines()[0] == "warning: version 2 of federatedmodel/heart: Worse [2J"
    assert len(shown.out.splitlines()) == 4
    (made.path / folder.WARNINGS_FILE).write_bytes(b"a" * 5000)
    assert run(made, file, tmp_path) == 0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["p1,links,,1.5,", "p2,links,150,1.5,"], "no row has an answer. Correct"),
        ([], "has no rows, so there is no answer"),
    ],
)
def test_the_command_ends_with_2_if_no_row_has_an_answer(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[str], words: str
) -> None:
    assert run(made, written(tmp_path / "new.csv", WITHOUT_TARGET, *rows), tmp_path) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert [each["row"] for each in csv.DictReader(shown.out.splitlines())] == [str(2 + n) for n in range(len(rows))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("patient,side,age,seen", "ColumnMissing: the data has no column RADIUS_CM (field radius)"),
        ("", "DataUnreadable"),
    ],
)
def test_the_command_says_what_is_wrong_with_the_file(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    assert run(made, written(tmp_path / "new.csv", line), tmp_path) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["file", "dataset", "folder", "unreadable"])
def test_the_command_names_what_is_not_there(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """On a laptop, there is no volume, and people do not know Python's exceptions."""
    file, typo = written(tmp_path / "new.csv", HEADER, *cases(1)), tmp_path / "typo"
    places = {"folder": made.path, "file": file, "dataset": tmp_path / "dataset.yaml"}
    places["dataset"].write_text(yaml.safe_dump({"kind": "Dataset", "spec": DATASET}))
    if name == "unreadable":
        monkeypatch.setattr(os, "access", lambda *_: False)
    else:
        places[name] = typo
    words = ["predict", str(places["folder"]), str(places["file"]), "--dataset", str(places["dataset"])]
    assert main([*words, "--hub-fingerprint", made.identity.fingerprint]) == 2
    error = {"unreadable": f"you may not read {places['dataset']}", "folder": f"there is no folder {typo}. Name the"}
    assert capsys.readouterr().err.startswith(f"error: {error.get(name, f'there is no file {typo}.')}")


def test_the_command_predicts_nothing_for_another_hub(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "new.csv", HEADER, *cases(3))
    assert run(made, file, tmp_path, "sha256:" + "0" * 64) == 2
    shown = capsys.readouterr()
    assert (shown.out, "is signed by a hub" in shown.err) == ("", True)
