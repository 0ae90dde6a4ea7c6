"""Builds the document of a model's report from typed objects. Pure."""

from wardround.api.conditions import find_true
from wardround.api.federatedmodel import SeriesStatus
from wardround.api.times import to_seconds
from wardround.cli.model_objects import interval
from wardround.cli.report import card, course, numbers, own_models, signed_card
from wardround.cli.report.document import Document, Facts
from wardround.cli.report.seen import ReportInput


def _stage(series: SeriesStatus, rounds: int) -> str:
    began = f"number {series.number} (trigger: {series.trigger})"
    return f"{began}, {series.stage}, round {series.round} of at most {rounds}"


def document(seen: ReportInput) -> Document:
    """The whole report. A single hospital's own numbers never stand in it."""
    model = seen.model
    series, current = model.model.status.series, model.current
    metrics = {each.name: interval(each) for each in current.status.metrics} if current else {}
    stalled = find_true(model.model.status.conditions, "Stalled")
    facts = (
        ("current version", str(current.spec.version) if current else "none yet"),
        ("log loss of the current version", metrics.get("loss", "")),
        ("AUC of the current version", metrics.get("auc", "")),
        ("series", _stage(series, model.model.spec.series.rounds) if series else "none yet"),
        ("waits for people", f"{stalled.reason}: {stalled.message}" if stalled else ""),
        ("next series", model.model.status.next.at if model.model.status.next else ""),
        ("left out", "numbers of single hospitals" if seen.hidden else ""),
        ("written", f"{to_seconds(seen.now)}, from the objects of the hub's API server"),
    )
    sections = (
        numbers.convergence(seen),
        numbers.comparison(seen),
        own_models.own_models(seen),
        numbers.calibration(seen),
        course.participation(seen),
        course.times(seen),
        course.data_quality(seen),
        signed_card.signed_card(seen.signed, seen) if seen.signed else card.card(seen),
    )
    shown = Facts(tuple((name, value) for name, value in facts if value))
    return Document(f"Model {model.name}", shown, sections)
