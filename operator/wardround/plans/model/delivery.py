"""Decides when the current version of a model is delivered, and what the status says of the delivery. Pure.

Each change of the current version is a delivery of its own, with a FederatedRound of the task Deliver. The status names
that round before the round is created. If somebody deletes the round, the hub operator delivers the version again.
"""

from dataclasses import replace

from wardround.api import conditions
from wardround.api.conditions import Condition
from wardround.api.federatedmodel import DeliveryStatus, FederatedModelStatus
from wardround.plans.model import series as rounds
from wardround.plans.model.types import CreateDelivery, Observation, SuspendRound
from wardround.plans.round.status import is_over
from wardround.reasons.registry import REASONS

DELIVERED = "Delivered"
Action = CreateDelivery | SuspendRound


def named(seen: Observation, made: FederatedModelStatus) -> FederatedModelStatus:
    """The status with the delivery that is due, if one is."""
    spec, before, current = seen.model.spec, made.delivery, made.current
    if spec.deliver.recipients == "Nobody" or spec.suspend or current is None or current not in seen.versions:
        return made
    if before is not None and before.version == current:
        return made
    number = before.number + 1 if before else 1
    delivery = DeliveryStatus(number=number, version=current, round=rounds.delivery_name(seen.model.metadata, number))
    return replace(made, delivery=delivery)


def actions(seen: Observation) -> tuple[Action, ...]:
    """What to do about the delivery that the status names already."""
    spec, delivery = seen.model.spec, seen.model.status.delivery
    if delivery is None:
        return ()
    live = seen.delivery
    if live is None:
        version = seen.versions.get(delivery.version)
        wanted = spec.deliver.recipients == "Participants" and not spec.suspend
        wanted = wanted and delivery.version == seen.model.status.current
        return (CreateDelivery(name=delivery.round, version=version),) if version and wanted else ()
    if is_over(live) or live.spec.suspend == spec.suspend or not rounds.controls(seen.model.metadata, live.metadata):
        return ()
    return (SuspendRound(name=live.metadata.name, suspend=spec.suspend),)


def condition(seen: Observation, made: FederatedModelStatus) -> FederatedModelStatus:
    """The status with the condition `Delivered`, once there is a delivery."""
    delivery = made.delivery
    if delivery is None:
        return made
    holds, reason, message = _outcome(seen, delivery, delivery == seen.model.status.delivery)
    known = conditions.set_condition(
        made.conditions,
        DELIVERED,
        holds,
        reason,
        message,
        now=seen.now,
        generation=seen.model.metadata.generation,
    )
    return replace(made, conditions=known)


def _outcome(seen: Observation, delivery: DeliveryStatus, is_observed: bool) -> tuple[bool, str, str]:
    """Whether the version is delivered, reason and message. `is_observed`: whether its round is `seen.delivery`."""
    live, spec = seen.delivery if is_observed else None, seen.model.spec
    if live is None:
        if spec.deliver.recipients == "Nobody":
            return False, "DeliveryOff", ""
        when = " once spec.suspend is false" if spec.suspend else ""
        return False, "Delivering", f"The hub operator makes round {delivery.round}{when}."
    if not rounds.controls(seen.model.metadata, live.metadata):
        message = f"FederatedRound {delivery.round} exists, but does not belong to this model."
        return False, "NameTaken", f"{message} {REASONS['NameTaken'].advice}"
    complete, failed = (conditions.find(live.status.conditions, kind) for kind in ("Complete", "Failed"))
    if _holds(complete):
        return True, "DeliveryComplete", complete.message if complete else ""
    where = f"federatedround/{delivery.round} -n {seen.model.metadata.namespace}"
    if _holds(failed):
        why = f" ({failed.reason})" if failed else ""
        message = f"Round {delivery.round} has failed{why}. Read why: `kubectl wardround explain {where}`."
        return False, "DeliveryFailed", f"{message} {REASONS['DeliveryFailed'].advice}"
    return False, "Delivering", f"Round {delivery.round} waits or runs: `kubectl wardround explain {where}`."


def _holds(condition: Condition | None) -> bool:
    return condition is not None and condition.status == "True"
