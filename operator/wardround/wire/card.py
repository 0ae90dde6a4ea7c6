"""The card of a model: what the model reads, what it answers, how it was made and how good it is. Signed by the hub.

docs/contracts.md, section 9. A card holds only numbers that the results of rounds hold too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

VERSION = 1
# A card lists so many ancestors at most, the nearest first, because it has to fit into an object of Kubernetes.
MOST_PARENTS = 256

Role = Literal["Feature", "Target", "Ignored"]
Gap = Literal["NoPrediction", "Allowed"]
Release = Literal["Participants", "Readers"]


@dataclass(frozen=True, kw_only=True)
class CardField:
    """A field of the DataSchema. Features are the model's inputs, in the order of the fields.

    `gap`: `NoPrediction` if a row without a value in this field gets no prediction, as such a row was left out of
    training. `minimum`, `maximum`, `categories`: a row with another value gets no prediction either.
    """

    name: str
    type: str
    role: Role
    gap: Gap
    unit: str = ""
    minimum: str | None = None
    maximum: str | None = None
    required: bool = False
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CardModel:
    """The file model.safetensors. `schema_digest`: of names, types and shapes of its tensors."""

    digest: str
    bytes: int
    schema_digest: str


@dataclass(frozen=True, kw_only=True)
class CardArchitecture:
    """The network of the built-in trainer. `hidden`: widths of the hidden layers, empty for a logistic model.

    `activation`: between layers. `output`: how the last layer's number becomes a probability. `mean`, `deviation`:
    names of the tensors by which each feature is standardised, as (value - mean) / deviation. Their values come from
    the Statistics round, and are part of the model file.
    """

    hidden: tuple[int, ...]
    activation: Literal["ReLU"] = "ReLU"
    output: Literal["Logistic"] = "Logistic"
    mean: str = "wardround.input.mean"
    deviation: str = "wardround.input.std"


@dataclass(frozen=True, kw_only=True)
class CardCode:
    """The training code of the last round."""

    image: str
    command: tuple[str, ...]
    parameters: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CardParent:
    """An earlier result that this model was made from. `digest`: of that result."""

    task: str
    round_name: str
    round_uid: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class CardMetric:
    """A number of this model. `round_name`: the round that measured it."""

    name: str
    value: str
    low: str | None = None
    high: str | None = None
    better: str | None = None
    people: int
    hospitals: int
    rows: str
    round_name: str


@dataclass(frozen=True, kw_only=True)
class CardUse:
    """What people say of the model. Wardround checks none of it."""

    intended_use: str = ""
    limits: str = ""
    licence: str = ""
    contact: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """`revision`: 1 when the model is made, and one more for each later round that measured the model.

    `round_namespace`, `round_name`, `round_uid`: the round that made the model. `fields`: of its DataSchema, None if
    that was gone when the round ended. `architecture`: None if another image than the built-in trainer made the model.
    `parents`: the nearest first, back to the start. `parents_omitted`: how many more there are. `hospitals`, `people`:
    of the last training round. `release`: who may get the model, as all rounds that led to it said.
    """

    version: int
    revision: int
    issued: str
    round_namespace: str
    round_name: str
    round_uid: str
    model: CardModel
    fields: tuple[CardField, ...] | None
    data_schema_digest: str
    columns_digest: str
    architecture: CardArchitecture | None
    code: CardCode
    parents: tuple[CardParent, ...]
    parents_omitted: int
    hospitals: int
    people: int
    metrics: tuple[CardMetric, ...]
    use: CardUse
    release: Release

    @property
    def data_schema(self) -> dict[str, Any] | None:
        """`spec` of the DataSchema, as its reader takes it."""
        if self.fields is None:
            return None
        [target] = [each.name for each in self.fields if each.role == "Target"] or [""]
        return {"fields": [_entry(each) for each in self.fields], "target": target}

    def metric(self, name: str, rows: str) -> CardMetric | None:
        """The number of this name over these rows."""
        return next((each for each in self.metrics if (each.name, each.rows) == (name, rows)), None)


def _entry(field: CardField) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": field.name, "type": field.type}
    entry |= {"unit": field.unit} if field.unit else {}
    entry |= {"required": True} if field.required else {}
    entry |= {"minimum": field.minimum} if field.minimum is not None else {}
    entry |= {"maximum": field.maximum} if field.maximum is not None else {}
    return entry | ({"categories": list(field.categories)} if field.categories else {})
