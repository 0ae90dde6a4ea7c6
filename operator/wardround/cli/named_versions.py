"""Which version of a FederatedModel a person means, and what the person can do if it is gone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wardround.api.federatedmodel import FederatedModel
from wardround.api.modelversion import ModelVersion
from wardround.cli.errors import CommandError
from wardround.cli.objects import printable
from wardround.plans.model import series


def current(model: FederatedModel, versions: Sequence[ModelVersion]) -> ModelVersion | None:
    """The current version; None if the model has none yet. `versions`: the live ones of the model. Raises CommandError
    if somebody deleted the current version."""
    name = model.status.current
    if not name:
        return None
    chosen = next((each for each in versions if each.metadata.name == name), None)
    if chosen is None:
        meta = model.metadata
        raise CommandError(
            f"ModelVersion {name}, the current version of FederatedModel {meta.name}, is gone: somebody deleted it. "
            f"{_others(model, versions)} To see how the model gets a current version again: `kubectl wardround explain "
            f"federatedmodel/{meta.name} -n {meta.namespace}`."
        )
    return chosen


def numbered(model: FederatedModel, versions: Sequence[ModelVersion], number: str) -> ModelVersion:
    """The version with this number. `versions`: as of `current`. Raises CommandError."""
    chosen = next((each for each in versions if str(each.spec.version) == number), None)
    if chosen is None:
        raise CommandError(f"{_absent(model, number)} {_others(model, versions)}")
    return chosen


def _absent(model: FederatedModel, number: str) -> str:
    """Series N makes version N. Nothing records whether a version that is missing has existed."""
    name, newest = model.metadata.name, series.newest_version(model.status.series)
    if number not in map(str, range(1, newest + 1)):
        return f"FederatedModel {name} has no version {printable(number)}."
    return (
        f"FederatedModel {name} has no version {number} any more: somebody deleted it, or the hub operator deleted it "
        f"because newer versions replaced it (history.versions). Or series {number} has made no version."
    )


def _others(model: FederatedModel, versions: Sequence[ModelVersion]) -> str:
    meta, known = model.metadata, sorted(each.spec.version for each in versions)
    if not known:
        return (
            "It has no version now. To begin a series that makes one: `kubectl wardround begin "
            f"federatedmodel/{meta.name} -n {meta.namespace}`."
        )
    return f"Name one of its versions: {', '.join(map(str, known))} (federatedmodel/{meta.name}@VERSION)."
