"""The command line: a table for people, CSV and JSON for programs, and exit codes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.simulation.programs import OWN_IMAGE
from tests.unit.simulate.rounds import short
from wardround.simulate import main, simulate, table
from wardround.simulate.errors import SimulationError
from wardround.simulate.prepared import prepared
from wardround.simulate.store import MemoryStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rounds.yaml"
    path.write_text(yaml.safe_dump_all(short()))
    return path


@pytest.fixture
def run(file: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*options: str) -> tuple[int, str, str]:
        code = main.main([str(file), "--data", str(data), "--trainer", str(OWN_IMAGE), *options])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_the_table_has_the_data_and_each_metric(run: Any) -> None:
    code, out, err = run()
    assert code == 0
    assert "evaluate: 1 hospital withheld all numbers" in err
    for word in ("site-a", "mean_texture", "evaluate", "Test", "accuracy", "value", "people"):
        assert word in out
    assert "min-cell" not in out


def test_a_person_at_a_terminal_sees_how_far_the_rounds_are(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, _, err = run()
    assert code == 0
    # Only the last state is always drawn: the terminal is redrawn a few times a second.
    assert "2/3" in err
    assert "repeat 1: evaluate, site-c" in err


def test_the_table_of_repeats_has_mean_and_standard_deviation(run: Any) -> None:
    code, out, _ = run("--repeats", "2")
    assert code == 0
    assert all(word in out for word in ("mean", "sd", "n"))


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_every_output_says_that_a_smaller_cell_is_for_data_of_your_own(run: Any, output: str) -> None:
    code, out, err = run("--min-cell", "1", "-o", output)
    assert code == 0
    output_words = " ".join((out if output == "table" else err).split())
    assert "also show numbers over fewer than 11 patients" in output_words


def test_a_smaller_cell_shows_more_numbers(run: Any) -> None:
    """The clinic has too few malignant cases for its part to be told."""
    _, usual, _ = run("-o", "json")
    _, all_, _ = run("-o", "json", "--min-cell", "1")
    assert json.loads(usual)[2]["metrics"] != json.loads(all_)[2]["metrics"]


def test_csv_has_one_line_for_each_round_metric_and_repeat(run: Any) -> None:
    _, out, _ = run("--repeats", "2", "--min-cell", "1", "-o", "csv")
    lines = list(csv.DictReader(io.StringIO(out)))
    places = [(each["repeat"], each["round"], each["source"], each["metric"]) for each in lines]
    assert len(places) == len(set(places))
    assert {each["repeat"] for each in lines} == {"1", "2"}
    assert {each["round"] for each in lines} == {"train-1", "evaluate"}


@pytest.mark.parametrize("options", [(), ("--sealed",)], ids=["default", "sealed"])
def test_the_store_holds_only_ciphertext_and_json_has_the_digest_of_each_result(
    run: Any, once: list[str], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    stored: list[bytes] = []
    put = MemoryStore.put_bytes

    async def put_seen(store: MemoryStore, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        stored.append(data)
        return await put(store, url, headers, data)

    monkeypatch.setattr(MemoryStore, "put_bytes", put_seen)
    _, out, _ = run("-o", "json", *options)
    assert [each["digest"] for each in json.loads(out)] == once
    assert stored
    # Each model, each update and all sums are safetensors files, whose header holds this word.
    assert not [each for each in stored if b"data_offsets" in each]


def failing(file: Path, change: dict[str, Any]) -> None:
    """Writes the short rounds, with other fields in the spec of the evaluation."""
    rounds = short()
    rounds[2]["spec"] |= change
    file.write_text(yaml.safe_dump_all(rounds))


def test_a_failed_round_keeps_the_results_before_it(run: Any, file: Path, once: list[str]) -> None:
    failing(file, {"quorum": {"min": 3}})
    code, out, err = run("--min-cell", "3")
    assert code == 1
    data = out[: out.index("Rounds before the failure")]
    assert all(name in data for name in ("site-a", "site-b", "site-c"))
    assert all(digest in out for digest in once[:2])
    assert once[2] not in out
    assert "loss" in out
    [error] = err[err.index("error: ") :].split("error: ")[1:]
    assert error.startswith("Round evaluate has failed. NumbersWithheld")
    assert "The numbers of site-c are withheld." in error
    assert "--min-cell N" in error


@pytest.mark.parametrize("output", ["csv", "json"])
def test_a_failed_round_keeps_the_results_for_programs(run: Any, file: Path, output: str) -> None:
    failing(file, {"quorum": {"min": 3}})
    code, out, err = run("-o", output, "--min-cell", "3")
    assert code == 1
    assert "train-1" in out
    assert "error: Round evaluate has failed" in err


def test_the_advice_for_a_failed_round_of_quorum_1_does_not_ask_for_a_lower_quorum(run: Any, file: Path) -> None:
    failing(file, {"quorum": {"min": 1}, "participants": {"names": ["site-c"]}})
    code, _, err = run()
    assert code == 1
    assert "Apply a new round that asks more hospitals" in err


def test_a_round_that_fails_in_every_repeat_is_an_error(run: Any, file: Path) -> None:
    failing(file, {"quorum": {"min": 3}})
    code, out, err = run("--repeats", "2", "--min-cell", "3")
    assert code == 1
    assert "train-1" in out
    assert (
        "error: The simulation ran this round 2 times, and no run gave numbers. The last run failed with: Round eval"
        in err
    )


def test_a_round_that_fails_in_every_repeat_is_an_error_in_python(data: Path, file: Path) -> None:
    failing(file, {"quorum": {"min": 3}})
    with pytest.raises(SimulationError, match="The simulation ran this round 2 times"):
        simulate([file], data, repeats=2, trainer=str(OWN_IMAGE))


@pytest.mark.parametrize("repeats", ["1", "2"])
def test_a_failure_of_the_holdout_names_it_and_keeps_the_results(
    run: Any, data: Path, once: list[str], tmp_path: Path, repeats: str
) -> None:
    few = tmp_path / "few.csv"
    # The clinic has too few malignant cases.
    few.write_text((data / "site-c" / "cases.csv").read_text())
    code, out, err = run("--holdout", str(few), "--repeats", repeats)
    assert code == 1
    assert "evaluate" in out
    assert "Round evaluate has failed on the rows of the holdout file. The simulation shows no numbers over" in err
    assert "--min-cell N" in err
    assert "quorum" not in err
    if repeats == "1":
        assert all(digest in out for digest in once)


def test_a_holdout_with_rows_of_a_hospital_is_warned_about(run: Any, data: Path) -> None:
    code, out, err = run("--holdout", str(data / "site-a" / "cases.csv"))
    assert code == 0
    [warning] = [line for line in err.splitlines() if line.startswith("warning: ")]
    count = warning.split(": ")[2].split()[0]
    assert (
        f"{count} of the {count} patients in the holdout file have identifiers that are in the file of site-a, too"
    ) in warning
    cells = [[cell.strip() for cell in line.split("│")] for line in out.splitlines() if "holdout" in line]
    assert {each[3] for each in cells if each[2] == "holdout"} == {"Holdout"}


def test_a_holdout_of_other_patients_has_no_warning(data: Path, tmp_path: Path) -> None:
    header, *lines = (data / "site-a" / "cases.csv").read_text().splitlines(keepends=True)
    other = tmp_path / "other.csv"
    other.write_text(header + "".join(f"other-{line}" for line in lines))
    assert prepared(short(), data, holdout=other, trainer=lambda _: 0).cautions == ()


def test_numbers_of_one_hospital_alone_are_explained(run: Any, file: Path) -> None:
    failing(file, {"participants": {"names": ["site-a", "site-c"]}})
    code, _, err = run()
    assert code == 0
    assert "evaluate: 1 hospital withheld all numbers (site-c), because" in err
    assert "evaluate: no number is shown. Only site-a has sent numbers" in err
    assert "statistics: no number" not in err


def test_a_metric_that_no_trainer_reports_is_named_and_not_blamed_on_few_people(run: Any, file: Path) -> None:
    training = short()[:2]
    training[1]["spec"]["metrics"] = ["f1", "recall"]
    file.write_text(yaml.safe_dump_all(training))
    code, _, err = run()
    assert code == 0
    assert "train-1: the result lacks f1, recall, because Wardround does not compute it" in err
    assert "train-1: no number is shown" not in err


def test_a_hospital_that_no_round_reads_is_in_the_data_table(run: Any, file: Path) -> None:
    rounds = short()
    for each in rounds:
        each["spec"] |= {"participants": {"names": ["site-a", "site-b"]}, "quorum": {"min": 2}}
    file.write_text(yaml.safe_dump_all(rounds))
    _, out, _ = run()
    [line] = [line for line in out.splitlines() if "site-c" in line]
    assert "no round has read this file" in line


@pytest.mark.parametrize("repeats", ["1", "2"])
def test_each_number_has_the_model_that_it_measures(run: Any, repeats: str) -> None:
    _, out, _ = run("--min-cell", "1", "--repeats", repeats)
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "loss" in line]
    assert {(each[0], each[-1]) for each in cells} == {("train-1", "initial weights"), ("evaluate", "train-1")}


def test_a_command_trains_in_processes_of_its_own(run: Any, once: list[str]) -> None:
    _, out, _ = run("-o", "json", "--trainer", f"{sys.executable} {OWN_IMAGE}")
    assert [each["digest"] for each in json.loads(out)] == once


def test_wrong_input_ends_with_1_and_a_sentence(run: Any) -> None:
    code, out, err = run("--trainer", "nowhere.py")
    assert (code, out) == (1, "")
    assert err.startswith("error: --trainer nowhere.py: there is no such file.")


def test_the_entry_point_has_the_verb(file: Path, data: Path) -> None:
    options = [str(file), "--data", str(data), "--trainer", str(OWN_IMAGE), "-o", "csv"]
    command = [sys.executable, "-m", "wardround", "simulate", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    header = "repeat,round,task,source,metric,value,low,high,people,hospitals,rows,model,hospital,reference"
    assert done.stdout.splitlines()[0] == header
    assert any(line.startswith("1,evaluate,Evaluate,hospitals,accuracy,0.") for line in done.stdout.splitlines())


def test_the_function_returns_one_row_for_each_round_metric_and_repeat(data: Path) -> None:
    numbers = simulate(short(), data, repeats=2, min_cell=1, trainer=str(OWN_IMAGE))
    assert list(numbers.columns) == [field.name for field in dataclasses.fields(table.Row)]
    assert not numbers.duplicated(["repeat", "round", "source", "metric"]).any()
    assert sorted(set(numbers["repeat"])) == [1, 2]
    accuracy = numbers[numbers["metric"] == "accuracy"]
    assert list(accuracy["round"]) == ["evaluate", "evaluate"]
    assert (accuracy["low"] <= accuracy["value"]).all()
    assert (accuracy["value"] <= accuracy["high"]).all()
    assert accuracy["value"].mean() > 0.9


def test_a_failed_round_leaves_the_function_the_results_before_it(data: Path, file: Path) -> None:
    failing(file, {"quorum": {"min": 3}})
    with pytest.raises(SimulationError, match="Round evaluate has failed") as caught:
        simulate([file], data, min_cell=3, trainer=str(OWN_IMAGE))
    assert caught.value.results is not None
    assert set(caught.value.results["round"]) == {"train-1"}
    assert list(caught.value.results.columns) == [field.name for field in dataclasses.fields(table.Row)]


def test_a_simulation_without_a_round_at_its_end_has_no_results(data: Path) -> None:
    with pytest.raises(SimulationError) as caught:
        simulate(short(), data / "nowhere", trainer=str(OWN_IMAGE))
    assert caught.value.results is None


@pytest.mark.parametrize("min_cell", [1, 11])
def test_the_numbers_of_each_hospital_follow_where_the_smallest_cell_allows(data: Path, min_cell: int) -> None:
    """The clinic has fewer than 11 malignant cases."""
    numbers = simulate(short(), data, min_cell=min_cell, by_hospital=True, trainer=str(OWN_IMAGE))
    accuracy = numbers[(numbers["metric"] == "accuracy") & (numbers["round"] == "evaluate")]
    hospitals = ["", "site-a", "site-b", *(["site-c"] if min_cell == 1 else [])]
    assert list(accuracy["hospital"]) == hospitals
    assert list(accuracy["hospitals"]) == [len(hospitals) - 1, *[1] * (len(hospitals) - 1)]
    assert accuracy["value"].between(0.5, 1).all()


def test_numbers_of_single_hospitals_are_only_shown_on_request(run: Any) -> None:
    _, out, _ = run("--min-cell", "1")
    assert "Results by hospital" not in out
    _, by_hospital, _ = run("--min-cell", "1", "--by-hospital")
    shown = by_hospital[by_hospital.index("Results by hospital") :]
    assert all(name in shown for name in ("site-a", "site-b", "site-c"))
    _, text, _ = run("--min-cell", "1", "--by-hospital", "-o", "json")
    assert {name for each in json.loads(text) for name in each["byHospital"]} == {"site-a", "site-b", "site-c"}


def test_without_pandas_the_function_says_what_to_install(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SimulationError, match=r"pip install 'wardround\[simulate\]'"):
        simulate(short(), data, trainer=str(OWN_IMAGE))


def test_the_summary_counts_the_repeats_that_have_the_metric() -> None:
    def row(repeat: int, metric: str, value: float) -> table.Row:
        place = (repeat, "evaluate", "Evaluate", "hospitals")
        return table.Row(*place, metric, value, None, None, people=20, hospitals=2, rows="Test", model="train-1")

    auc, rows = table.summaries([row(1, "auc", 0.5), row(1, "rows", 7.0), row(2, "auc", 1.0)])
    assert (auc.metric, auc.mean, auc.n) == ("auc", 0.75, 2)
    assert auc.sd == pytest.approx(0.125**0.5)
    assert (rows.metric, rows.mean, rows.sd, rows.n) == ("rows", 7.0, None, 1)
