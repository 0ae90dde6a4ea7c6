"""Reads the schema that today's Dataset holds in itself, until all of them name a DataSchema; must not know files.

It goes away with Dataset.spec.schema.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from wardround.tabular import dataschema
from wardround.tabular.dataschema import INTEGER, NUMBER, TYPES, Field, SchemaInvalid
from wardround.tabular.schema import Schema, Source

MISSING = ("",)
MOST_FAULTS = dataschema.MOST_FAULTS

_SCHEMA_KEYS = {"fields", "target", "identifier", "missingValues"}
_FIELD_KEYS = {"name", "type", "unit", "title", "description", "constraints"}
_CONSTRAINTS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"required", "enum"}),
    "number": frozenset({"required", "enum", "minimum", "maximum"}),
    "integer": frozenset({"required", "enum", "minimum", "maximum"}),
    "boolean": frozenset({"required"}),
    "date": frozenset({"required", "enum", "minimum", "maximum"}),
}


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
    target, identifier = (_reference(document, key, names) for key in ("target", "identifier"))
    missing_values = _texts("missingValues", document.get("missingValues", MISSING))
    sources = {each.name: Source(each, each.name, missing_values=missing_values) for each in fields}
    if target == identifier:
        raise SchemaInvalid(f"field {target!r} cannot be both target and identifier")
    if sources[target].field.type not in ("number", "integer", "boolean"):
        raise SchemaInvalid(f"target {target!r} must be a number, an integer or a boolean")
    patient = sources.pop(identifier)
    if patient.field.type not in ("string", "integer"):
        raise SchemaInvalid(f"identifier {identifier!r} must be a string or an integer")
    schema = Schema(tuple(each.field for each in sources.values()), target, tuple(sources.values()), patient)
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
        categories=enum if kind == "string" else tuple(value(name, kind, text) for text in enum),
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
