"""Decides when the current version of a model is delivered, and what the status says of the delivery. Pure.

Each change of the current version is a delivery of its own, with a FederatedRound of the task Deliver. The status names
that round before the round is created. Hospitals that join later get the current version by a delivery of their own. If
somebody deletes the round, the hub operator delivers the version again. A round that still runs when another version
becomes the current one is deleted: a hospital must not get its version after the other one. So is a round whose version
somebody has deleted: people delete a bad version so that nobody gets it.
"""

from dataclasses import replace

from wardround.api import conditions, federatedround
from wardround.api.conditions import Condition
from wardround.api.federatedmodel import DeliveryStatus, FederatedModel, FederatedModelStatus
from wardround.api.federatedround import FederatedRound
from wardround.plans.model import series as rounds
from wardround.plans.model.suspension import once_resumed
from wardround.plans.model.types import CreateDelivery, Delete, Observation, SuspendRound
from wardround.plans.round.status import is_over
from wardround.reasons.registry import REASONS

DELIVERED = "Delivered"
# As many as a round can name.
MOST_HOSPITALS = 512
Action = CreateDelivery | SuspendRound | Delete


def is_wanted(model: FederatedModel) -> bool:
    return model.spec.deliver.recipients == "Participants" and not model.spec.suspend


def asks_whom(model: FederatedModel) -> bool:
    """Whether the status does not say yet which hospitals its delivery asks."""
    delivery = model.status.delivery
    return delivery is not None and not delivery.recipients and not delivery.asked


def is_under_way(seen: Observation, made: FederatedModelStatus) -> bool:
    """Whether the round of the newest delivery is still to be made or to end. `made`: the status with that delivery."""
    before, delivery = seen.model.status.delivery, made.delivery
    if not is_wanted(seen.model) or delivery is None:
        return False
    live = seen.delivery if before is not None and before.number == delivery.number else None
    return delivery.version not in seen.gone if live is None else not is_over(live)


def named(seen: Observation, made: FederatedModelStatus) -> FederatedModelStatus:
    """The status with the delivery that is due, if one is."""
    before, current = made.delivery, made.current
    if not is_wanted(seen.model) or current is None or current not in seen.versions or current in seen.gone:
        return made
    if before is None or before.version != current:
        number = before.number + 1 if before else 1
        return replace(made, delivery=_delivery(seen, number, current))
    return replace(made, delivery=_to_all_again(seen, before) or _to_new_hospitals(seen, before))


def _delivery(seen: Observation, number: int, version: str) -> DeliveryStatus:
    return DeliveryStatus(number=number, version=version, round=rounds.delivery_name(seen.model.metadata, number))


def _to_all_again(seen: Observation, before: DeliveryStatus) -> DeliveryStatus | None:
    """If people delete a Deliver round that was over, they want another one to all hospitals."""
    if seen.delivery is not None or not _was_over(before):
        return None
    return replace(before, recipients=(), asked=(), complete=False)


def _was_over(delivery: DeliveryStatus) -> bool:
    """Whether the status was written when the round of the delivery was over."""
    return bool(delivery.asked) and {*delivery.recipients} <= {*delivery.asked}


def _to_new_hospitals(seen: Observation, before: DeliveryStatus) -> DeliveryStatus:
    """Once a delivery is over, hospitals that no delivery of this version has asked get one of their own."""
    live = seen.delivery
    if live is None or not is_over(live) or not rounds.controls(seen.model.metadata, live.metadata):
        return before
    asked, new = _asked(seen, before), new_hospitals(seen)
    if not new:
        return replace(before, asked=tuple(asked[:MOST_HOSPITALS]))
    complete = before.complete or conditions.is_true(live.status.conditions, "Complete")
    following = _delivery(seen, before.number + 1, before.version)
    return replace(following, recipients=tuple(new), asked=tuple(asked), complete=complete)


def new_hospitals(seen: Observation) -> list[str]:
    """The hospitals that may get the version and that no delivery of it has asked, as many as a round can name. None as
    long as no delivery has asked anybody."""
    delivery = seen.model.status.delivery
    asked = _asked(seen, delivery) if delivery is not None else []
    return sorted(seen.receivers.difference(asked))[: max(0, MOST_HOSPITALS - len(asked))] if asked else []


def _asked(seen: Observation, delivery: DeliveryStatus) -> list[str]:
    return sorted({*delivery.asked, *delivery.recipients, *seen.asked})


