"""Decides about a ModelPush: whether the person may upload, whether the model fits, and when it ends. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api import conditions
from wardround.api.modelpush import ModelPush, ModelPushStatus
from wardround.plans import request
from wardround.reasons.registry import REASONS
from wardround.wire.assignment import AssignedSchema

READY, UPLOADING, CHECKING = "PushReady", "PushUploading", "PushChecking"
# The tensors with which the built-in trainer's network standardises its inputs.
MEAN, DEVIATION = "wardround.input.mean", "wardround.input.std"
# The dtype and the shape of a tensor.
Kind = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class ExaminedFile:
    """What the hub found in the store. `reason`: why the file is of no use; "" if the hub has read it to the end.
    `tensors`: by name. `bytes`: of the ciphertext."""

    reason: str = ""
    tensors: Mapping[str, Kind]
    segments_digest: str = ""
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`schema`: of the DataSchema that the push names, None if it is missing or invalid. `features`: how many inputs it
    describes. `name_taken`: another ModelVersion has the name. `kept`: the ModelVersion of this push exists.
    `examined`: None as long as nobody has looked."""

    push: ModelPush
    schema: AssignedSchema | None
    features: int
    name_taken: bool
    kept: bool
    key_usable: bool
    examined: ExaminedFile | None
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`offer`: the person gets addresses and a key. `look`: read the uploaded file, then plan again. `keep`: make the
    ModelVersion, then write the status. `delete`: the time is over."""

    status: ModelPushStatus
    offer: bool = False
    look: bool = False
    keep: bool = False
    delete: bool = False
    requeue_after: float | None = None


def plan(seen: Observation) -> Plan:
    push = seen.push
    left = (request.expires(push) - seen.now).total_seconds()
    if left <= 0:
        return Plan(status=push.status, delete=True)
    if conditions.is_over(push.status.conditions):
        return Plan(status=push.status, requeue_after=left)
    if seen.kept:
        return Plan(status=_ended(seen, READY), requeue_after=left)
    reason = next((reason for rule in RULES if (reason := rule(seen))), "")
    if reason:
        return Plan(status=_ended(seen, reason), requeue_after=left)
    if push.status.upload is None:
        return Plan(status=_progressing(seen, UPLOADING), offer=True, requeue_after=left)
    if not push.spec.uploaded:
        return Plan(status=_progressing(seen, UPLOADING), requeue_after=left)
    if seen.examined is None:
        return Plan(status=_progressing(seen, CHECKING), look=True, requeue_after=left)
    return Plan(status=_ended(seen, READY), keep=True, requeue_after=left)


def hidden(tensors: Mapping[str, Kind], features: int) -> tuple[int, ...] | None:
    """Widths of the hidden layers of the built-in trainer's network for so many features. None for another network."""
    layers = sum(name.startswith("hidden.") and name.endswith(".weight") for name in tensors)
    shapes = [tensors.get(f"hidden.{position}.weight", ("", ()))[1] for position in range(layers)]
    widths = tuple(shape[0] if len(shape) == 2 else 0 for shape in shapes)
    expected: dict[str, Kind] = {MEAN: ("F32", (features,)), DEVIATION: ("F32", (features,))}
    inputs = features
    for position, width in enumerate(widths):
        expected[f"hidden.{position}.weight"] = "F32", (width, inputs)
        expected[f"hidden.{position}.bias"] = "F32", (width,)
        inputs = width
    expected |= {"output.weight": ("F32", (1, inputs)), "output.bias": ("F32", (1,))}
    return widths if dict(tensors) == expected and all(widths) else None


def _schema(seen: Observation) -> str:
    return "" if seen.schema is not None else "PushWithoutSchema"


def _name(seen: Observation) -> str:
    return "PushNameTaken" if seen.name_taken else ""


def _key(seen: Observation) -> str:
    return "" if seen.key_usable else "PushKeyUnusable"


def _content(seen: Observation) -> str:
    return seen.examined.reason if seen.examined else ""


def _fits(seen: Observation) -> str:
    """A model of another image has tensors that only that image knows. The training pods compare those."""
    if seen.examined is None or MEAN not in seen.examined.tensors:
        return ""
    return "PushDiffers" if hidden(seen.examined.tensors, seen.features) is None else ""


RULES: tuple[Callable[[Observation], str], ...] = (_schema, _name, _key, _content, _fits)


def _progressing(seen: Observation, reason: str) -> ModelPushStatus:
    before, generation = seen.push.status, seen.push.metadata.generation
    message = REASONS[reason].meaning
    known = conditions.progressing(before.conditions, reason, message, now=seen.now, generation=generation)
    return replace(before, observed_generation=generation, conditions=known)


def _ended(seen: Observation, reason: str) -> ModelPushStatus:
    """The final status. The offer goes: nobody needs it any more."""
    push = seen.push
    known = request.ended(push, reason, ready=READY, now=seen.now)
    return replace(push.status, observed_generation=push.metadata.generation, conditions=known, upload=None)
