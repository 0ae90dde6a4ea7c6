"""Sections with a model's numbers: convergence, versions beside each other, and calibration. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wardround.api.federatedmodel import SeriesRound
from wardround.api.federatedround import FederatedRound, ResultDifference, ResultMetric
from wardround.api.modelversion import ModelVersion
from wardround.cli.model_objects import task_and_number
from wardround.cli.report.document import (
    Block,
    CalibrationChart,
    Facts,
    Group,
    IntervalChart,
    LineChart,
    Paragraph,
    Point,
    Section,
    Table,
)
from wardround.cli.report.seen import ReportInput, number
from wardround.cli.shared_numbers import FEWEST_HOSPITALS
from wardround.plans.model import compared
from wardround.plans.model.versions import without_numbers

TITLES = {"loss": "Log loss", "auc": "AUC"}
MEANINGS = {
    "loss": "Lower is better.",
    "auc": "AUC is the probability that a positive person gets a higher prediction than a negative one. Higher is "
    "better. Guessing gives 0.5.",
}
SEVERAL = (
    "The curve goes over several series: the label 2.3 means Train round 3 of series 2. The hub operator deletes old "
    "rounds, so the curve has only some rounds of earlier series. The numbers of two series can be over different "
    "people. The gate compares versions on the same people."
)
OVER = ("people", "hospitals", "rows")


def convergence(seen: ReportInput) -> Section:
    """The loss and the AUC of the model of each Train round, over all series that the hub still knows."""
    known = {name: _measured_rounds(seen, name) for name in ("loss", "auc")}
    charts = [_line(seen, name, measured) for name, measured in known.items() if measured]
    nothing = (
        f"No series has a loss or AUC to show: a number in this report covers at least {FEWEST_HOSPITALS} hospitals."
    )
    several = any(map(_is_of_several, known.values()))
    texts = [Paragraph(SEVERAL)] if several else [] if charts else [Paragraph(nothing)]
    return Section("convergence", "How the model improved", (*texts, *charts))


# The number of the series, the round, and the number of its model.
Measured = tuple[int, SeriesRound, ResultMetric]


def _measured_rounds(seen: ReportInput, name: str) -> list[Measured]:
    measured = seen.model.course()
    return [
        (series, each, metric)
        for series, each in seen.model.trained()
        if (metric := measured.get(each.name, {}).get(name)) is not None
    ]


def _is_of_several(entries: Sequence[Measured]) -> bool:
    return len({series for series, _, _ in entries}) > 1


def _line(seen: ReportInput, name: str, entries: Sequence[Measured]) -> LineChart:
    several, best = _is_of_several(entries), _best(seen)
    points = [
        Point(
            f"{series}.{each.number}" if several else str(each.number),
            value,
            number(metric.low),
            number(metric.high),
            each.name in best,
        )
        for series, each, metric in entries
        if (value := number(metric.value)) is not None
    ]
    title = f"{TITLES[name]} of the model after each Train round"
    title += "" if several else f" of series {entries[0][0]}"
    place = "series {}, {}" if several else "{1}"
    table = Table(
        title,
        ("round", "value", "95 % interval", *OVER),
        tuple(
            (place.format(series, task_and_number(each)), metric.value, ends(metric), *over(metric))
            for series, each, metric in entries
        ),
        numbers=("value", "people", "hospitals"),
    )
    first, last = entries[0][2], entries[-1][2]
    caption = (
        f"{TITLES[name]} went from {first.value} after the first measured round to {last.value} after the last one. "
        f"{MEANINGS[name]} The lines and the band show 95 % intervals. A Train round measures the model from which it "
        "starts, so a later round has measured the model that it made."
    )
    marked = ""
    if any(each.marked for each in points):
        marked = " In each series, the filled" if several else " The filled"
        marked += " point marks the round whose model has the lowest log loss."
    horizontal = "series.Train round" if several else "Train round"
    return LineChart(title, caption + marked, horizontal, TITLES[name], tuple(points), table)


def _best(seen: ReportInput) -> set[str]:
    """The round with the lowest loss of each series: the one of its version, and of the newest series as far as it
    is."""
    series = seen.model.model.status.series
    made = {each.spec.round_name for each in seen.model.versions if series and each.spec.series != series.number}
    return {*made, *([series.best] if series and series.best else [])}


def comparison(seen: ReportInput) -> Section:
    """The current version beside the candidate and earlier ones, and what the gate says."""
    versions = seen.shown_versions()
    if not versions:
        text = "There is no version yet: this FederatedModel gets its first version when its first series ends."
        return Section("versions", "Current version and candidate", (Paragraph(text),))
    blocks = [
        _measured(seen, versions),
        *_unmeasured(seen, versions),
        *_tested(seen, versions),
        *_verdicts(seen, versions),
        *_newest_differences(seen),
    ]
    return Section("versions", "Current version and candidate", tuple(blocks))


def _measured(seen: ReportInput, versions: Sequence[ModelVersion]) -> Block:
    """The versions beside each other, metric by metric."""
    measured = [(each, metric) for each in versions for metric in each.status.metrics]
    if not measured:
        return Paragraph(
            f"No version has a number to show: a number in this report covers at least {FEWEST_HOSPITALS} hospitals."
        )
    names = list(dict.fromkeys(metric.name for _, metric in measured))
    return _versions_table(
        seen,
        "The versions with their metrics. The metrics come from the first round that measured each model",
        sorted(measured, key=lambda each: names.index(each[1].name)),
    )


def _unmeasured(seen: ReportInput, versions: Sequence[ModelVersion]) -> list[Block]:
    """Why versions have no metrics."""
    reasons = ((each, without_numbers(each)) for each in versions)
    facts = tuple((seen.role(each), f"{ready.reason}. {ready.message}") for each, ready in reasons if ready is not None)
    return [Paragraph("Versions that no round has measured:"), Facts(facts)] if facts else []


def _tested(seen: ReportInput, versions: Sequence[ModelVersion]) -> list[Block]:
    """The numbers about test rows, which chose no model."""
    tested = [(each, each.status.test) for each in versions if each.status.test is not None]
    measured = [(version, metric) for version, test in tested for metric in test.metrics]
    caption = (
        "The versions on test rows. The hub operator measures a version there once, when it becomes the current one. "
        "These numbers choose no version"
    )
    blocks: list[Block] = [_versions_table(seen, caption, measured)] if measured else []
    if without := tuple((seen.role(version), test.message) for version, test in tested if test.message):
        blocks += [Paragraph("Versions without numbers about test rows:"), Facts(without)]
    return blocks


def _versions_table(seen: ReportInput, caption: str, measured: Sequence[tuple[ModelVersion, ResultMetric]]) -> Table:
    return Table(
        caption,
        ("metric", "version", "value", "95 % interval", "better", *OVER),
        tuple(
            (metric.name, seen.role(version), metric.value, ends(metric), metric.better or "", *over(metric))
            for version, metric in measured
        ),
        numbers=("value", "people", "hospitals"),
    )


def _verdicts(seen: ReportInput, versions: Sequence[ModelVersion]) -> list[Block]:
    """What the gate says."""
    verdicts = tuple(
        (seen.role(each), f"{verdict.outcome} ({verdict.reason}). {verdict.message}".strip())
        for each in versions
        if (verdict := each.status.verdict) is not None
    )
    return [Paragraph("The verdict of the gate on each version:"), Facts(verdicts)] if verdicts else []


@dataclass(frozen=True)
class Compared:
    """A difference in the result of a round. `loss`: the log loss of the measured model on the people of the
    difference; empty if the result does not show it."""

    measured_by: str
    difference: ResultDifference
    loss: str


def comparisons(live: FederatedRound) -> list[Compared]:
    """What a round has compared."""
    result, name = live.status.result, live.metadata.name
    return [Compared(name, each, compared.own_loss(result, each)) for each in result.differences] if result else []


def _newest_differences(seen: ReportInput) -> list[Block]:
    measured = [made for each in seen.model.rounds if (made := comparisons(each))]
    if not measured:
        return []
    newest = measured[-1]
    title = "Difference in log loss on the same people"
    return [difference_chart(title, f"round {newest[0].measured_by}", newest, seen.model.model_name)]


def difference_chart(
    title: str, measured_by: str, measured: Sequence[Compared], model_name: Callable[[str], str]
) -> IntervalChart:
    """`measured_by`: the rounds that compared the models. `model_name`: what people call the model of a round."""
    table = Table(
        f"{title}, measured by {measured_by}",
        ("model", "loss of the model", "reference", "loss of the reference", "difference", "95 % interval", *OVER),
        tuple(
            (
                *(model_name(each.model), shown.loss, model_name(each.reference), each.reference_loss or ""),
                *(each.value, compared.ends(each.low, each.high), *over(each)),
            )
            for shown in measured
            for each in (shown.difference,)
        ),
        numbers=("loss of the model", "loss of the reference", "difference", "people", "hospitals"),
    )
    differences = [each.difference for each in measured]
    points = tuple(
        Point(
            f"{model_name(each.model)} minus {model_name(each.reference)}",
            value,
            number(each.low),
            number(each.high),
        )
        for each in differences
        if (value := number(each.value)) is not None
    )
    caption = (
        "Each line shows the log loss of the first model of a pair minus the log loss of the second one. Left of "
        "zero, the first model is better, because its log loss is lower. If the 95 % interval contains zero, either "
        "model may be the better one. Compare two models by these numbers: the other numbers of two models can be over "
        "different people."
    )
    return IntervalChart(title, caption, "difference in log loss", points, table)


def calibration(seen: ReportInput) -> Section:
    """Predicted probabilities against observed shares, of the current version and the candidate."""
    versions = [each for each in (seen.model.current, seen.model.candidate) if each and each.status.calibration]
    if not versions:
        text = (
            "No version has a calibration curve to show: a curve covers several hospitals, and each of its groups "
            "needs enough people."
        )
        return Section("calibration", "Calibration", (Paragraph(text),))
    table = Table(
        "Groups of people by predicted probability",
        ("version", "predicted from", "predicted to", "observed share", "people"),
        tuple(
            (seen.role(each), group.low, group.high, group.observed, str(group.people))
            for each in versions
            for group in each.status.calibration
        ),
        numbers=("predicted from", "predicted to", "observed share", "people"),
    )
    curves = tuple(
        (
            seen.role(each),
            tuple(
                Group(low, high, observed)
                for group in each.status.calibration
                if (low := number(group.low)) is not None
                and (high := number(group.high)) is not None
                and (observed := number(group.observed)) is not None
            ),
        )
        for each in versions
    )
    caption = (
        "Each point is a group of people with similar predictions. On the diagonal, the observed share of positive "
        "people equals the predicted probability. Above the diagonal, the predicted probabilities are too low. Below "
        "the diagonal, they are too high."
    )
    chart = CalibrationChart("Predicted probability and observed share, on validation rows", caption, curves, table)
    return Section("calibration", "Calibration", (chart,))


def ends(number: ResultMetric) -> str:
    return f"{number.low} to {number.high}" if number.low is not None and number.high is not None else ""


def over(number: ResultMetric | ResultDifference) -> tuple[str, str, str]:
    return str(number.people), str(number.hospitals), number.rows
