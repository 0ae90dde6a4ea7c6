"""`watch` and `explain` of a FederatedModel: a row for each round, the lowest loss, and when watching ends."""

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
from rich.console import Console

from tests.unit.cli.required import REQUIRED
from tests.unit.cli.rounds import START, at, condition
from wardround.cli import __main__ as program
from wardround.cli import explain, verbs, watch_model
from wardround.cli.cluster import Cluster
from wardround.cli.commands import watch as command
from wardround.cli.errors import MissingError

TRAINING = condition("Reconciling", "True", "SeriesTraining", "Round breast-s1-r2-0123abcd waits or runs.")
STALLED = condition("Stalled", "True", "SeriesRoundFailed", "Round breast-s1-r2-0123abcd has failed (QuorumNotMet).")
READY = condition("Ready", "True", "VersionCurrent")


def entry(number: int, task: str = "Train", **changes: Any) -> dict[str, Any]:
    place = f"e{number}" if task == "Evaluate" else f"r{number}"
    common = {"name": f"breast-s1-{place}-0123abcd", "task": task, "number": number, "generation": 1}
    return {**common, "outcome": "Complete", **changes}


def model(
    *conditions: dict[str, Any], stage: str = "Training", rounds: Any = None, version: str | None = None, **status: Any
) -> dict[str, Any]:
    listed = rounds or [entry(0, "Statistics"), entry(1, loss="0.31"), entry(2, outcome="Running")]
    return {
        "kind": "FederatedModel",
        "metadata": {"name": "breast", "namespace": "breast-cancer", "uid": "u1", "creationTimestamp": at(0)},
        "spec": dict(REQUIRED["FederatedModel"]),
        "status": {
            "conditions": list(conditions),
            "series": {
                "number": 1,
                "stage": stage,
                "started": at(0),
                "round": 2,
                "best": "breast-s1-r1-0123abcd",
                "loss": "0.31",
                "rounds": listed,
                "version": version,
            },
            **status,
        },
    }


def shown(item: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(watch_model.table(watch_model.view(item, START + timedelta(seconds=70))))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_round_has_a_row_and_the_lowest_loss_is_marked() -> None:
    text = shown(model(TRAINING))
    assert "breast-cancer/breast series 1, round 2 of at most 3, 1m10s" in text
    rows = [
        [each.strip() for each in line.split("│")[1:5]]
        for line in text.splitlines()
        if "breast-s1-" in line and "│" in line
    ]
    assert rows == [
        ["breast-s1-r0-0123abcd", "Statistics", "Complete", ""],
        ["breast-s1-r1-0123abcd", "Train 1", "Complete", "0.31 lowest"],
        ["breast-s1-r2-0123abcd", "Train 2", "Running", ""],
    ]
    assert "waits or runs" in text


def test_a_further_attempt_is_named() -> None:
    again = entry(2, attempt=2, outcome="Running", name="breast-s1-r2-t2-0123abcd")
    assert "Train 2, attempt 2" in shown(model(TRAINING, rounds=[entry(1), entry(2, outcome="Failed"), again]))


def test_lines_tell_what_has_changed() -> None:
    before = watch_model.view(model(TRAINING), START)
    after = model(TRAINING, rounds=[entry(0, "Statistics"), entry(1, loss="0.31"), entry(2, loss="0.29")])
    assert watch_model.lines(before, watch_model.view(after, START)) == [
        "breast-s1-r2-0123abcd: Train 2 Complete, loss 0.29"
    ]
    assert watch_model.lines(None, before)[-1] == f"model: {TRAINING['message']}"


def test_a_name_of_somebody_else_steers_no_terminal() -> None:
    assert "\x1b" not in shown(model(TRAINING, rounds=[entry(1, name="breast\x1b[31m")]))


def watch(monkeypatch: pytest.MonkeyPatch, models: Iterator[dict[str, Any] | None], *more: str) -> int:
    def look(_: Cluster, kind: str, name: str, namespace: str) -> dict[str, Any]:
        item = next(models)
        if item is None:
            raise MissingError(f"no {kind} {name} in {namespace}")
        return item

    monkeypatch.setattr(command, "REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(verbs, "needed", look)
    arguments = ["watch", "fm/breast", "-n", "breast-cancer", *more]
    return command.run_watch(cast(Cluster, None), program.parser().parse_args(arguments))


def test_watching_ends_with_the_series(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ended = model(READY, stage="Ended", version="breast-v1-0123abcd", current="breast-v1-0123abcd")
    assert watch(monkeypatch, iter([model(TRAINING), ended])) == 0
    assert "model: the series has ended, current version: breast-v1-0123abcd" in capsys.readouterr().out


def test_the_end_of_a_series_says_which_version_waits_for_people_and_when_the_next_series_begins() -> None:
    waits = condition("VersionWaits", "True", "PeopleDecide", "Version 2 is Undecided. To use it, set this.")
    scheduled = condition("Scheduled", "True", "NextSeries", "Series 3 begins at 2026-11-30T01:00:00Z.")
    compared = entry(2, "Evaluate", name="breast-s2-c2-0123abcd", references=["breast-s1-r1-0123abcd"])
    item = model(waits, scheduled, stage="Ended", rounds=[entry(2), compared], version="breast-v2-0123abcd")
    text = watch_model.lines(None, watch_model.view(item, START))
    assert text[-1] == (
        "model: the series has ended, current version: none. Version 2 is Undecided. To use it, set this. "
        "Series 3 begins at 2026-11-30T01:00:00Z"
    )
    assert "breast-s2-c2-0123abcd: Compare Complete" in text


def test_watching_ends_when_a_person_has_to_act(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(monkeypatch, iter([model(TRAINING), model(STALLED)])) == 1
    output = capsys.readouterr()
    assert "model: stalled: SeriesRoundFailed: Round breast-s1-r2-0123abcd has failed" in output.out
    assert "kubectl wardround explain federatedmodel/breast -n breast-cancer" in output.err


def test_a_deleted_model_ends_the_watch_and_a_timeout_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(monkeypatch, iter([model(TRAINING), None])) == 1
    assert capsys.readouterr().out.endswith("model: deleted\n")
    assert watch(monkeypatch, iter([model(TRAINING)]), "--timeout", "0") == 3
    assert "the series has not ended" in capsys.readouterr().err


def test_explain_says_why_a_series_waits_and_who_acts() -> None:
    text = explain.text(
        explain.explain_long_lived(model(condition("Ready", "False", "NoVersionYet"), STALLED), None, START)
    )
    assert "SeriesRoundFailed" in text
    assert "the round's author" in text.lower()
