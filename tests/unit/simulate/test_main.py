"""The command line: a table for people, CSV and JSON for programs, and exit codes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.simulation.programs import OWN_IMAGE
from tests.unit.simulate.rounds import short
from wardround.simulate import main, simulate, table
from wardround.simulate.errors import SimulationError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rounds.yaml"
    path.write_text(yaml.safe_dump_all(short()))
    return path


@pytest.fixture
def run(file: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*options: str) -> tuple[int, str, str]:
        code = main.main([str(file), "--data", str(data), "--trainer", str(OWN_IMAGE), *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_table_has_the_data_and_each_metric(run: Any) -> None:
    code, out, err = run()
    assert code == 0
    assert "evaluate: the numbers of 1 hospital are withheld" in err
    for word in ("site-a", "mean_texture", "evaluate", "Test", "accuracy", "value", "people"):
        assert word in out
    assert "min-cell" not in out


def test_the_table_of_repeats_has_mean_and_standard_deviation(run: Any) -> None:
    code, out, _ = run("--repeats", "2")
    assert code == 0
    assert all(word in out for word in ("mean", "sd", "n"))


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_every_output_says_that_a_smaller_cell_is_for_data_of_your_own(run: Any, output: str) -> None:
    code, out, err = run("--min-cell", "1", "-o", output)
    assert code == 0
    said = " ".join((out if output == "table" else err).split())
    assert "numbers over fewer than 11 patients are shown" in said


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


def test_json_has_the_digest_of_each_result(run: Any, once: list[str]) -> None:
    _, out, _ = run("-o", "json")
    assert [each["digest"] for each in json.loads(out)] == once


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
    header = "repeat,round,task,source,metric,value,low,high,people,hospitals,rows,model"
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
