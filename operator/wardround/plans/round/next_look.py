"""Decides when to look at a round again after its status was written. Pure."""

from dataclasses import replace

from wardround.api.federatedround import FederatedRound
from wardround.plans.round.plan import plan
from wardround.plans.round.types import Observation


def requeue_after_write(seen: Observation, written: FederatedRound) -> float | None:
    """In seconds, now that the status is `written`: at once if a look would do more. The controller hears nothing of
    its own write."""
    following = plan(replace(seen, round=written))
    return 0.0 if following.actions or following.status != written.status else following.requeue_after
