"""Prediction: a person of the hospital asks for a model's answers to a file of rows. Its spec is immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.wire import codec
from wardround.wire.outcome import Predicted

KIND = "Prediction"
# How long a pod may predict, in seconds.
PREDICT_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class UsedModel:
    """A folder on the claim of models. `version`: `v` and a number, or `current`."""

    name: str
    version: str = "current"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A file on a claim of the hospital."""

    claim_name: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code that made a model: the training image, and the command in it without the verb."""

    image: str
    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PredictionSpec:
    """`dataset_name`: the Dataset that says how the file writes the fields. The file needs no target.

    `code`: of a model that another image than the built-in trainer made. Its `predict` then answers.
    """

    model: UsedModel
    dataset_name: str
    rows: Place
    answer: Place
    code: Code | None = None


@dataclass(frozen=True, kw_only=True)
class PredictionStatus:
    observed_generation: int | None = None
    conditions: Conditions = ()
    answer: Predicted | None = None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    metadata: Meta
    spec: PredictionSpec
    status: PredictionStatus = field(default_factory=PredictionStatus)


def parse(value: Mapping[str, Any]) -> Prediction:
    return codec.parse(Prediction, value)
