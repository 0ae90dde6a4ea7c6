"""Rules of a round that starts from the result of another one."""

from datetime import datetime, timedelta

from wardround.api import conditions, federatedmodel
from wardround.api.federatedround import FederatedRound, base_name, base_version
from wardround.api.meta import controller
from wardround.api.times import parse_time, to_seconds
from wardround.plans.round.columns import base_differs
from wardround.plans.round.rulings import advice, failed
from wardround.plans.round.types import Ruling, StoredModel
from wardround.plans.round.view import View
from wardround.reasons.registry import REASONS

# No event of a ModelVersion wakes the rounds that wait for it.
PUSH_WAIT = timedelta(seconds=10)


def base_not_ready(view: View) -> Ruling | None:
    """A round waits for the round that it starts from, as long as that one may still complete."""
    name = base_name(view.round)
    if base_version(view.round) is not None:
        return base_lost(view) if view.dispatched else _no_pushed_version(view)
    if name is None:
        return None
    if view.dispatched:
        return base_lost(view)
    if view.round.metadata.name in view.seen.waits_for:
        circle = " waits for ".join((view.round.metadata.name, *view.seen.waits_for))
        return failed(view, "BaseCycle", f"{circle}. {advice('BaseCycle')}")
    if view.seen.base is None and view.seen.base_model is None:
        return _no_base(view, name)
    return _unfit_base(view, name) or _base_under_way(view, name) or base_lost(view)


def base_lost(view: View) -> Ruling | None:
    """Without a result that the hub can open, no hospital is asked and no update is combined."""
    base = described_base(view.round)
    if not base or view.seen.base_model is not None:
        return None
    return failed(view, "BaseLost", f"The hub has no key that opens {base}. {advice('BaseLost')}")


def named_base(federated_round: FederatedRound) -> str:
    """The object that a round starts from, for sentences; empty without one."""
    if version := base_version(federated_round):
        return f"ModelVersion {version}"
    name = base_name(federated_round)
    return f"round {name}" if name else ""


def described_base(federated_round: FederatedRound) -> str:
    """The model or the sums that a round starts from, for sentences; empty without one."""
    named = named_base(federated_round)
    return f"the result of {named}" if base_name(federated_round) else named


def _no_pushed_version(view: View) -> Ruling | None:
    """A pushed version may still come: tools apply many objects in any order, and a push takes a moment."""
    if view.seen.base_model is not None:
        return None
    until, reason = applied_until(view), "PushedVersionNotFound"
    message = (
        f"Namespace {view.round.metadata.namespace} has no ModelVersion {base_version(view.round)} that was pushed. "
        f"{advice(reason)}"
    )
    if view.seen.now >= until:
        return failed(view, reason, message)
    waits = f"{message} The round waits until {to_seconds(until)}, and then fails."
    times = (until, view.seen.now + PUSH_WAIT)
    return Ruling(course="Stalled", reason=reason, message=waits, requeue_at=times)


def _unfit_base(view: View, name: str) -> Ruling | None:
    """A base that has failed, that somebody has replaced, or that is a round of another task, will never do."""
    base, model = view.seen.base, view.seen.base_model
    if base is not None and conditions.is_true(base.status.conditions, "Failed"):
        return failed(
            view,
            "BaseFailed",
            f"Round {name} has failed, so this round has nothing to start from. {advice('BaseFailed')}",
        )
    if not of_the_same_model(view, base, model):
        message = f"Round {name} is not a round of the FederatedModel of this round."
        return failed(view, "BaseReplaced", f"{message} {model_advice(view, 'BaseReplaced')}")
    needed = "Train" if view.round.spec.base else "Statistics"
    task = base.spec.task if base is not None else model.task if model else ""
    if task == needed:
        return None
    return failed(
        view,
        "BaseTaskDiffers",
        f"The task of round {name} is {task}. This round needs a {needed} round. {advice('BaseTaskDiffers')}",
    )


