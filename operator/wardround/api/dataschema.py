"""DataSchema: what the columns of a federation's data mean. People write it on both sides; Wardround only reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wardround.api.meta import Meta
from wardround.wire import codec

KIND = "DataSchema"


@dataclass(frozen=True, kw_only=True)
class SchemaField:
    """One column. `categories`: the only valid values, None for any."""

    name: str
    type: str
    unit: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    required: bool | None = None
    categories: tuple[str, ...] | None = None
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataSchemaSpec:
    """The fields in their order. `target`: name of the field that a model predicts."""

    fields: tuple[SchemaField, ...]
    target: str


@dataclass(frozen=True, kw_only=True)
class DataSchema:
    metadata: Meta
    spec: DataSchemaSpec


def parse(value: Mapping[str, Any]) -> DataSchema:
    return codec.parse(DataSchema, value)
