"""Shows the numbers of a complete round as a table, CSV or JSON: over all hospitals, or of single ones. Pure.

Gets the objects and fetches nothing. A single hospital's numbers are in the result only if its Site tells them.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

from wardround.api import federatedround, roundtask
from wardround.api.federatedround import FederatedRound, Result, ResultDifference, ResultMetric
from wardround.api.task import Update
from wardround.cli import absent
from wardround.cli.errors import CommandError
from wardround.cli.objects import Object, read
from wardround.metrics.registry import LOSS_DIFFERENCE, REFERENCE_LOSS
from wardround.plans.model import compared
from wardround.wire import codec
from wardround.wire.compression import NONE

Format = Literal["csv", "json"]
COLUMNS = ("metric", "value", "low", "high", "better", "people", "hospitals", "rows", "model", "reference")
WITHHELD = "withheld: fewer people than policy.minCell are in a class"
# As metrics/digits.py rounds them.
ROUNDED = (
    "The numbers of people, positives and rows are rounded: numbers below 1,000 to two digits, numbers below 10,000 "
    "to three, and larger numbers to four."
)
NOT_TOLD = (
    "not shown: policy.tellOwnMetrics of the Site is false, or the number would reveal a number of another hospital"
)
TOO_LARGE = "not shown: the number that the training code reports is above 1e38 or below -1e38"


@dataclass(frozen=True)
class Hospital:
    """A hospital that sent an update. `metrics`: texts by name. `note`: why there are none; "" if there are some."""

    name: str
    metrics: dict[str, str]
    note: str = ""


@dataclass(frozen=True)
class Results:
    """The numbers of one round. `task`: of the round. `declared`: names of its metrics. `rows`: in the order of
    COLUMNS. `hospitals`: those in the result, and those whose RoundTask the reader may see. `remarks`: sentences about
    single updates."""

    title: str
    task: str
    declared: tuple[str, ...]
    result: Result
    rows: tuple[tuple[str, ...], ...]
    hospitals: tuple[Hospital, ...]
    remarks: tuple[str, ...]


def results(round_: Object, tasks: list[Object]) -> Results:
    """The numbers of a round. Raises CommandError if it has none yet, codec.Malformed if an object cannot be read."""
    shown = read(federatedround.parse, round_)
    result, name = shown.status.result, f"{shown.metadata.namespace}/{shown.metadata.name}"
    if result is None:
        raise CommandError(
            f"Round {name} has no result. To see how far it is, or why it failed: kubectl wardround explain "
            f"federatedround/{shown.metadata.name} -n {shown.metadata.namespace}"
        )
    declared = () if shown.spec.task == "Statistics" else shown.spec.metrics
    return Results(
        title=_title(name, shown, result),
        task=shown.spec.task,
        declared=declared,
        result=result,
        rows=result_rows(result),
        hospitals=_hospitals(result, tasks),
        remarks=_remarks(shown, result),
    )


def result_rows(result: Result) -> tuple[tuple[str, ...], ...]:
    """The numbers of a round, in the order of COLUMNS."""
    differences = (row for each in result.differences for row in _difference_rows(each))
    return (*metric_rows(result.metrics), *differences)


def metric_rows(metrics: Iterable[ResultMetric]) -> Iterator[tuple[str, ...]]:
    """Numbers of models, in the order of COLUMNS."""
    for each in metrics:
        yield (
            *(each.name, each.value, each.low or "", each.high or "", each.better or ""),
            *(str(each.people), str(each.hospitals), each.rows, each.model, ""),
        )


def _difference_rows(each: ResultDifference) -> Iterator[tuple[str, ...]]:
    """The reference's own log loss if the round told it, and the difference from it."""
    over = (str(each.people), str(each.hospitals), each.rows)
    if each.reference_loss is not None:
        yield (REFERENCE_LOSS, each.reference_loss, "", "", each.better, *over, each.reference, "")
    interval = (each.low or "", each.high or "")
    yield (LOSS_DIFFERENCE, each.value, *interval, each.better, *over, each.model, each.reference)


def interval(metric: str, low: str, high: str) -> str:
    """The 95 % interval of a number in a table; empty without one."""
    if not (low and high):
        return ""
    return compared.ends(low, high) if metric == LOSS_DIFFERENCE else f"{low} to {high}"


def table(shown: Results) -> Table:
    """The numbers over all hospitals. All texts are Text objects, because rich reads brackets in a str as markup."""
    columns = COLUMNS[4:] if shown.result.differences else COLUMNS[4:-1]
    made = _table(shown, ("metric", "value", "95 % interval", *columns), numbers=("value", "people", "hospitals"))
    for name, value, low, high, *others in shown.rows:
        made.add_row(*map(Text, (name, value, interval(name, low, high), *others[: len(columns)])))
    return made


def notes(shown: Results) -> list[str]:
    """What the table does not show: which declared metrics have no number, remarks about single updates, and
    that numbers of people are rounded."""
    missing = absent.sentences(shown.declared, (each.name for each in shown.result.metrics), shown.task)
    return [each for each in (missing, *shown.remarks, ROUNDED if shown.rows else "") if each]