def actions(seen: Observation, made: FederatedModelStatus) -> tuple[Action, ...]:
    """What to do about the delivery that the status names already. `made`: the status of this plan."""
    spec, delivery = seen.model.spec, seen.model.status.delivery
    if delivery is None:
        return ()
    live = seen.delivery
    if live is None:
        version = seen.versions.get(delivery.version)
        if version is None or not is_wanted(seen.model) or delivery.version != made.current:
            return ()
        if delivery.version in seen.gone:
            return ()  # The round would fail at once.
        if _was_over(delivery):
            return ()  # First the status says that all hospitals are asked again.
        return (CreateDelivery(name=delivery.round, version=version, recipients=delivery.recipients),)
    if is_over(live) or not rounds.controls(seen.model.metadata, live.metadata):
        return ()
    if made.current != delivery.version or delivery.version not in seen.versions:
        # A finalizer of somebody else can keep a round that is being deleted.
        if live.metadata.deletion_timestamp is not None:
            return ()
        return (Delete(kind=federatedround.KIND, name=live.metadata.name, uid=live.metadata.uid),)
    if live.spec.suspend == spec.suspend:
        return ()
    return (SuspendRound(name=live.metadata.name, suspend=spec.suspend),)


def condition(seen: Observation, made: FederatedModelStatus) -> FederatedModelStatus:
    """The status with the condition `Delivered`, once there is a delivery."""
    delivery = made.delivery
    if delivery is None:
        return made
    before = seen.model.status.delivery
    live = seen.delivery if before is not None and before.number == delivery.number else None
    holds, reason, message = _outcome(seen, delivery, live, made.current or "")
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


def _outcome(
    seen: Observation, delivery: DeliveryStatus, live: FederatedRound | None, current: str
) -> tuple[bool, str, str]:
    """Whether the current version is delivered, reason and message. `live`: the round of the delivery."""
    is_delivered_now = delivery.version == current
    if seen.model.spec.deliver.recipients == "Nobody" and (live is None or not is_delivered_now):
        return False, "DeliveryOff", ""
    if not is_delivered_now:
        return False, *_to_come(seen, delivery, current)
    if live is not None and not rounds.controls(seen.model.metadata, live.metadata):
        message = (
            f"The hub operator cannot deliver the version by FederatedRound {delivery.round}, because this name is "
            "taken by a round that does not belong to this FederatedModel."
        )
        return False, "NameTaken", f"{message} {REASONS['NameTaken'].advice}"
    complete = _holding(live, "Complete")
    if complete is not None:
        return True, "DeliveryComplete", complete.message
    reason, message = _incomplete(seen, delivery, live)
    if reason == "DeliveryFailed":
        message = f"{message} {REASONS[reason].advice}"
    if delivery.complete:
        return True, "DeliveryComplete", f"{_joined(delivery)} {message}"
    return False, reason, message


def _to_come(seen: Observation, delivery: DeliveryStatus, current: str) -> tuple[str, str]:
    """Reason and message while the round that delivers the current version is to be made. As long as the model is
    suspended, the status names no round for a version that became the current one meanwhile."""
    version = seen.versions.get(current)
    if version is None:
        return _lost(seen, "VersionGone", current)
    if current in seen.gone:
        return _lost(seen, "VersionRoundGone", current)
    if delivery.version == current:
        makes = f"the hub operator makes round {delivery.round}, which delivers the version"
    else:
        makes = f"the hub operator makes a round that delivers version {version.spec.version}"
    return "Delivering", once_resumed(makes, suspended=seen.model.spec.suspend)


def _lost(seen: Observation, reason: str, version: str) -> tuple[str, str]:
    """Reason and message if nobody can deliver the version any more."""
    meta = seen.model.metadata
    known = REASONS[reason].about(federation=meta.namespace, model=meta.name)
    return reason, f"No round delivers ModelVersion {version}. {known.text}"


def _incomplete(seen: Observation, delivery: DeliveryStatus, live: FederatedRound | None) -> tuple[str, str]:
    """Reason and message of a delivery of the current version whose round is to be made, runs or has failed."""
    if live is None or delivery.version not in seen.versions:
        return _to_come(seen, delivery, delivery.version)
    where = f"federatedround/{delivery.round} -n {seen.model.metadata.namespace}"
    failed = _holding(live, "Failed")
    if failed is not None and delivery.version in seen.gone:
        return _lost(seen, "VersionRoundGone", delivery.version)
    if failed is not None:
        return (
            "DeliveryFailed",
            f"The delivery of the version has failed: round {delivery.round} has failed ({failed.reason}). To see why: "
            f"`kubectl wardround explain {where}`.",
        )
    if seen.model.spec.suspend:
        return "Delivering", once_resumed(f"round {delivery.round} delivers the version", suspended=True)
    return (
        "Delivering",
        f"The delivery of the version is under way: round {delivery.round} waits or runs. To see how far it is: "
        f"`kubectl wardround explain {where}`.",
    )


def _joined(delivery: DeliveryStatus) -> str:
    return (
        f"Hospitals that joined later do not have the version yet: {', '.join(delivery.recipients)}. They get a "
        "Deliver round of their own."
    )


def _holding(live: FederatedRound | None, kind: str) -> Condition | None:
    """The condition of a round, if the round exists and the condition is true."""
    known = conditions.find(live.status.conditions, kind) if live is not None else None
    return known if known is not None and known.status == "True" else None
