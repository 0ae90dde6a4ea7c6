"""Decides what follows the status write of a model: no look, one at once, or one without the API server. Pure."""

from dataclasses import replace

from wardround.api.federatedmodel import FederatedModel
from wardround.plans.model import plan as model_plan
from wardround.plans.model import series as rounds
from wardround.plans.model.types import Observation, Plan


def next_look(seen: Observation, planned: Plan, written: FederatedModel) -> Observation | None:
    """What is known after a plan that has only named the next round of the series, with the model as `written`. None
    after other plans: these need a new look at the API server.

    A name that the status has not had before is free. If another object has it, the API server does not create the
    round, and the look after that sees why.
    """
    before, after = seen.model.status, written.status
    if planned.actions or after.series is None or after.series.stage in ("Comparing", "Ended"):
        return None
    if (after.delivery, after.testing) != (before.delivery, before.testing):
        return None
    known = {each.name for each in before.series.rounds} if before.series else set()
    if rounds.last(after.series).name in known:
        return None
    return replace(seen, model=written, round=None, absence=None, best=None, measuring=None, rounds={}, patients=None)


def requeue_after_write(seen: Observation, written: FederatedModel) -> float | None:
    """When to look again, now that the status is `written`: at once if a look would do more. The controller hears
    nothing of its own write."""
    following = model_plan.plan(replace(seen, model=written))
    return 0.0 if following.actions or following.status != written.status else following.requeue_after
