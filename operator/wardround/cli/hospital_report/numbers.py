"""The section of one model: what it does on this hospital's own people, and the hospital's verdicts on it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wardround.api.sitetask import OwnVerdict
from wardround.cli.hospital_report.seen import Group, KnownTask
from wardround.cli.report.document import Block, IntervalChart, LineChart, Paragraph, Point, Section, Table
from wardround.cli.report.numbers import MEANINGS, TITLES
from wardround.cli.report.seen import number
from wardround.metrics.registry import LOSS_DIFFERENCE
from wardround.plans.model import compared
from wardround.wire.outcome import OwnMetric, OwnOutcome

MEASURED = ("loss", "auc")
WORDS: dict[OwnOutcome, str] = {
    "Better": "On this hospital's people, the model is better than the reference. The difference is beyond chance.",
    "Worse": "On this hospital's people, the model is worse than the reference. The difference is beyond chance.",
    "Undecided": "On this hospital's people, neither model is shown to be better: the difference may be chance.",
    "TooFewPeople": "There is no verdict, because one class has too few people.",
}
FEW = (
    "This hospital has no numbers of this model: no task has measured it yet, or a class has fewer people in the "
    "measured rows than policy.minCell of the Site."
)


def section(group: Group, position: int) -> Section:
    """`position`: of the group in the report."""
    measured = [each for each in group.tasks if each.task.status.metrics]
    blocks: list[Block] = [Paragraph(_versions(group))] if _versions(group) else []
    if not measured:
        blocks.append(Paragraph(FEW))
    else:
        blocks += [chart for name in MEASURED if (chart := _line(measured, name, group.title)) is not None]
        blocks += [_newest(group), _every(measured, group.title)]
    blocks += _verdicts(group)
    title = group.title
    return Section(f"model-{position}", title[0].upper() + title[1:], tuple(blocks))


def _versions(group: Group) -> str:
    delivered = [each.asks.delivery.version for each in group.tasks if each.asks.delivery and each.complete]
    return (
        f"The newest version that a delivery has brought to this hospital is version {delivered[-1]}."
        if delivered
        else ""
    )


def _line(measured: Sequence[KnownTask], name: str, model: str) -> LineChart | None:
    """A metric on validation rows, task by task. Each model of a series is measured by the next Train task."""
    entries = [
        (each, metric)
        for each in measured
        if each.asks.task == "Train" and (metric := each.metric(name)) is not None and metric.rows == "Validation"
    ]
    points = [
        Point(_label(each), value, number(metric.low), number(metric.high))
        for each, metric in entries
        if (value := number(metric.value)) is not None
    ]
    if len(points) < 2:
        return None
    title = f"{TITLES[name]} on this hospital's validation rows, {model}"
    table = Table(
        title,
        ("model", "measured by", "value", "95 % interval", "people"),
        tuple((each.model, each.place, metric.value, _ends(metric), str(metric.people)) for each, metric in entries),
        numbers=("value", "people"),
    )
    caption = (
        f"{TITLES[name]} went from {entries[0][1].value} in the first task to {entries[-1][1].value} in the last one. "
        f"{MEANINGS[name]} The lines and the band show 95 % intervals. Each Train task measures the model from which "
        "the task starts."
    )
    return LineChart(title, caption, "Train task", TITLES[name], tuple(points), table)


def _label(each: KnownTask) -> str:
    """`2.3` for Train 3 of series 2."""
    series = each.asks.model
    return f"{series.series}.{series.round}" if series else each.at[5:10]


def _newest(group: Group) -> Table:
    """All numbers of the newest task that measured on each side of the split."""
    newest = {metric.rows: each for each in group.tasks for metric in each.task.status.metrics}
    rows = tuple(
        (metric.name, metric.rows, each.model, metric.value, _ends(metric), metric.better or "", str(metric.people))
        for each in newest.values()
        for metric in each.task.status.metrics
        if not metric.name.startswith(LOSS_DIFFERENCE)
    )
    return Table(
        f"All numbers of the newest measurement, over this hospital's own people, {group.title}",
        ("metric", "rows", "model", "value", "95 % interval", "better", "people"),
        rows,
        numbers=("value", "people"),
    )


def _every(measured: Sequence[KnownTask], model: str) -> Table:
    return Table(
        f"Log loss and AUC of every measurement that this site still holds, {model}",
        ("measured by", "model", "rows", "people", "log loss (95 % interval)", "AUC (95 % interval)"),
        tuple(_measurement(each) for each in measured),
        numbers=("people",),
    )


def _measurement(each: KnownTask) -> tuple[str, ...]:
    first = each.task.status.metrics[0]
    loss, auc = (each.metric(name) for name in MEASURED)
    return (each.place, each.model, first.rows, str(first.people), _text(loss), _text(auc))


def _verdicts(group: Group) -> Iterator[Block]:
    compared = [each for each in group.tasks if each.task.status.verdicts]
    if not compared:
        return
    yield Paragraph(
        "A verdict compares a model with a reference (another model) on this hospital's validation rows. If all "
        "models of a task are equally good, the probability that at least one verdict of the task still says Better or "
        "Worse is 1 %. A hospital's verdict does not decide which version becomes the current one."
    )
    columns = ("compared by", "model", "reference", "verdict", "meaning", "difference in log loss", "95 % interval")
    rows = tuple(
        (each.place, each.model, verdict.reference, verdict.outcome, WORDS[verdict.outcome], *_numbers(difference))
        for each in compared
        for verdict, difference in _differences(each)
    )
    yield Table(f"This hospital's own verdicts, {group.title}", columns, rows, numbers=("difference in log loss",))
    if points := [
        point for verdict, difference in _differences(compared[-1]) if (point := _point(verdict, difference))
    ]:
        yield _chart(compared[-1], points, group.title)


def _chart(each: KnownTask, points: Sequence[Point], model: str) -> IntervalChart:
    title = f"Difference in log loss on this hospital's people, newest comparison, {model}"
    rows = tuple((verdict.reference, *_numbers(difference)) for verdict, difference in _differences(each))
    table = Table(title, ("reference", "difference", "95 % interval"), rows, numbers=("difference",))
    caption = (
        f"Each line shows the log loss of the model of {each.place} minus the log loss of a reference (another "
        f"model). Left of zero, the model of {each.place} is better, because its log loss is lower. If the 95 % "
        "interval contains zero, either model may be the better one."
    )
    return IntervalChart(title, caption, "difference in log loss", tuple(points), table)


def _differences(each: KnownTask) -> list[tuple[OwnVerdict, OwnMetric | None]]:
    """Each verdict with the number that it is about."""
    verdicts = each.task.status.verdicts
    return [(verdict, each.metric(f"{LOSS_DIFFERENCE}{place}")) for place, verdict in enumerate(verdicts, 1)]


def _point(verdict: OwnVerdict, difference: OwnMetric | None) -> Point | None:
    value = number(difference.value) if difference else None
    if difference is None or value is None:
        return None
    return Point(f"minus {verdict.reference}", value, number(difference.low), number(difference.high))


def _numbers(metric: OwnMetric | None) -> tuple[str, str]:
    return (metric.value, _ends(metric)) if metric else ("", "")


def _ends(metric: OwnMetric) -> str:
    if metric.name.startswith(LOSS_DIFFERENCE):
        return compared.ends(metric.low, metric.high)
    return f"{metric.low} to {metric.high}" if metric.low is not None and metric.high is not None else ""


def _text(metric: OwnMetric | None) -> str:
    if metric is None:
        return ""
    return f"{metric.value} ({_ends(metric)})" if _ends(metric) else metric.value
