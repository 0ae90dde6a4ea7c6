"""Rules of an Evaluate round about the results with which it compares its model."""

from datetime import timedelta

from wardround.api import conditions
from wardround.api.times import parse_time, to_seconds
from wardround.plans.round.base import model_advice, model_uid, named_base, of_the_same_model
from wardround.plans.round.rulings import advice, failed
from wardround.plans.round.types import Reference, Ruling
from wardround.plans.round.view import View


def references_not_ready(view: View) -> Ruling | None:
    """A round waits for the rounds of spec.references, as long as each may still complete."""
    rulings = (_not_ready(view, each) for each in view.seen.references)
    return next((ruling for ruling in rulings if ruling is not None), None)


def _not_ready(view: View, reference: Reference) -> Ruling | None:
    if view.dispatched:
        return _lost(view, reference)
    if reference.round is None and reference.model is None:
        return _missing(view, reference)
    return _unfit(view, reference) or _under_way(reference) or _lost(view, reference) or _differs(view, reference)


def _missing(view: View, reference: Reference) -> Ruling:
    """The round may still be applied: tools apply many objects in any order. A FederatedModel names only rounds that
    were there, and nobody can make one of them again."""
    if model_uid(view.round):
        message = (
            f"Somebody deleted round {reference.name} of spec.references, with whose model this round compares its "
            f"model. {model_advice(view, 'ReferenceGone')}"
        )
        return failed(view, "ReferenceGone", message)
    created = parse_time(view.round.metadata.creation_timestamp)
    until = created + timedelta(seconds=view.round.spec.deadlines.admission_seconds)
    if reference.deleted:
        cause = (
            f"The round cannot compare its model: somebody deleted round {reference.name} of spec.references before "
            "this round was applied."
        )
    else:
        cause = (
            f"Namespace {view.round.metadata.namespace} has no FederatedRound {reference.name}. Each round in "
            "spec.references has to be in this namespace."
        )
    message = f"{cause} {advice('ReferenceNotFound')}"
    if view.seen.now >= until:
        return failed(view, "ReferenceNotFound", message)
    waits = f"{message} The round waits until {to_seconds(until)}, and then fails."
    return Ruling(course="Stalled", reason="ReferenceNotFound", message=waits, requeue_at=(until,))


def _unfit(view: View, reference: Reference) -> Ruling | None:
    """A round that has failed, that somebody has replaced, or that is of another task, will never do."""
    live = reference.round
    if live is not None and conditions.is_true(live.status.conditions, "Failed"):
        message = f"Round {reference.name} of spec.references has failed. {advice('ReferenceFailed')}"
        return failed(view, "ReferenceFailed", message)
    if not of_the_same_model(view, live, reference.model):
        message = (
            f"Round {reference.name} of spec.references is not a round of the FederatedModel of this round. "
            f"{model_advice(view, 'ReferenceReplaced')}"
        )
        return failed(view, "ReferenceReplaced", message)
    task = live.spec.task if live is not None else reference.model.task if reference.model else ""
    if task == "Train":
        return None
    message = f"The task of round {reference.name} of spec.references is {task}. {advice('ReferenceTaskDiffers')}"
    return failed(view, "ReferenceTaskDiffers", message)


def _under_way(reference: Reference) -> Ruling | None:
    if reference.round is None or conditions.is_true(reference.round.status.conditions, "Complete"):
        return None
    return Ruling(
        course="Progressing",
        reason="WaitingForReference",
        message=f"This round waits until round {reference.name} is Complete, because it compares its model with "
        "that round's model.",
    )


def _lost(view: View, reference: Reference) -> Ruling | None:
    if reference.model is not None:
        return None
    message = f"The hub has no key that opens the result of round {reference.name}. {advice('ReferenceLost')}"
    return failed(view, "ReferenceLost", message)


def _differs(view: View, reference: Reference) -> Ruling | None:
    """All models of a comparison have to mean the same by each value, and have to be trained on rows that were chosen
    by the same rules."""
    base, model = view.seen.base_model, reference.model
    if base is None or model is None or base.result.schema_digest == model.result.schema_digest:
        return None
    same_columns = base.result.columns_digest == model.result.columns_digest
    difference = "types, bounds, categories or required of a field" if same_columns else "columns"
    message = (
        f"The model of round {reference.name} of spec.references was trained with another DataSchema than the model of "
        f"the base, {named_base(view.round)}: their {difference} differ. {advice('ReferenceDiffers')}"
    )
    return failed(view, "ReferenceDiffers", message)
