"""The demo's report shows withheld metrics as withheld."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from lab import demo_report
from lab.demo_report import Finished

START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SITES = ("site-a", "site-c")
GOOD = {"accuracy": "0.97", "sensitivity": "0.95", "auc": "0.99"}


def stages(*reached: tuple[str, float]) -> list[dict[str, str]]:
    return [
        {"stage": name, "time": (START + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        for name, after in reached
    ]


def entries(metrics: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in metrics.items()]


def finished(
    name: str, task: str, union: dict[str, str], own: dict[str, dict[str, str]], late: float = 0.0
) -> Finished:
    tasks = [
        {
            "metadata": {"namespace": hospital},
            "spec": {"attempt": 1},
            "status": {
                "update": {"samples": 10},
                "timeline": stages(
                    ("Accepted", 1), ("InputReady", 2), ("Trained", 6), ("Sent", 8 + late * (number == 1))
                ),
            },
        }
        for number, hospital in enumerate(own)
    ]
    round_ = {
        "metadata": {"name": name},
        "spec": {"task": task},
        "status": {
            "result": {
                "digest": "sha256:d",
                "bytes": 99,
                "samples": 20,
                "metrics": entries(union),
                "withheld": sum(not metrics for metrics in own.values()),
                "hospitals": [
                    {"name": hospital, "metrics": entries(metrics)} for hospital, metrics in own.items() if metrics
                ],
            },
            "timeline": stages(
                ("Started", 0),
                ("Dispatched", 0.5),
                ("Collected", 9 + late),
                ("Aggregated", 11 + late),
                ("Complete", 12 + late),
            ),
        },
    }
    return Finished(round_, tasks)


def results() -> dict[str, Any]:
    # The clinic has too few people.
    evaluation = finished("evaluate", "Evaluate", GOOD, {"site-a": GOOD, "site-c": {}})
    last = finished("train-5", "Train", {"loss": "0.1"}, {"site-a": {}, "site-c": {}})
    return demo_report.summary([last, evaluation], evaluation, last, SITES)


def test_the_summary_has_the_documented_fields() -> None:
    result = results()
    assert set(result) == {"rounds", "hospitals", "common", "model"}
    first = result["rounds"][0]
    assert set(first) == {"name", "task", "seconds", "participants", "samples", "metrics", "time"}
    assert (first["name"], first["seconds"], first["participants"]) == ("train-5", 12.0, ["site-a", "site-c"])
    assert set(result["hospitals"]["site-a"]) == {"samples", "federated"}
    assert result["common"]["federated"] == {"accuracy": 0.97, "sensitivity": 0.95, "auc": 0.99}
    assert result["model"] == {"digest": "sha256:d", "bytes": 99}


def test_a_withheld_metric_is_null_in_the_summary_and_named_in_the_table() -> None:
    result = results()
    evaluation = finished("evaluate", "Evaluate", {"rows": "93"}, {"site-a": {"rows": "58"}, "site-c": {}})
    assert result["hospitals"]["site-c"]["federated"] == {"accuracy": None, "sensitivity": None, "auc": None}
    assert result["hospitals"]["site-a"]["federated"] == {"accuracy": 0.97, "sensitivity": 0.95, "auc": 0.99}
    console = Console(file=io.StringIO(), width=160)
    console.print(
        demo_report.table(result, evaluation, {"site-a": "University hospital", "site-c": "Screening clinic"})
    )
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "The rows for all hospitals cover 1 of 2." in " ".join(shown.split())
    rows = {
        name: [each.strip() for each in line.split("│")[2:6]]
        for line in shown.splitlines()
        for name in ("University hospital", "Screening clinic")
        if name in line
    }
    assert rows["University hospital"] == ["58", "97 %", "95 %", "0.99"]
    assert rows["Screening clinic"] == ["", "withheld", "withheld", "withheld"]


def test_the_rows_over_several_hospitals_have_intervals_people_and_hospitals() -> None:
    evaluation = finished("evaluate", "Evaluate", GOOD, {"site-a": GOOD, "site-c": {}})
    plain = finished("evaluate", "Evaluate", GOOD, {"site-a": GOOD, "site-c": {}})
    over = {"people": 93, "hospitals": 2}
    [accuracy, sensitivity, auc] = evaluation.round["status"]["result"]["metrics"]
    accuracy |= {"low": "0.91", "high": "0.99", **over}
    sensitivity |= {"low": "0.85", "high": "0.985", "people": 45, "hospitals": 2}
    auc |= {"low": "0.972", "high": "1", **over}
    last = finished("train-5", "Train", {"loss": "0.1"}, {"site-a": {}, "site-c": {}})
    result = demo_report.summary([last], evaluation, last, SITES)
    assert result["common"]["intervals"]["accuracy"] == ("0.91", "0.99")
    assert demo_report.union_intervals(plain) == {"accuracy": None, "sensitivity": None, "auc": None}
    console = Console(file=io.StringIO(), width=160)
    console.print(demo_report.table(result, evaluation, dict.fromkeys(SITES, "Hospital")))
    assert isinstance(console.file, io.StringIO)
    [line] = [line for line in console.file.getvalue().splitlines() if "93 people" in line]
    assert [each.strip() for each in line.split("│")[1:6]] == [
        "2 hospitals, 93 people",
        "",
        "97 % (91-99)",
        "95 % (85-98.5)",
        "0.99 (0.972-1)",
    ]


def test_spans_along_the_slowest_hospital_add_up_to_the_round() -> None:
    late = finished("train-1", "Train", {}, {"site-a": {}, "site-c": {}}, late=5.0)
    spans = demo_report.spans(late)
    assert spans["update sent"] == 7.0
    assert sum(spans.values()) == 17.0
