"""The demo's results on its clusters: the summary for JSON, the tables, and the spans of a round.

Pure: computed from finished FederatedRounds and their RoundTasks. A withheld metric is None here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.table import Table

from wardround.api.times import parse_time

METRICS = ("accuracy", "sensitivity", "auc")
WITHHELD = "withheld"
# Spans of a round in order: name, timeline (the hub's or the slowest hospital's), and the stage that ends the span.
SPANS = (
    ("hub asks", "hub", "Dispatched"),
    ("site accepts", "site", "Accepted"),
    ("courier fetches", "site", "InputReady"),
    ("pod starts", "site", "Started"),
    ("isolation and data", "site", "Prepared"),
    ("training", "site", "Trained"),
    ("output checked", "site", "Checked"),
    ("update sealed", "site", "Sealed"),
    ("update sent", "site", "Sent"),
    ("hub collects", "hub", "Collected"),
    ("aggregation", "hub", "Aggregated"),
    ("result signed", "hub", "Complete"),
)

Metrics = dict[str, float | None]


@dataclass(frozen=True)
class Finished:
    """A round that is Complete, with its RoundTasks."""

    round: Mapping[str, Any]
    tasks: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        return str(self.round["metadata"]["name"])

    def task(self, hospital: str) -> Mapping[str, Any]:
        """The newest task of a hospital."""
        own = [each for each in self.tasks if each["metadata"]["namespace"] == hospital]
        return max(own, key=lambda each: int(each["spec"]["attempt"]))


def summary(
    rounds: Sequence[Finished], evaluation: Finished, last: Finished, hospitals: Sequence[str]
) -> dict[str, Any]:
    """`rounds`: all rounds, in order. `evaluation`: of the federated model. `last`: the round of this model."""
    result = last.round["status"]["result"]
    return {
        "rounds": [_round(each) for each in rounds],
        "hospitals": {
            hospital: {
                "samples": last.task(hospital)["status"]["update"]["samples"],
                "federated": own_metrics(evaluation, hospital),
            }
            for hospital in hospitals
        },
        "common": {"federated": union_metrics(evaluation), "intervals": union_intervals(evaluation)},
        "model": {"digest": result["digest"], "bytes": result["bytes"]},
    }


def own_metrics(evaluation: Finished, hospital: str) -> Metrics:
    """A model's metrics on the hospital's own test rows. The demo's hospitals tell them (policy.tellOwnMetrics)."""
    return _metrics(_metrics_of(evaluation, hospital))


def union_metrics(evaluation: Finished) -> Metrics:
    """A model's metrics over the test rows of all hospitals that sent sums."""
    return _metrics(evaluation.round["status"]["result"].get("metrics"))


def union_intervals(evaluation: Finished) -> dict[str, tuple[str, str] | None]:
    """The 95 % intervals of `union_metrics`, with the digits of the result."""
    entries = {each["name"]: each for each in evaluation.round["status"]["result"].get("metrics") or []}
    return {
        name: (entries[name]["low"], entries[name]["high"]) if "low" in entries.get(name, {}) else None
        for name in METRICS
    }


def table(results: Mapping[str, Any], evaluation: Finished, display_names: Mapping[str, str]) -> Table:
    """The federated model on each hospital's test rows, and on all test rows.

    `results`: of `summary`. `evaluation`: for the numbers of test rows.
    """
    result = Table(title="Federated model on rows that no hospital has trained on", title_justify="left")
    result.add_column("test rows of", no_wrap=True)
    result.add_column("rows", justify="right")
    for name in METRICS:
        result.add_column(name, justify="right")
    for hospital, entry in results["hospitals"].items():
        result.add_row(display_names[hospital], _rows(_metrics_of(evaluation, hospital)), *_cells(entry["federated"]))
    result.add_section()
    total, common = evaluation.round["status"]["result"].get("metrics") or [], results["common"]
    cells = [_with_interval(name, common["federated"][name], common["intervals"][name]) for name in METRICS]
    result.add_row(_over(total), _rows(total), *cells)
    result.caption_justify = "left"
    result.caption = _without(evaluation)
    return result


