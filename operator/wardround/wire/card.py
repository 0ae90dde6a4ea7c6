"""The card of a model: what the model reads, what it answers, how it was made and how good it is. Signed by the hub.

docs/contracts.md, section 9. A card holds only numbers that the results of rounds hold too. Its texts have the patterns
of an assignment, because some of them come into logs and objects of a hospital. Only what people write about the model,
the units and the categories are free text: nothing copies them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from wardround.wire import canonical, codec, digests
from wardround.wire.assignment import (
    DIGEST,
    FIELD_NAME,
    IMAGE,
    LABEL,
    METRIC,
    NAME,
    NUMBER,
    PARAMETER,
    ROWS,
    SHOWN,
    TOKEN,
    UID,
    VALUE,
    WORD,
)
from wardround.wire.codec import Malformed, Text, since
from wardround.wire.compression import NONE, Compression

# Versions of cards. Each one adds a field. A card has the lowest version that can say all of it, so that as many
# programs as possible can read the card.
LOWEST, COMPRESSION_SINCE, NAMES_SINCE = KNOWN = (1, 2, 3)
# A card lists so many ancestors at most, because it has to fit into an object of Kubernetes: the nearest, and as the
# last one the first of all.
MOST_PARENTS = 256
# And it names so many hospitals at most, for the same reason.
MOST_NAMES = 256

HOSPITAL_NAME = Text(SHOWN, 128)

Role = Literal["Feature", "Target", "Ignored"]
Gap = Literal["NoPrediction", "Allowed"]
Release = Literal["Participants", "Readers"]


@dataclass(frozen=True, kw_only=True)
class CardField:
    """A field of the DataSchema. Features are the model's inputs, in the order of the fields.

    `gap`: `NoPrediction` if a row without a value in this field gets no prediction, as such a row was left out of
    training. `minimum`, `maximum`, `categories`: a row with another value gets no prediction either.
    """

    name: Annotated[str, FIELD_NAME]
    type: Annotated[str, TOKEN]
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

    digest: Annotated[str, DIGEST]
    bytes: int
    schema_digest: Annotated[str, DIGEST]


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

    image: Annotated[str, IMAGE]
    command: tuple[Annotated[str, WORD], ...]
    parameters: Mapping[Annotated[str, PARAMETER], Annotated[str, VALUE]]


@dataclass(frozen=True, kw_only=True)
class CardParent:
    """An earlier result that this model was made from. `digest`: of that result."""

    task: Annotated[str, TOKEN]
    round_name: Annotated[str, NAME]
    round_uid: Annotated[str, UID]
    digest: Annotated[str, DIGEST]


@dataclass(frozen=True, kw_only=True)
class CardMetric:
    """A number of this model. `round_name`: the round that measured it."""

    name: Annotated[str, METRIC]
    value: Annotated[str, NUMBER]
    low: Annotated[str, NUMBER] | None = None
    high: Annotated[str, NUMBER] | None = None
    better: Annotated[str, METRIC] | None = None
    people: int
    hospitals: int
    rows: Annotated[str, ROWS]
    round_name: Annotated[str, NAME]


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
    `parents`: the nearest first, back to the start, which is always the last one. `parents_omitted`: how many are left
    out before the last one. `hospitals`, `people`: of the last training round, `people` rounded as all counts of people
    in results are. `release`: who may get the model, as all rounds that led to it said. `compression`: of the updates
    of the last training round. `hospital_names`: those hospitals of the last training round that agreed to be named.
    """

    version: int
    revision: int
    issued: Annotated[str, TOKEN]
    round_namespace: Annotated[str, LABEL]
    round_name: Annotated[str, NAME]
    round_uid: Annotated[str, UID]
    model: CardModel
    fields: tuple[CardField, ...] | None
    data_schema_digest: Annotated[str, DIGEST]
    columns_digest: Annotated[str, TOKEN]
    architecture: CardArchitecture | None
    code: CardCode
    parents: tuple[CardParent, ...]
    parents_omitted: int
    hospitals: int
    people: int
    metrics: tuple[CardMetric, ...]
    use: CardUse
    release: Release
    compression: Compression = field(default=NONE, metadata=since(COMPRESSION_SINCE))
    hospital_names: tuple[Annotated[str, HOSPITAL_NAME], ...] = field(default=(), metadata=since(NAMES_SINCE))

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

    def steering(self, name: str) -> CardMetric | None:
        """The number of this name by which predictions may be made: over validation rows, because test rows choose
        nothing.

        More than half as many hospitals as trained the model have to be behind it: else one hospital and an author of
        rounds would set it for all.
        """
        number = self.metric(name, "Validation")
        return number if number and 2 * number.hospitals > self.hospitals else None


def version(compression: Compression, hospital_names: tuple[str, ...] = ()) -> int:
    """The lowest version of a card that says this."""
    if hospital_names:
        return NAMES_SINCE
    return LOWEST if compression == NONE else COMPRESSION_SINCE


def write(card: ModelCard) -> dict[str, Any]:
    """Return the card's document, in the card's version. Raises ValueError for a version that cannot say all of the
    card."""
    if card.version < version(card.compression, card.hospital_names):
        raise ValueError(f"a card of version {card.version} has no field for its compression or its hospitals' names")
    return codec.dump_document(card, card.version)


def read(document: Mapping[str, object]) -> ModelCard:
    """Return the card of a document. Raises Malformed."""
    number = document.get("version")
    if type(number) is not int or number not in KNOWN:
        raise Malformed("version", f"expected one of {', '.join(map(str, KNOWN))}")
    return codec.parse_document(ModelCard, document, version=number)


def digest(card: ModelCard) -> str:
    """The digest of the card as the hub signs it, without the signature."""
    return digests.digest(canonical.dumps(write(card)))


def _entry(field: CardField) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": field.name, "type": field.type}
    entry |= {"unit": field.unit} if field.unit else {}
    entry |= {"required": True} if field.required else {}
    entry |= {"minimum": field.minimum} if field.minimum is not None else {}
    entry |= {"maximum": field.maximum} if field.maximum is not None else {}
    return entry | ({"categories": list(field.categories)} if field.categories else {})
