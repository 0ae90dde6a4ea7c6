"""A report of the pod fits into a termination message, however long its texts are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.pod import world
from tests.unit.pod.surveys import prepare, refused
from wardround.pod import outcome, survey
from wardround.wire import outcome as wire
from wardround.wire.outcome import IgnoredColumn, IgnoredColumns, LeftOutRows, Outcome, OwnMetric


def test_a_termination_message_loses_names_of_ignored_columns_before_it_loses_counts_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    named = tuple(IgnoredColumn("𐌰" * 64, "NotInSchema") for _ in range(16))
    quality = tuple(LeftOutRows("n" * 100, "Missing", 9) for _ in range(12))
    outcome.terminate(Outcome(quality=quality, ignored_columns=IgnoredColumns(20, named)))
    report = wire.read((tmp_path / "log").read_text())
    assert report is not None
    assert report.ignored_columns is not None
    assert (report.quality, report.ignored_columns.count) == (quality, 20)
    assert 0 < len(report.ignored_columns.named) < 16


def test_the_longest_report_fits_a_termination_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of 128 characters, and each field with faults: the list is cut, and the rest is whole."""
    names = [f"{'n' * 120}{number:03}" for number in range(100)]
    fields = [{"name": name, "type": "integer"} for name in names]
    task = world.task()
    task["schema"]["fields"] += fields
    task["schema"]["fields"][2]["categories"] = [str(n) for n in range(64)]
    wrong = [f"p{number},10,40,{number % 64}" + ",x" * 100 for number in range(64 * 12)]
    right = [f"q{number},10,40,{number % 64}" + ",1" * 100 for number in range(64 * 12)]
    failure = refused(lambda: prepare(tmp_path, [*wrong, *right], task, ",".join([world.HEADER, *names])))
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    outcome.terminate(failure.outcome)
    text = (tmp_path / "log").read_text()
    report = wire.read(text)
    assert len(text) <= outcome.MESSAGE_LIMIT
    assert report is not None
    assert report.left_out is not None
    assert report.message is not None
    assert (report.reason, report.rows, report.left_out.rows) == ("TooManyRowsLeftOut", 768, 768)
    assert len(report.left_out.classes) == survey.MOST_CLASSES


def test_a_round_with_many_long_metric_names_cannot_keep_a_pod_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has room for the first numbers."""
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    names = [f"m{number:02}{'x' * 61}" for number in range(30)]
    metrics = tuple(OwnMetric(name=each, value="-1.7977e+308", people=10**8, rows="Validation") for each in names)
    outcome.terminate(Outcome(metrics=metrics))
    message = wire.read((tmp_path / "log").read_text())
    assert message is not None
    assert message.metrics is not None
    assert 20 < len(message.metrics) < 30
    assert message.metrics == metrics[: len(message.metrics)]


def test_a_long_message_in_any_script_fits_a_termination_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(tmp_path / "log"))
    outcome.terminate(Outcome(reason="ColumnMissing", message="𐌰" * 3000))
    report = wire.read((tmp_path / "log").read_text())
    assert report is not None
    assert report.message is not None
    assert len(report.message) > 500