def _without(evaluation: Finished) -> str:
    """How many hospitals the numbers leave out, and why."""
    left_out = evaluation.round["status"]["result"].get("withheld") or 0
    if not left_out:
        return ""
    counted = len({each["metadata"]["namespace"] for each in evaluation.tasks})
    why = f"{WITHHELD}: fewer people than policy.minCell of a Site allows, in all or in one class."
    return f"{why} The rows for all hospitals cover {counted - left_out} of {counted}."


def spans(finished: Finished) -> dict[str, float]:
    """The spans of one round in seconds, along its slowest hospital. They add up to the round's length."""
    hub = _times(finished.round)
    slowest = max((_times(each) for each in finished.tasks), key=lambda each: each.get("Sent", 0.0))
    result: dict[str, float] = {}
    before = hub["Started"]
    for name, side, until in SPANS:
        reached = (hub if side == "hub" else slowest).get(until)
        if reached is None:
            continue
        # Never below zero: a site's clock may differ.
        result[name] = round(max(reached - before, 0.0), 3)
        before = max(before, reached)
    return result


def spans_table(rounds: Sequence[Finished]) -> Table:
    """The median of each span over the rounds."""
    every = [spans(each) for each in rounds]
    result = Table(title=f"Where the seconds of a Train round went (median of {len(every)})", title_justify="left")
    result.add_column("span")
    result.add_column("seconds", justify="right")
    for name, *_ in SPANS:
        values = [each[name] for each in every if name in each]
        if values:
            result.add_row(name, f"{median(values):.1f}")
    result.add_section()
    result.add_row("round", f"{median(sum(each.values()) for each in every):.1f}")
    return result


def _round(finished: Finished) -> dict[str, Any]:
    status = finished.round["status"]
    times = _times(finished.round)
    return {
        "name": finished.name,
        "task": finished.round["spec"]["task"],
        "seconds": round(times["Complete"] - times["Started"], 3),
        "participants": sorted({each["metadata"]["namespace"] for each in finished.tasks}),
        "samples": status["result"]["samples"],
        "metrics": {each["name"]: _number(each["value"]) for each in status["result"].get("metrics") or []},
        "time": spans(finished),
    }


def _metrics_of(evaluation: Finished, hospital: str) -> Sequence[Mapping[str, str]]:
    """The hospital's own metrics in the result; empty if the hospital withholds them."""
    hospitals = evaluation.round["status"]["result"].get("hospitals") or []
    return next((each.get("metrics") or [] for each in hospitals if each["name"] == hospital), [])


def _rows(entries: Sequence[Mapping[str, str]] | None) -> str:
    """The number of test rows; empty if the hospital withholds it, or the round does not declare the metric `rows`."""
    return next((each["value"] for each in entries or [] if each["name"] == "rows"), "")


def _number(value: str) -> int | float:
    return int(value) if value.isdecimal() else float(value)


def _times(item: Mapping[str, Any]) -> dict[str, float]:
    return {each["stage"]: parse_time(each["time"]).timestamp() for each in item["status"].get("timeline") or []}


def _metrics(entries: Sequence[Mapping[str, str]] | None) -> Metrics:
    sent = {each["name"]: float(each["value"]) for each in entries or []}
    return {name: sent.get(name) for name in METRICS}


def _cells(entry: Metrics) -> list[str]:
    return [_cell(name, entry[name]) for name in METRICS]


def _over(entries: Sequence[Mapping[str, Any]]) -> str:
    """How many hospitals and people the numbers over all test rows are over."""
    entry = next((each for each in entries if each["name"] in METRICS and "people" in each), None)
    return f"{entry['hospitals']} hospitals, {entry['people']} people" if entry else "all hospitals"


def _with_interval(name: str, value: float | None, interval: tuple[str, str] | None) -> str:
    if value is None or interval is None:
        return _cell(name, value)
    low, high = (_cell(name, float(each)).removesuffix(" %") for each in interval)
    return f"{_cell(name, value)} ({low}-{high})"


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return WITHHELD
    # The value has few digits on purpose. Show no more.
    return f"{value:g}" if name == "auc" else f"{100 * value:.4g} %"
