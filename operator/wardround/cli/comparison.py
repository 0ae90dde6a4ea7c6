"""Makes the Evaluate round that compares the models of two FederatedModels in pairs, on the same patients. Pure."""

from __future__ import annotations

from dataclasses import replace

from wardround.api import federatedround, names
from wardround.api.federatedmodel import FederatedModel
from wardround.api.federatedround import FederatedRound
from wardround.api.meta import API_VERSION
from wardround.api.modelversion import ModelVersion
from wardround.cli import named_versions
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects
from wardround.cli.objects import Object
from wardround.documents.measurements import measurement
from wardround.wire import codec

# Fields that decide what a comparison measures.
MODELS_AND_CODE = ("task", "rows", "base", "references", "image", "command", "parameters")
COMPARED = (*MODELS_AND_CODE, "datasetName", "schemaName", "participants", "quorum")


def version(shown: ModelObjects, number: str = "") -> ModelVersion:
    """The version of a model with this number. Without a number, the current version, or the newest one if none is
    current. Raises CommandError."""
    if number:
        return named_versions.numbered(shown.model, shown.versions, number)
    chosen = named_versions.current(shown.model, shown.versions) or (shown.versions[-1] if shown.versions else None)
    if chosen is None:
        meta = shown.model.metadata
        raise CommandError(
            f"Model {shown.name} has no version yet. To see how far the model is: kubectl wardround explain "
            f"federatedmodel/{meta.name} -n {meta.namespace}"
        )
    return chosen


def federated_round(one: ModelObjects, other: ModelObjects, numbers: tuple[str, str] = ("", "")) -> Object:
    """The round that measures the version of `one`, with that of `other` as its reference, by the code that made the
    version of `one`. Its name comes from both rounds, so a repeated command measures nothing again: each comparison
    counts against the hospitals' budgets. `numbers`: of the versions, as for `version`. Raises CommandError."""
    first, second = version(one, numbers[0]), version(other, numbers[1])
    if first.spec.round_uid == second.spec.round_uid:
        raise CommandError(
            f"There is nothing to compare: both models are the result of round {first.spec.round_name}. Name two "
            "other models or versions."
        )
    if differs := _differing(one.model, other.model):
        raise CommandError(
            f"The command cannot compare the models {one.name} and {other.name} on the same patients, because their "
            f"{differs} differs. Name two models with the same {differs}."
        )
    spec = replace(measurement(one.model, _made_by(one, first)), references=(second.spec.round_name,))
    name = f"compare-{names.short(f'{first.spec.round_uid} {second.spec.round_uid}')}"
    return {
        "apiVersion": API_VERSION,
        "kind": federatedround.KIND,
        "metadata": {"name": name, "namespace": one.model.metadata.namespace},
        "spec": codec.dump(spec),
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


def _made_by(shown: ModelObjects, version: ModelVersion) -> FederatedRound:
    """The round that made a version. Raises CommandError if it is gone, or another one has its name."""
    made_by = shown.round(version.spec.round_name)
    if made_by is None or made_by.metadata.uid != version.spec.round_uid:
        raise CommandError(
            f"The command cannot measure version {version.spec.version} of model {shown.name}, because somebody "
            f"deleted round {version.spec.round_name}, which made the version. To compare another version, name it: "
            f"federatedmodel/{shown.model.metadata.name}@VERSION."
        )
    return made_by


def _differing(one: FederatedModel, other: FederatedModel) -> str:
    """What of two models keeps their versions from being compared; empty if nothing does."""
    if one.metadata.namespace != other.metadata.namespace:
        return "namespace"
    if one.spec.schema_name != other.spec.schema_name:
        return "schemaName"
    return "round.datasetName" if one.spec.round.dataset_name != other.spec.round.dataset_name else ""
