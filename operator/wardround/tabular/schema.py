"""Reads a Dataset's Table Schema (the subset of frictionless that we check); must not know files, Arrow or a row.

https://specs.frictionlessdata.io/table-schema/
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.wire import digests

TYPES = ("string", "number", "integer", "boolean", "date")
NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
INTEGER = r"^[+-]?\d+(\.0*)?$"  # 5.0 too: what most tools make of an integer column that has a gap
TRUE, FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
MISSING = ("",)

_SCHEMA_KEYS = {"fields", "target", "identifier", "missingValues"}
_FIELD_KEYS = {"name", "type", "unit", "title", "description", "constraints"}
_CONSTRAINTS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"required", "enum"}),
    "number": frozenset({"required", "enum", "minimum", "maximum"}),
    "integer": frozenset({"required", "enum", "minimum", "maximum"}),
    "boolean": frozenset({"required"}),
    "date": frozenset({"required", "enum", "minimum", "maximum"}),
}


class SchemaInvalid(ValueError):
    """The schema itself is wrong. The message names the field and what to write instead."""


@dataclass(frozen=True)
class Field:
    """One column. Numbers, booleans (0, 1) and dates (days since 1970) are compared as float64, strings as text."""

    name: str
    type: str
    unit: str = ""
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    enum: tuple[float, ...] | tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        return self.type in ("number", "integer")


@dataclass(frozen=True)
class Schema:
    """The columns that a task reads, one of them the target, one the patient's identifier."""

    fields: tuple[Field, ...]
    target: str
    identifier: str
    missing_values: tuple[str, ...] = MISSING

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def features(self) -> tuple[Field, ...]:
        """What a model sees, in schema order: numbers and integers, but for target and identifier."""
        return tuple(f for f in self.fields if f.numeric and f.name not in (self.target, self.identifier))

    @property
    def needed(self) -> frozenset[str]:
        """Fields without which a row is of no use, `required` or not: the view has no missing values."""
        return frozenset({f.name for f in self.features} | {self.target, self.identifier})

    @property
    def binary_target(self) -> bool:
        """Whether the schema itself promises a target of 0 and 1."""
        target = self.field(self.target)
        bounded = target.type == "integer" and target.minimum == 0 and target.maximum == 1
        return target.type == "boolean" or set(target.enum) == {0.0, 1.0} or bounded


def digest(schema: Schema) -> str:
    """SHA-256 of what must be equal within a round: the features in their order and the target, each with type, unit,
    bounds and enum. What else stands in a schema is the hospital's own: identifier, missing values, words."""
    return _digest(schema, lambda each: [each.name, each.type, each.unit, each.minimum, each.maximum, each.enum])


def columns_digest(schema: Schema) -> str:
    """SHA-256 of what a model takes for granted for ever: the features in their order and the target, with units.
    Which values are possible may change from round to round."""
    return _digest(schema, lambda each: [each.name, each.unit])


def _digest(schema: Schema, of: Callable[[Field], Sequence[Any]]) -> str:
    """Of what `of` takes from each column that a model sees or is to tell."""
    meant = [of(each) for each in (schema.field(schema.target), *schema.features)]
    return digests.digest(json.dumps(meant).encode())


def parse(document: Mapping[str, Any]) -> Schema:
    """Raises SchemaInvalid for what is wrong or unknown: a constraint that nobody checks is worse than none."""
    _known("the schema", document, _SCHEMA_KEYS)
    raw_fields = document.get("fields")
    if not isinstance(raw_fields, Sequence) or isinstance(raw_fields, str) or not raw_fields:
        raise SchemaInvalid("the schema has no fields: list at least target, identifier and one feature")
    fields = tuple(_field(raw) for raw in raw_fields)
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise SchemaInvalid(f"field {name!r} is listed twice")
    schema = Schema(
        fields=fields,
        target=_reference(document, "target", names),
        identifier=_reference(document, "identifier", names),
        missing_values=_texts("missingValues", document.get("missingValues", MISSING)),
    )
    if schema.target == schema.identifier:
        raise SchemaInvalid(f"field {schema.target!r} cannot be both target and identifier")
    if schema.field(schema.target).type not in ("number", "integer", "boolean"):
        raise SchemaInvalid(f"target {schema.target!r} must be a number, an integer or a boolean")
    if schema.field(schema.identifier).type not in ("string", "integer"):
        raise SchemaInvalid(f"identifier {schema.identifier!r} must be a string or an integer")
    if not schema.features:
        raise SchemaInvalid("the schema has no feature: at least one number or integer beside target and identifier")
    return schema


def _field(raw: Any) -> Field:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str) or not raw["name"]:
        raise SchemaInvalid("each field needs a name and a type")
    name = raw["name"]
    _known(f"field {name!r}", raw, _FIELD_KEYS)
    kind = raw.get("type")
    if kind not in TYPES:
        raise SchemaInvalid(f"field {name!r} has an unknown type: one of {', '.join(TYPES)}")
    constraints = raw.get("constraints") or {}
    _known(f"the constraints of field {name!r} ({kind})", constraints, _CONSTRAINTS[kind])
    unit = raw.get("unit") or ""
    if unit and kind not in ("number", "integer"):
        raise SchemaInvalid(f"field {name!r} has a unit but is no number")
    enum = _texts(f"enum of field {name!r}", constraints.get("enum") or ())
    field = Field(
        name=name,
        type=kind,
        unit=unit,
        required=constraints.get("required", False) is True,
        minimum=_bound(name, kind, "minimum", constraints.get("minimum")),
        maximum=_bound(name, kind, "maximum", constraints.get("maximum")),
        enum=enum if kind == "string" else tuple(value(name, kind, text) for text in enum),
    )
    if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
        raise SchemaInvalid(f"field {name!r}: minimum lies above maximum")
    return field


def value(name: str, kind: str, text: str) -> float:
    """A constraint's text as the number that values of this type are compared by. Raises SchemaInvalid."""
    if kind == "date":
        try:
            return float((datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days)
        except ValueError as error:
            raise SchemaInvalid(f"field {name!r}: a constraint is no date (YYYY-MM-DD)") from error
    number = float(text) if re.fullmatch(INTEGER if kind == "integer" else NUMBER, text) else math.inf
    if not math.isfinite(number):
        raise SchemaInvalid(f"field {name!r}: a constraint is no finite {kind}")
    return number


def _bound(name: str, kind: str, bound: str, text: Any) -> float | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise SchemaInvalid(f"field {name!r}: {bound} must be written as a string")
    return value(name, kind, text)


def _texts(what: str, values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not all(isinstance(v, str) for v in values):
        raise SchemaInvalid(f"{what} must be a list of strings")
    return tuple(values)


def _reference(document: Mapping[str, Any], key: str, names: Sequence[str]) -> str:
    name = document.get(key)
    if not isinstance(name, str) or name not in names:
        raise SchemaInvalid(f"{key} must be the name of one of the fields")
    return name


def _known(what: str, document: Any, keys: set[str] | frozenset[str]) -> None:
    if not isinstance(document, Mapping):
        raise SchemaInvalid(f"{what} must be an object")
    for key in document:
        if key not in keys:
            raise SchemaInvalid(f"{what} has {key!r}, which is not known: one of {', '.join(sorted(keys))}")
