"""`watch` and `explain` of a FederatedModel: a row for each round, the lowest loss, and when watching ends."""

import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from rich.console import Console

from tests.unit.cli.required import REQUIRED, RESULT, metric
from tests.unit.cli.rounds import START, at, condition
from wardround import kubectl as program
from wardround.cli import explain, model_objects, verbs, watch_model
from wardround.cli.cluster import Cluster
from wardround.cli.commands import watch as command
from wardround.cli.errors import MissingError
from wardround.plans.model.suspension import once_resumed

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
                "trigger": "Created",
                "round": 2,
                "best": "breast-s1-r1-0123abcd",
                "loss": "0.31",
                "rounds": listed,
                "version": version,
            },
            **status,
        },
    }


def live(name: str, begun: int, ended: int | None = None, *metrics: dict[str, Any]) -> dict[str, Any]:
    """A FederatedRound of the model. It began and ended so many seconds after the start."""
    counts = {"selected": 4, "sent": 3, "aggregated": 3}
    timeline = [{"stage": "Started", "time": at(begun)}]
    status: dict[str, Any] = {"participants": counts, "timeline": timeline}
    if ended is not None:
        timeline.append({"stage": "Complete", "time": at(ended)})
        status |= {
            "conditions": [condition("Complete", "True")],
            "result": {**RESULT, "samples": 90, "metrics": list(metrics)},
        }
    metadata = {"name": name, "namespace": "breast-cancer", "uid": name, "creationTimestamp": at(begun)}
    return {"metadata": metadata, "spec": {**REQUIRED["FederatedRound"]}, "status": status}


MEASURED = (
    metric("loss", "0.31", low="0.28", high="0.34", people=412, hospitals=3, model="breast-s1-r1-0123abcd"),
    metric("auc", "0.9", low="0.88", high="0.92", people=412, hospitals=3, model="breast-s1-r1-0123abcd"),
)
ROUNDS = [
    live("breast-s1-r0-0123abcd", 0, 10),
    live("breast-s1-r1-0123abcd", 10, 40),
    live("breast-s1-r2-0123abcd", 40, 65, *MEASURED),
    live("breast-s1-r3-0123abcd", 65),
]
ENTRIES = [entry(0, "Statistics"), entry(1, loss="0.31"), entry(2), entry(3, outcome="Running")]


def view(item: dict[str, Any], at: datetime, *rounds: dict[str, Any]) -> watch_model.Screen:
    return watch_model.view(model_objects.read(item, [], list(rounds)), at)


