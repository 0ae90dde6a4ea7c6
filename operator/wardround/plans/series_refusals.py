"""Decides which tasks of a series the site's policy refuses, before people approve the series. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wardround.plans.approval import resources
from wardround.plans.assignment import BY_DIGEST, OF_POLICY, Acceptance, Terms, first_refusal
from wardround.plans.schedules import variants
from wardround.wire.assignment import AssignedModel, Assignment
from wardround.wire.compression import NONE


def refused_in_series(assignment: Assignment, terms: Terms) -> dict[str, Acceptance]:
    """The tasks of the assignment's series that the site's policy refuses, whatever people approve: by the kind of
    task, as the series names it, the first refusal. Empty if the assignment belongs to no series."""
    series, refusals = assignment.model, dict[str, Acceptance]()
    if series is None:
        return refusals
    for kind in series.tasks:
        for planned in _planned(assignment, series, kind):
            if refusal := first_refusal(OF_POLICY, planned, terms):
                refusals.setdefault(kind, refusal)
    return refusals


def _planned(assignment: Assignment, series: AssignedModel, task: str) -> Iterator[Assignment]:
    """What the tasks of this kind ask for: one for the beginning of the series, and one for each step of a schedule."""
    kind, *_ = task.split()
    named = BY_DIGEST.fullmatch(series.image)
    for parameters in variants(series.parameters, series.schedules):
        yield replace(
            assignment,
            task=kind,
            image=series.image,
            image_digest=named[1] if named else "",
            command=series.command,
            parameters=parameters,
            quorum=series.evaluation_quorum if kind == "Evaluate" else series.quorum,
            resources=resources(kind, series),
            compression=NONE,
            references=(),
        )
