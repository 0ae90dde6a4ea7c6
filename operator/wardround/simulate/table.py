"""Turns finished rounds into numbers: one row for each round, metric and repeat, and their summary. Prints nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from wardround.api.federatedround import HospitalResult, ResultDifference, ResultMetric
from wardround.api.site import LEAST_CELL
from wardround.metrics.registry import LOSS_DIFFERENCE, METRICS, REFERENCE_LOSS
from wardround.simulate.errors import SimulationError
from wardround.simulate.files import HOLDOUT
from wardround.simulate.play import Finished, Skipped
from wardround.wire import codec
from wardround.wire.outcome import Outcome

if TYPE_CHECKING:
    from pandas import DataFrame

HOLDOUT_ROWS = "Holdout"
Reports = Mapping[str, Mapping[str, Outcome]]
NO_REPORTS: Reports = {}


@dataclass(frozen=True)
class Row:
    """One metric of one round in one repeat. `source`: `hospitals`, or `holdout` for the rows of the holdout file.

    `low`, `high`: the 95 % interval. `people`, `hospitals`: how many of them the number is over. `rows`: `Validation`,
    `Test`, or `Holdout` for all rows of the holdout file. `model`: the round that made the measured model. A Train
    round measures the model that it starts from. `hospital`: whose number it is; empty for the number of the round. A
    hospital's number has no `low`, `high` and `people`. `reference`: of the metric lossDifference, the round that made
    the model whose log loss is subtracted; else "". A row of the metric referenceLoss has that model's own log loss.
    """

    repeat: int
    round: str
    task: str
    source: str
    metric: str
    value: float
    low: float | None
    high: float | None
    people: int | None
    hospitals: int
    rows: str
    model: str
    hospital: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Summary:
    """One metric of one round over the repeats. `sd`: of the sample; None for one repeat. `n`: the number of repeats
    that have the metric."""

    hospital: str
    round: str
    source: str
    rows: str
    metric: str
    model: str
    reference: str
    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Read:
    """What a hospital's file holds. `left_out`: rows that break the schema, by field and reason."""

    hospital: str
    rows: int
    patients: int
    left_out: str


def reads(ended: Iterable[Finished | Skipped], failed: Reports = NO_REPORTS) -> list[Read]:
    """One for each hospital that took part, in the order in which they were asked first. `failed`: the reports of the
    round that ended the simulation."""
    by_hospital: dict[str, Read] = {}
    for each in (*(each.reports for each in ended), failed):
        for hospital, reports in each.items():
            if report := reports.get("prepare"):
                left_out = ", ".join(f"{entry.field} {entry.reason} {entry.rows}" for entry in report.quality or ())
                by_hospital.setdefault(hospital, Read(hospital, report.rows or 0, report.patients or 0, left_out))
    return list(by_hospital.values())


def rows(ended: Iterable[Finished | Skipped]) -> list[Row]:
    """The numbers of each round, then those of its hospitals that tell theirs."""
    return [row for each in _finished(ended) for row in (*_total_rows(each), *_hospital_rows(each))]


def _telling(finished: Finished) -> tuple[HospitalResult, ...]:
    """The holdout is alone in its rounds: its numbers are the result."""
    return () if finished.source == HOLDOUT else finished.result.hospitals


def _total_rows(finished: Finished) -> Iterator[Row]:
    yield from (_row(finished, each.name, each) for each in finished.result.metrics)
    for each in finished.result.differences:
        difference = _row(finished, LOSS_DIFFERENCE, each, each.reference)
        if each.reference_loss is not None:
            loss = float(each.reference_loss)
            yield replace(
                difference,
                metric=REFERENCE_LOSS,
                value=loss,
                low=None,
                high=None,
                model=each.reference,
                reference="",
            )
        yield difference


def _hospital_rows(finished: Finished) -> Iterator[Row]:
    """Only metrics that the round's result has, too."""
    totals = {row.metric: row for row in _total_rows(finished)}
    for hospital in _telling(finished):
        for metric in hospital.metrics:
            if total := totals.get(metric.name):
                value = float(metric.value)
                yield replace(total, value=value, low=None, high=None, people=None, hospitals=1, hospital=hospital.name)


def _row(finished: Finished, name: str, number: ResultMetric | ResultDifference, reference: str = "") -> Row:
    return Row(
        repeat=finished.repeat,
        round=finished.name,
        task=finished.task,
        source=finished.source,
        metric=name,
        value=float(number.value),
        low=None if number.low is None else float(number.low),
        high=None if number.high is None else float(number.high),
        people=number.people,
        hospitals=number.hospitals,
        rows=_side(finished, number),
        model=number.model,
        reference=reference,
    )


def _side(finished: Finished, number: ResultMetric | ResultDifference) -> str:
    return HOLDOUT_ROWS if finished.source == HOLDOUT else number.rows


def _finished(ended: Iterable[Finished | Skipped]) -> Iterator[Finished]:
    return (each for each in ended if isinstance(each, Finished))


