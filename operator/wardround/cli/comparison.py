"""Makes the Evaluate round that compares the models of two FederatedModels in pairs, on the same patients. Pure."""

from __future__ import annotations

from wardround.api import federatedround, names
from wardround.api.federatedmodel import FederatedModel
from wardround.api.federatedround import Base, FederatedRoundSpec
from wardround.api.meta import API_VERSION
from wardround.api.modelversion import ModelVersion
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects
from wardround.cli.objects import Object
from wardround.plans.schedules import scheduled
from wardround.wire import codec

# Fields that decide what a comparison measures.
COMPARED = ("task", "rows", "base", "references", "datasetName", "schemaName", "participants", "quorum")


def version(shown: ModelObjects) -> ModelVersion:
    """The current version of a model, or the newest one without a current version. Raises CommandError."""
    chosen = shown.current or (shown.versions[-1] if shown.versions else None)
    if chosen is None:
        meta = shown.model.metadata
        raise CommandError(
            f"Model {shown.name} has no version yet. To see how far the model is: kubectl wardround explain "
            f"federatedmodel/{meta.name} -n {meta.namespace}"
        )
    return chosen


def federated_round(one: ModelObjects, other: ModelObjects) -> Object:
    """The round that measures the version of `one`, with that of `other` as its reference. Its name comes from both
    rounds, so a repeated command measures nothing again: each comparison counts against the hospitals' budgets. Raises
    CommandError."""
    first, second = version(one), version(other)
    if first.spec.round_uid == second.spec.round_uid:
        raise CommandError(
            f"There is nothing to compare: both models are the result of round {first.spec.round_name}. Name two "
            "other models."
        )
    if differs := _differing(one.model, other.model):
        raise CommandError(
            f"The command cannot compare the models {one.name} and {other.name} on the same patients, because their "
            f"{differs} differs. Name two models with the same {differs}."
        )
    name = f"compare-{names.short(f'{first.spec.round_uid} {second.spec.round_uid}')}"
    return {
        "apiVersion": API_VERSION,
        "kind": federatedround.KIND,
        "metadata": {"name": name, "namespace": one.model.metadata.namespace},
        "spec": codec.dump(_spec(one.model, first, second)),
    }


def check(live: Object, planned: Object) -> None:
    """Raises CommandError for a round of that name which measures other models, or other hospitals' patients.

    A person who may create rounds can compute the name beforehand.
    """
    made, meant = (codec.dump(federatedround.parse(each).spec) for each in (live, planned))
    if different := next((field for field in COMPARED if made.get(field) != meant.get(field)), None):
        name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
        raise CommandError(
            f"FederatedRound {name} exists, but its {different} differs from the {different} of this comparison: "
            "somebody else has made this round. To compare, delete the round, and run the command again: kubectl "
            f"delete federatedround {name} -n {namespace}"
        )


def _spec(model: FederatedModel, first: ModelVersion, second: ModelVersion) -> FederatedRoundSpec:
    """As of the Evaluate rounds of the series, but without a gate: people asked for no verdict."""
    template, series = model.spec.round, model.spec.series
    number = model.status.series.round if model.status.series else 1
    return FederatedRoundSpec(
        task="Evaluate",
        dataset_name=template.dataset_name,
        schema_name=model.spec.schema_name,
        participants=template.participants,
        quorum=model.spec.evaluation.quorum or template.quorum,
        deadlines=template.deadlines,
        resources=template.resources,
        retry_limit=template.retry_limit,
        release=model.spec.release,
        image=template.image,
        command=template.command,
        metrics=template.metrics,
        parameters=scheduled(series.parameters, series.schedules, number),
        base=Base(round_name=first.spec.round_name),
        references=(second.spec.round_name,),
    )


def _differing(one: FederatedModel, other: FederatedModel) -> str:
    """What of two models keeps their versions from being compared; empty if nothing does."""
    if one.metadata.namespace != other.metadata.namespace:
        return "namespace"
    if one.spec.schema_name != other.spec.schema_name:
        return "schemaName"
    return "round.datasetName" if one.spec.round.dataset_name != other.spec.round.dataset_name else ""
