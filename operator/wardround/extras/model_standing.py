"""Says of a model that a person got what the gate found, and whether the model is the current version."""

from __future__ import annotations

from dataclasses import dataclass

from wardround.api import federatedmodel, modelversion
from wardround.api.federatedmodel import FederatedModel
from wardround.api.modelversion import ModelVersion
from wardround.api.names import MODEL_UID
from wardround.cli import objects
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.wire import codec


@dataclass(frozen=True)
class Standing:
    """How a model stands, in a line for the person who pulls it. `refused`: whether the gate did not accept it."""

    line: str
    refused: bool = False

    @property
    def warning(self) -> str:
        """A line for a person who uses the model later, perhaps without the hub."""
        return f"When this model was pulled, the gate did not accept it: {self.line}"


def standings(hub: Cluster, namespace: str, round_uid: str) -> list[Standing]:
    """One for each ModelVersion that the round with this UID has made: none of a round that has made no version, or of
    a pushed model. If the person may not read what the lines need, one line says so."""
    try:
        listed = [objects.read(modelversion.parse, each) for each in hub.list(modelversion.KIND, namespace, MODEL_UID)]
        versions = [each for each in listed if each.spec.round_uid == round_uid and not each.spec.pushed]
        return [_standing(each, _model(hub, each), listed) for each in versions]
    except (CommandError, codec.Malformed) as error:
        return [Standing(f"The command cannot tell what the gate found of this model: {error}")]


def _model(hub: Cluster, version: ModelVersion) -> FederatedModel | None:
    """The FederatedModel of a version. None if it is gone, also if there is a new one of its name."""
    item = hub.get(federatedmodel.KIND, version.spec.model_name, version.metadata.namespace)
    model = objects.read(federatedmodel.parse, item) if item else None
    return model if model and model.metadata.uid == version.metadata.labels.get(MODEL_UID) else None


def _standing(version: ModelVersion, model: FederatedModel | None, listed: list[ModelVersion]) -> Standing:
    """`version 3 of federatedmodel/heart: Worse, not the current version (2)`, and how to see why."""
    meta, spec, verdict = version.metadata, version.spec, version.status.verdict
    outcome = verdict.outcome if verdict else "no verdict of the gate yet"
    line = f"version {spec.version} of federatedmodel/{spec.model_name}: {outcome}, {_role(version, model, listed)}"
    if verdict is None or verdict.outcome == "Accepted":
        return Standing(line)
    why = f"To see why: kubectl wardround explain modelversion/{meta.name} -n {meta.namespace}"
    return Standing(f"{line}. {why}", refused=True)


def _role(version: ModelVersion, model: FederatedModel | None, listed: list[ModelVersion]) -> str:
    if model is None:
        return "and somebody deleted its FederatedModel"
    if model.status.current == version.metadata.name:
        return "the current version"
    numbers = [str(each.spec.version) for each in listed if each.metadata.name == model.status.current]
    return f"not the current version ({numbers[0] if numbers else 'none'})"