def summaries(numbers: Sequence[Row]) -> list[Summary]:
    """One for each round and metric, in the order in which they came."""
    groups: dict[tuple[str, str, str, str, str, str, str], list[float]] = {}
    for each in numbers:
        place = (each.hospital, each.round, each.source, each.rows, each.metric, each.model, each.reference)
        groups.setdefault(place, []).append(each.value)
    return [
        Summary(*place, fmean(values), stdev(values) if len(values) > 1 else None, len(values))
        for place, values in groups.items()
    ]


def as_json(ended: Iterable[Finished | Skipped]) -> list[dict[str, Any]]:
    """Each finished round, with the digest of its result."""
    return [
        {
            "repeat": each.repeat,
            "round": each.name,
            "task": each.task,
            "source": each.source,
            "digest": each.result.digest,
            "samples": each.result.samples,
            "hospitals": each.aggregated,
            "withheld": list(each.withheld),
            "metrics": [{**codec.dump(metric), "rows": _side(each, metric)} for metric in each.result.metrics],
            "byHospital": {own.name: {metric.name: metric.value for metric in own.metrics} for own in _telling(each)},
            "differences": [{**codec.dump(other), "rows": _side(each, other)} for other in each.result.differences],
            "verdict": codec.dump(each.result.verdict) if each.result.verdict else None,
            "middleNorm": each.result.middle_norm,
        }
        for each in _finished(ended)
    ]


def never_finished(ended: Sequence[Finished | Skipped]) -> list[str]:
    """A sentence for each round that failed in every repeat in which it ran."""
    finished = {(each.name, each.source) for each in _finished(ended)}
    failures: dict[tuple[str, str], list[str]] = {}
    for each in ended:
        if isinstance(each, Skipped) and (each.name, each.source) not in finished:
            failures.setdefault((each.name, each.source), []).append(each.why)
    return [
        f"The simulation ran this round {'once' if len(texts) == 1 else f'{len(texts)} times'}, and no run gave "
        f"numbers. The last run failed with: {texts[-1]}"
        for texts in failures.values()
    ]


def remarks(ended: Iterable[Finished | Skipped], min_cell: int) -> list[str]:
    """What a person should know of rounds that ended: once, however many repeats say it."""
    lines: dict[str, None] = {}
    for each in ended:
        if isinstance(each, Skipped):
            lines[f"repeat {each.repeat}: {each.why}"] = None
            continue
        for entry in each.attention:
            lines[f"{each.name}: {entry.participant}: {entry.reason}: {entry.message}"] = None
        if each.withheld:
            hospitals = "1 hospital" if len(each.withheld) == 1 else f"{len(each.withheld)} hospitals"
            lines[
                f"{each.name}: {hospitals} withheld all numbers ({', '.join(each.withheld)}), because the measured "
                f"rows, or one class in these rows, have fewer than {min_cell} people."
            ] = None
        unreported = _unreported(each)
        if unreported:
            lines[
                f"{each.name}: the result lacks {', '.join(unreported)}, because Wardround does not compute it and "
                "no hospital's trainer reports it. The trainer has to write it into out/metrics.json."
            ] = None
        shown = each.result.metrics or each.result.numbers_too_large  # attention says of the latter why
        if set(each.declared) - set(unreported) and not shown:
            lines[f"{each.name}: no number is shown. {_why_empty(each, min_cell)}"] = None
    return list(lines)


def _unreported(finished: Finished) -> list[str]:
    """The declared metrics that Wardround does not compute and no trainer reports.

    A hospital that withholds its numbers does not say which ones it has.
    """
    reports = [finished.reports.get(hospital, {}).get("check") for hospital in finished.counted]
    reported = {metric.name for report in reports if report for metric in report.metrics or ()}
    return [name for name in finished.declared if reports and name not in METRICS and name not in reported]


def _why_empty(finished: Finished, min_cell: int) -> str:
    if not finished.counted:
        return "Every hospital of the round withholds its numbers."
    if len(finished.counted) == 1:
        return (
            f"Only {finished.counted[0]} has sent numbers, and a result never shows the numbers of one hospital alone."
        )
    return (
        f"Each metric in spec.metrics is over fewer than {min_cell} people, at one hospital or at all hospitals "
        "together."
    )


def frame(numbers: Sequence[Row]) -> DataFrame:
    """The rows as a pandas DataFrame, one column for each field of Row. Raises SimulationError without pandas."""
    try:
        import pandas
    except ImportError:
        raise SimulationError("A DataFrame needs pandas. Install it: pip install 'wardround[simulate]'.") from None
    names = [field.name for field in dataclasses.fields(Row)]
    return pandas.DataFrame([dataclasses.astuple(each) for each in numbers], columns=names)


def warning(min_cell: int) -> str:
    """What every table says of numbers that no hospital would tell; empty if a hospital would."""
    if min_cell >= LEAST_CELL:
        return ""
    return (
        f"--min-cell {min_cell}: these tables also show numbers over fewer than {LEAST_CELL} patients, which no "
        "hospital lets out. Use this option only with data of your own."
    )
