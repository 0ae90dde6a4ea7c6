"""Which updates an aggregation is given, and up to which numbers it counts them. Pure."""

from collections.abc import Sequence

from wardround.api.roundtask import RoundTask
from wardround.plans.round.types import Aggregation, Observation
from wardround.sealing import untrusted
from wardround.wire.collected import ClosedList, closed_digest, identity


def update_identity(seen: Observation, task: RoundTask) -> str:
    """The identity of the update of a task, as the aggregation Job computes it."""
    name = task.metadata.namespace
    site, update = seen.participants[name].status.site, task.status.update
    signing = site.keys.signing if site and site.keys else ""
    key = untrusted.decode(signing, "KeyUnusable")
    return identity(name, task.spec.attempt, update.manifest if update else "", key)


def attempt(task: RoundTask) -> str:
    """Names a hospital's attempt in the note of the updates that an aggregation is given. Not by what the hospital has
    sent: it can write that again and again, and each time the update would seem to have arrived since."""
    return f"{task.metadata.namespace}/{task.spec.attempt}"


def given_until(job: Aggregation | None) -> frozenset[str]:
    """The attempts that this try or an earlier one was given."""
    return job.earlier | (job.given or frozenset()) if job else frozenset()


def max_samples(seen: Observation, tasks: Sequence[RoundTask]) -> dict[str, int]:
    """By participant, of those whose limit the hub's administrator has set."""
    participants = (task.metadata.namespace for task in tasks)
    limits = {name: seen.participants[name].spec.max_samples for name in participants}
    return {name: limit for name, limit in limits.items() if limit is not None}


def closed_list(seen: Observation, tasks: Sequence[RoundTask]) -> ClosedList:
    """What the last page says if the updates of these tasks count."""
    return ClosedList(tuple(update_identity(seen, task) for task in tasks), max_samples(seen, tasks))


def counted_digest(seen: Observation, tasks: Sequence[RoundTask]) -> str:
    """The digest that the answer of the Job has if the Job has read this last page."""
    return closed_digest(closed_list(seen, tasks))
