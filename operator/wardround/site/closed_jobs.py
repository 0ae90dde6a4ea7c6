"""Asks for the plan of a Dataset or Prediction, and carries it out: its status first, then its Job. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from wardround.kube.errors import AlreadyExists, Forbidden, Invalid
from wardround.kube.events import Status
from wardround.plans import prediction, reading
from wardround.plans.closed_job import ClosedJobPlan
from wardround.ports import Object
from wardround.site.context import PodContext
from wardround.site.observe import take_control

StatusT = TypeVar("StatusT", bound=Status)
ObservationT = TypeVar("ObservationT", prediction.Observation, reading.Observation)


async def decide(
    context: PodContext, seen: ObservationT, plan: Callable[[ObservationT], ClosedJobPlan[StatusT]]
) -> tuple[ObservationT, ClosedJobPlan[StatusT]]:
    """The plan, and the observation that it was made from: with the positive control if the plan needs one."""
    planned = plan(seen)
    if planned.needs_control and seen.site is not None:
        seen = replace(seen, control=await take_control(context, seen.site))
        planned = plan(seen)
    return seen, planned


async def carry_out(
    context: PodContext,
    item: Object,
    before: StatusT,
    planned: ClosedJobPlan[StatusT],
    not_admitted: Callable[[str], ClosedJobPlan[StatusT]],
) -> float | None:
    """Returns `requeue_after`.

    `before`: the status of `item`. `not_admitted`: the plan after the API server has refused the Job with some words.
    Raises ApiError.
    """
    written = await context.reporter.write(item, before, planned.status)
    if planned.delete is not None:
        await context.own.delete("Job", planned.delete.name, uid=planned.delete.uid)
    if planned.create is None:
        return planned.requeue_after
    try:
        await context.own.create(planned.create)
    except AlreadyExists:
        return 0.0  # a Job of the name was made since: the next look sees it
    except (Forbidden, Invalid) as refusal:
        refused = not_admitted(str(refusal))
        await context.reporter.write(written or item, planned.status, refused.status)
        return refused.requeue_after
    return planned.requeue_after