def shown(item: dict[str, Any], *rounds: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(watch_model.table(view(item, START + timedelta(seconds=70), *rounds)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_round_has_a_row_and_the_lowest_loss_is_marked() -> None:
    text = shown(model(TRAINING))
    assert "breast-cancer/breast series 1 (trigger: Created), round 2 of at most 3, 1m10s" in text
    rows = [
        [each.strip() for each in line.split("│")[1:4] + line.split("│")[6:7]]
        for line in text.splitlines()
        if "breast-s1-" in line and "│" in line
    ]
    assert rows == [
        ["breast-s1-r0-0123abcd", "Statistics", "Complete", ""],
        ["breast-s1-r1-0123abcd", "Train 1", "Complete", "0.31 lowest"],
        ["breast-s1-r2-0123abcd", "Train 2", "Running", ""],
    ]
    assert "waits or runs" in text


def test_a_row_has_the_time_the_hospitals_and_the_numbers_of_the_model_with_intervals() -> None:
    text = shown(model(TRAINING, rounds=ENTRIES), *ROUNDS)
    rows = {each[0]: each[3:] for line in text.splitlines() if len(each := [c.strip() for c in line.split("│")[1:-1]])}
    assert rows["breast-s1-r0-0123abcd"] == ["10s", "3 of 4 combined", "", "", ""]
    assert rows["breast-s1-r1-0123abcd"] == [
        *("30s", "3 of 4 combined", "0.31 (0.28 to 0.34) lowest", "0.9 (0.88 to 0.92)", "412 people, 3 hospitals")
    ]
    assert rows["breast-s1-r3-0123abcd"] == ["5.0s", "3 of 4 sent", "", "", ""]


def test_the_title_says_which_trigger_began_the_series() -> None:
    training = model(TRAINING)
    training["status"]["series"]["trigger"] = "NewPatients"
    assert "breast-cancer/breast series 1 (trigger: NewPatients), round 2 of at most 3, 1m10s" in shown(training)


def test_the_title_says_how_long_the_series_takes_at_most() -> None:
    """Train rounds took 30 and 25 seconds. The third one runs for 5 seconds, and an Evaluate round follows."""
    training = model(TRAINING, rounds=ENTRIES)
    training["status"]["series"]["round"] = 3
    assert "round 3 of at most 3, 1m10s, up to about 50s left" in shown(training, *ROUNDS)
    # The gate compares the second version.
    training["status"]["served"] = ["breast-v1-0123abcd"]
    assert "up to about 1m18s left" in shown(training, *ROUNDS)
    training["status"]["conditions"].append(condition("Suspended", "True", "Suspended"))
    assert "left" not in shown(training, *ROUNDS)


@pytest.mark.parametrize(
    ("every", "number", "task", "served", "rounds"),
    [
        (0, 1, "Train", False, 5),
        (0, 1, "Train", True, 6),
        (1, 1, "Train", False, 9),
        (2, 2, "Train", False, 6),
        (2, 2, "Evaluate", False, 5),
        (2, 5, "Train", False, 1),
        (4, 5, "Train", True, 2),
        (9, 1, "Train", False, 5),
    ],
)
def test_the_title_counts_the_evaluate_rounds_that_follow(
    every: int, number: int, task: str, served: bool, rounds: int
) -> None:
    """The series has at most 5 Train rounds, and the first one took 30 seconds. The newest round begins now."""
    entries = [entry(1), entry(number, task, outcome="Running", name="breast-s1-now-0123abcd")]
    item = model(TRAINING, rounds=entries, served=["breast-v1-0123abcd"] if served else [])
    item["spec"] |= {"evaluation": {"every": every}}
    item["spec"]["series"] = {"rounds": 5}
    item["status"]["series"]["round"] = number
    text = shown(item, live("breast-s1-r1-0123abcd", 10, 40))
    whole = 30 * (rounds + 1)
    assert f"up to about {whole // 60}m{whole % 60:02d}s left" in text


def test_an_evaluate_round_has_the_number_of_the_train_round_whose_model_it_measures() -> None:
    text = shown(model(TRAINING, rounds=[entry(1, loss="0.31"), entry(1, "Evaluate"), entry(2, outcome="Running")]))
    assert "Evaluate 1" in text


def test_a_further_attempt_is_named() -> None:
    again = entry(2, attempt=2, outcome="Running", name="breast-s1-r2-t2-0123abcd")
    assert "Train 2, attempt 2" in shown(model(TRAINING, rounds=[entry(1), entry(2, outcome="Failed"), again]))


def test_lines_tell_what_has_changed() -> None:
    before = view(model(TRAINING), START)
    after = model(TRAINING, rounds=[entry(0, "Statistics"), entry(1, loss="0.31"), entry(2, loss="0.29")])
    assert watch_model.lines(before, view(after, START)) == ["breast-s1-r2-0123abcd: Train 2 Complete, loss 0.29"]
    assert watch_model.lines(None, before)[-1] == f"model: {TRAINING['message']}"


def test_a_name_of_somebody_else_steers_no_terminal() -> None:
    assert "\x1b" not in shown(model(TRAINING, rounds=[entry(1, name="breast\x1b[31m")]))


def watch(monkeypatch: pytest.MonkeyPatch, models: Iterator[dict[str, Any] | None], *more: str) -> int:
    def look(_: Cluster, name: str, namespace: str) -> tuple[dict[str, Any], list[Any], list[Any]]:
        item = next(models)
        if item is None:
            raise MissingError(f"no FederatedModel {name} in {namespace}")
        return item, [], []

    monkeypatch.setattr(command, "REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(verbs, "model_with_rounds", look)
    arguments = ["watch", "fm/breast", "-n", "breast-cancer", *more]
    return command.run_watch(cast(Cluster, None), program.parser().parse_args(arguments))


def test_watching_ends_with_the_series(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ended = model(READY, stage="Ended", version="breast-v1-0123abcd", current="breast-v1-0123abcd")
    assert watch(monkeypatch, iter([model(TRAINING), ended])) == 0
    assert "model: the series has ended. Current version: breast-v1-0123abcd" in capsys.readouterr().out


def test_the_end_of_a_series_says_which_version_waits_for_people_and_when_the_next_series_begins() -> None:
    waits = condition("VersionWaits", "True", "PeopleDecide", "Version 2 is Undecided. To use it, set this.")
    follows = once_resumed("series 3 begins at 2026-11-30T01:00:00Z", suspended=False)
    scheduled = condition("Scheduled", "True", "NextSeries", follows)
    compared = entry(2, "Evaluate", name="breast-s2-c2-0123abcd", references=["breast-s1-r1-0123abcd"])
    item = model(waits, scheduled, stage="Ended", rounds=[entry(2), compared], version="breast-v2-0123abcd")
    text = watch_model.lines(None, view(item, START))
    assert text[-1] == (
        "model: the series has ended. Current version: none. Version 2 is Undecided. To use it, set this. "
        "Series 3 begins at 2026-11-30T01:00:00Z"
    )
    assert "breast-s2-c2-0123abcd: Compare Complete" in text
    nobody = model(scheduled, stage="Ended", rounds=[entry(2), compared], version="breast-v2-0123abcd")
    assert watch_model.lines(None, view(nobody, START))[-1].endswith(
        "none. Nobody has to act: series 3 begins at 2026-11-30T01:00:00Z"
    )


def test_watching_ends_when_a_person_has_to_act(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(monkeypatch, iter([model(TRAINING), model(STALLED)])) == 1
    output = capsys.readouterr()
    assert "model: stalled: SeriesRoundFailed: Round breast-s1-r2-0123abcd has failed" in output.out
    assert "kubectl wardround explain federatedmodel/breast -n breast-cancer" in output.err


def test_watching_goes_on_while_the_round_of_the_series_waits_for_people() -> None:
    waits = condition("Stalled", "True", "RoundSchemaNotFound", "Round breast-s1-r2-0123abcd waits for people.")
    screen = view(model(waits), START, live("breast-s1-r2-0123abcd", 0))
    assert (screen.exit_code, screen.footer) == (None, f"stalled: RoundSchemaNotFound: {waits['message']}")


def test_watching_ends_with_a_failed_round_only_when_the_model_says_that_no_other_attempt_follows() -> None:
    """The round fails before the status of the model says so, and the model waited for people until then."""
    waits = condition("Stalled", "True", "RoundSchemaNotFound", "Round breast-s1-r2-0123abcd waits for people.")
    over = live("breast-s1-r2-0123abcd", 0)
    over["status"]["conditions"] = [condition("Failed", "True", "RoundSchemaNotFound")]
    assert view(model(waits), START, over).exit_code is None
    last = entry(2, outcome="Failed")
    retrying = condition("Reconciling", "True", "SeriesRetrying", "The next one comes at 12:00.")
    assert view(model(retrying, rounds=[last]), START, over).exit_code is None
    assert view(model(STALLED, rounds=[last]), START, over).exit_code == 1


def test_a_deleted_model_ends_the_watch_and_a_timeout_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(monkeypatch, iter([model(TRAINING), None])) == 1
    assert capsys.readouterr().out.endswith("model: deleted\n")
    assert watch(monkeypatch, iter([model(TRAINING)]), "--timeout", "0") == 3
    assert "The series has not ended" in capsys.readouterr().err


def test_explain_says_why_a_series_waits_and_who_acts() -> None:
    text = explain.text(explain.explain_model(model(condition("Ready", "False", "NoVersionYet"), STALLED), {}))
    assert "SeriesRoundFailed" in text
    assert "the round's author" in text.lower()


def test_a_failed_round_has_its_reason_and_the_series_says_when_it_is_tried_again() -> None:
    words = "Round breast-s1-r2-0123abcd of the series has failed (QuorumNotMet). The next one comes at 12:00."
    item = model(
        condition("Reconciling", "True", "SeriesRetrying", words),
        rounds=[entry(0, "Statistics"), entry(1, loss="0.31"), entry(2, outcome="Failed")],
    )
    failed = live("breast-s1-r2-0123abcd", 50)
    failed["status"]["conditions"] = [condition("Failed", "True", "QuorumNotMet")]
    assert watch_model.lines(None, view(item, START, failed))[-2:] == [
        "breast-s1-r2-0123abcd: Train 2 Failed: QuorumNotMet",
        f"model: {words}",
    ]
    assert "Failed: QuorumNotMet" in shown(item, failed)


def test_the_end_of_a_series_says_that_nobody_has_measured_the_version() -> None:
    ready = condition("Ready", "True", "NumbersWithheld", "The version has no metrics: round e1 has failed.")
    item = model(ready, stage="Ended", version="breast-v1-0123abcd", current="breast-v1-0123abcd")
    assert watch_model.lines(None, view(item, START))[-1] == (
        "model: the series has ended. Current version: breast-v1-0123abcd. The version has no metrics: round e1 has "
        "failed"
    )
