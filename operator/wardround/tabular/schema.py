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
INTEGER = r"^[+-]?\d+(\.0*)?$"  # also 5.0: most tools write an integer column with a gap that way
TRUE, FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
MISSING = ("",)
# A message lists the faults of so many fields at most.
MOST_FAULTS = 8

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
    """The schema is invalid. The message names each field with a fault and says what to write."""


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
        """The model's inputs, in schema order: numbers and integers, except target and identifier."""
        return tuple(f for f in self.fields if f.numeric and f.name not in (self.target, self.identifier))

    @property
    def unused(self) -> tuple[tuple[str, str], ...]:
        """Names of the fields that are no input of the model because of their type, each with the type as the reason:
        String, Boolean or Date."""
        ends = (self.target, self.identifier)
        return tuple((f.name, f.type.capitalize()) for f in self.fields if not f.numeric and f.name not in ends)

    @property
    def classes(self) -> tuple[float, ...]:
        """The values of the target in ascending order if the schema lists them. Empty if the target is a quantity."""
        enum = self.field(self.target).enum
        if enum:
            return tuple(sorted(float(each) for each in enum))
        return (0.0, 1.0) if self.binary_target else ()

    @property
    def needed(self) -> frozenset[str]:
        """Fields that must not be missing in a row, `required` or not: the view has no missing values."""
        return frozenset({f.name for f in self.features} | {self.target, self.identifier})

    @property
    def binary_target(self) -> bool:
        """Whether the schema allows only 0 and 1 as the target."""
        target = self.field(self.target)
        bounded = target.type == "integer" and target.minimum == 0 and target.maximum == 1
        return target.type == "boolean" or set(target.enum) == {0.0, 1.0} or bounded


def digest(schema: Schema) -> str:
    """SHA-256 of the part that must be equal within a round: target and features in order, each with type, unit, bounds
    and enum. Each hospital may choose the rest: identifier, missing values, descriptions."""
    return _digest(schema, lambda each: [each.name, each.type, each.unit, each.minimum, each.maximum, each.enum])


def columns_digest(schema: Schema) -> str:
    """SHA-256 of the part that must be equal along a chain of rounds: target and features in order, with their units.
    Bounds and enums may change from round to round."""
    return _digest(schema, lambda each: [each.name, each.unit])


def _digest(schema: Schema, facts: Callable[[Field], Sequence[Any]]) -> str:
    """Digest of the `facts` of the target and of each feature."""
    columns = [facts(each) for each in (schema.field(schema.target), *schema.features)]
    return digests.digest(json.dumps(columns).encode())


def parse(document: Mapping[str, Any]) -> Schema:
    """Parses a Dataset's schema. Raises SchemaInvalid, also for unknown keys: an unchecked constraint would mislead."""
    _check_keys("the schema", document, _SCHEMA_KEYS)
    raw_fields = document.get("fields")
    if not isinstance(raw_fields, Sequence) or isinstance(raw_fields, str) or not raw_fields:
        raise SchemaInvalid("the schema has no fields: list at least target, identifier and one feature")
    fields = _fields(raw_fields)
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


def _fields(raw_fields: Sequence[Any]) -> tuple[Field, ...]:
    """Raises SchemaInvalid with the faults of all fields."""
    fields, faults = [], []
    for raw in raw_fields:
        try:
            fields.append(_field(raw))
        except SchemaInvalid as fault:
            faults.append(str(fault))
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS} more fields" if len(faults) > MOST_FAULTS else ""
        raise SchemaInvalid("; ".join(faults[:MOST_FAULTS]) + more)
    return tuple(fields)


def _field(raw: Any) -> Field:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str) or not raw["name"]:
        raise SchemaInvalid("each field needs a name and a type")
    name = raw["name"]
    _check_keys(f"field {name!r}", raw, _FIELD_KEYS)
    kind = raw.get("type")
    if kind not in TYPES:
        raise SchemaInvalid(f"field {name!r} has an unknown type: one of {', '.join(TYPES)}")
    constraints = raw.get("constraints") or {}
    _check_keys(f"the constraints of field {name!r} ({kind})", constraints, _CONSTRAINTS[kind])
    unit = raw.get("unit") or ""
    if unit and kind not in ("number", "integer"):
        raise SchemaInvalid(f"field {name!r} has a unit, but is not a number")
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
    """A constraint's text as float64, as values of this type are compared. Raises SchemaInvalid."""
    if kind == "date":
        try:
            return float((datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days)
        except ValueError as error:
            raise SchemaInvalid(f"field {name!r}: a constraint is not a date (YYYY-MM-DD)") from error
    number = float(text) if re.fullmatch(INTEGER if kind == "integer" else NUMBER, text) else math.inf
    if not math.isfinite(number):
        raise SchemaInvalid(f"field {name!r}: a constraint is not a finite {kind}")
    return number


def _bound(name: str, kind: str, bound: str, text: Any) -> float | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise SchemaInvalid(f"field {name!r}: {bound} must be written as a string")
    return value(name, kind, text)


def _texts(place: str, values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not all(isinstance(v, str) for v in values):
        raise SchemaInvalid(f"{place} must be a list of strings")
    return tuple(values)


def _reference(document: Mapping[str, Any], key: str, names: Sequence[str]) -> str:
    name = document.get(key)
    if not isinstance(name, str) or name not in names:
        raise SchemaInvalid(f"{key} must be the name of one of the fields")
    return name


def _check_keys(place: str, document: Any, keys: set[str] | frozenset[str]) -> None:
    if not isinstance(document, Mapping):
        raise SchemaInvalid(f"{place} must be an object")
    for key in document:
        if key not in keys:
            raise SchemaInvalid(f"{place} has the unknown key {key!r}; known are: {', '.join(sorted(keys))}")