def model_uid(federated_round: FederatedRound) -> str:
    """UID of the FederatedModel that controls a round; empty if a person has made the round."""
    owner = controller(federated_round.metadata, federatedmodel.KIND)
    return owner.uid if owner is not None else ""


def model_advice(view: View, reason: str) -> str:
    """The advice of a round that a FederatedModel controls."""
    owner, namespace = controller(view.round.metadata, federatedmodel.KIND), view.round.metadata.namespace
    return REASONS[reason].about(federation=namespace, model=owner.name if owner else "").advice


def of_the_same_model(view: View, other: FederatedRound | None, result: StoredModel | None) -> bool:
    """Whether this round may use the result of the other one, of which the result alone may be left.

    A FederatedModel uses only results of its own rounds, and finds them by name. A person who may create rounds can
    delete one of these rounds and put another one in its place.
    """
    own = model_uid(view.round)
    if not own or (other is None and result is None):
        return True
    return own == (model_uid(other) if other is not None else result.model_uid if result else "")


def _base_under_way(view: View, name: str) -> Ruling | None:
    base = view.seen.base
    if base is None or conditions.is_true(base.status.conditions, "Complete"):
        return None
    return Ruling(
        course="Progressing",
        reason="WaitingForBase",
        message=f"This round waits until round {name} is Complete, because it starts from that round's result.",
    )


def _no_base(view: View, name: str) -> Ruling:
    """The base may still be applied: tools apply many objects in any order. The base of a round that a FederatedModel
    controls was there before, and nobody can make it again."""
    if model_uid(view.round):
        message = f"Somebody deleted round {name}, whose result this round needs. {model_advice(view, 'BaseGone')}"
        return failed(view, "BaseGone", message)
    until = applied_until(view)
    if view.seen.base_deleted:
        reason = "BaseUnusable"
        message = (
            f"Somebody deleted round {name} before this round was applied. The hub keeps the deleted round's result "
            f"only for rounds that were applied before the deletion. {advice(reason)}"
        )
    else:
        reason = "BaseNotFound"
        message = (
            f"Namespace {view.round.metadata.namespace} has no FederatedRound {name}. A round can start only from a "
            f"round of its own namespace. {advice(reason)}"
        )
    if view.seen.now >= until:
        return failed(view, reason, message)
    waits = f"{message} The round waits until {to_seconds(until)}, and then fails."
    return Ruling(course="Stalled", reason=reason, message=waits, requeue_at=(until,))


def applied_until(view: View) -> datetime:
    """Until when a round waits for objects that it names but that do not exist yet: tools apply many objects in any
    order."""
    created = parse_time(view.round.metadata.creation_timestamp)
    return created + timedelta(seconds=view.round.spec.deadlines.admission_seconds)


def schema_not_ready(view: View) -> Ruling | None:
    """A round waits for its DataSchema. Neither of the two can change, so a DataSchema that is wrong stays wrong."""
    if view.seen.schema_fault:
        return failed(view, "RoundSchemaInvalid", f"{view.seen.schema_fault}. {advice('RoundSchemaInvalid')}")
    if view.seen.schema is None:
        until = applied_until(view)
        name, namespace = view.round.spec.schema_name, view.round.metadata.namespace
        message = f"Namespace {namespace} has no DataSchema {name}. {advice('RoundSchemaNotFound')}"
        if view.seen.now >= until:
            return failed(view, "RoundSchemaNotFound", message)
        waits = f"{message} The round waits until {to_seconds(until)}, and then fails."
        return Ruling(course="Stalled", reason="RoundSchemaNotFound", message=waits, requeue_at=(until,))
    if base_differs(view.seen):
        reason = "SchemaDiffersFromBase"
        return failed(
            view,
            reason,
            f"DataSchema {view.round.spec.schema_name} has other columns than {described_base(view.round)}. "
            f"{advice(reason)}",
        )
    return None