def _remarks(federated_round: FederatedRound, result: Result) -> tuple[str, ...]:
    """The middle norm of the updates beside the bound on norms, and which hospitals' numbers no mean counts."""
    remarks = []
    if result.middle_norm:
        remarks.append(f"The middle Euclidean norm of the combined updates is {result.middle_norm}.")
        if (bound := federated_round.spec.aggregation.parameters.get("largestNorm")) is not None:
            remarks.append(f"largestNorm of the round is {bound}. Far above the middle norm, it limits nobody.")
    if result.numbers_too_large:
        metadata = federated_round.metadata
        remarks.append(
            "A mean lacks the number that the training code of these hospitals reports, because the number is above "
            f"1e38 or below -1e38: {', '.join(result.numbers_too_large)}. To see what to do: kubectl wardround explain "
            f"federatedround/{metadata.name} -n {metadata.namespace}"
        )
    return tuple(remarks)


def table_by_hospital(shown: Results) -> Table:
    """The numbers of each hospital: a row for each of its metrics, or one row that says why there are none."""
    made = _table(shown, ("hospital", "metric", "value"), numbers=("value",))
    for hospital in shown.hospitals:
        if hospital.note:
            made.add_row(Text(hospital.name), Text(hospital.note), Text(""))
        for index, (name, value) in enumerate(hospital.metrics.items()):
            made.add_row(Text("" if index else hospital.name), Text(name), Text(value))
    return made


def text(shown: Results, output: Format, *, by_hospital: bool) -> str:
    """The numbers as CSV with a line of names, or as JSON with the fields of status.result."""
    if output == "json":
        return json.dumps(_document(shown, by_hospital=by_hospital), indent=2, ensure_ascii=False) + "\n"
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if not by_hospital:
        writer.writerows((COLUMNS, *shown.rows))
        return file.getvalue()
    writer.writerow(("hospital", "metric", "value", "note"))
    for each in shown.hospitals:
        writer.writerows((each.name, name, value, "") for name, value in each.metrics.items())
        if each.note:
            writer.writerow((each.name, "", "", each.note))
    return file.getvalue()


def fields(result: Result) -> Object:
    """The fields of status.result that people read."""
    dumped = codec.dump(result)
    shown_fields = (
        "metrics",
        "calibration",
        "differences",
        "verdict",
        "hospitalVerdicts",
        "withheld",
        "numbersTooLarge",
        "middleNorm",
        "samples",
        "digest",
    )
    return {name: dumped.get(name) for name in shown_fields}


def _document(shown: Results, *, by_hospital: bool) -> Object:
    made = fields(shown.result)
    if by_hospital:
        made["hospitals"] = [
            {"name": each.name, "metrics": each.metrics, "note": each.note} for each in shown.hospitals
        ]
    return made


def _title(name: str, federated_round: FederatedRound, result: Result) -> str:
    counts = federated_round.status.participants
    parts = [f"{name} {federated_round.spec.task}", f"{counts.aggregated if counts else 0} hospitals combined"]
    # Other rounds cannot name a compression.
    if federated_round.spec.aggregation.compression != NONE:
        parts.append(f"updates compressed with {federated_round.spec.aggregation.compression}")
    if federated_round.spec.task == "Train" and result.metrics:
        parts.append(f"numbers of the model before training ({result.metrics[0].model})")
    if result.withheld:
        parts.append(f"{result.withheld} withheld")
    if result.verdict:
        parts.append(f"verdict {result.verdict.outcome} ({result.verdict.reason})")
    parts += [
        f"own verdicts against {each.reference} of {each.hospitals} hospitals: Better {each.better}, Worse "
        f"{each.worse}, Undecided {each.undecided}"
        for each in result.hospital_verdicts
    ]
    if result.hospitals_omitted:
        parts.append("the answer of the aggregation had no room for the numbers of single hospitals")
    return ", ".join(parts)


def _hospitals(result: Result, tasks: list[Object]) -> tuple[Hospital, ...]:
    numbers = {each.name: {metric.name: metric.value for metric in each.metrics} for each in result.hospitals}
    attempts = sorted((read(roundtask.parse, each) for each in tasks), key=lambda each: each.spec.attempt)
    sent = {task.metadata.namespace: task.status.update for task in attempts if task.status.update}
    names = sorted({*numbers, *sent})
    return tuple(
        Hospital(name, numbers.get(name, {}), "" if numbers.get(name) else _note(name, sent[name], result))
        for name in names
    )


def _note(name: str, update: Update, result: Result) -> str:
    if update.withheld:
        return WITHHELD
    return TOO_LARGE if name in result.numbers_too_large else NOT_TOLD


def _table(shown: Results, columns: Sequence[str], *, numbers: Sequence[str]) -> Table:
    made = Table(title=Text(shown.title), title_justify="left")
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in ("metric", "hospital"))
    return made
