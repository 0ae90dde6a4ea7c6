"""Reads a DataSchema: what the fields of a federation mean; must not know a hospital's columns, a file or a row.

Its kinds of fields and constraints are a subset of Table Schema (https://specs.frictionlessdata.io/table-schema/).
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wardround.wire import digests

TYPES = ("string", "number", "integer", "boolean", "date")
NUMERIC, TARGETS = ("number", "integer"), ("number", "integer", "boolean")
NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
INTEGER = r"^[+-]?\d+(\.0*)?$"  # also 5.0: most tools write an integer column with a gap that way
TRUE, FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
# A message lists so many faults at most.
MOST_FAULTS = 8
# A message lists so many names at most.
MOST_NAMES = 12
# Hexadecimal characters of a field's digest.
FIELD_DIGEST = 12

_KEYS = {"fields", "target"}
_FIELD_KEYS = {"name", "type", "description"}
# What a field of each type may have beside name, type and description.
_OPTIONS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"required", "categories"}),
    "number": frozenset({"unit", "required", "minimum", "maximum", "categories"}),
    "integer": frozenset({"unit", "required", "minimum", "maximum", "categories"}),
    "boolean": frozenset({"required"}),
    "date": frozenset({"required", "minimum", "maximum", "categories"}),
}
_ALL_OPTIONS = frozenset().union(*_OPTIONS.values())


class SchemaInvalid(ValueError):
    """The schema is invalid. Each of `faults` names a field and says what to write. The message has the first ones."""

    def __init__(self, *faults: str) -> None:
        more = f"; and {len(faults) - MOST_FAULTS} more faults" if len(faults) > MOST_FAULTS else ""
        super().__init__("; ".join(faults[:MOST_FAULTS]) + more)
        self.faults = faults


@dataclass(frozen=True)
class Field:
    """One field. Numbers, booleans (0, 1) and dates (days since 1970) are compared as float64, strings as text.

    `categories`: the only valid values; empty if all values are valid.
    """

    name: str
    type: str
    unit: str = ""
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[float, ...] | tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        return self.type in NUMERIC


class CheckedColumn(Protocol):
    """A column of a file after the check of its values, such as `columns.Column`."""

    @property
    def text(self) -> Any: ...

    @property
    def numbers(self) -> Any: ...


@dataclass(frozen=True)
class Feature:
    """An input of a model and a column of the view. `field`: the field from whose values it is computed.

    Each numeric field is one feature. An encoding may later make several features of one field, each with another name
    and other numbers. So code that reads or lays out a model's inputs uses features, and never fields.
    """

    field: Field

    @property
    def name(self) -> str:
        return self.field.name

    @property
    def unit(self) -> str:
        return self.field.unit

    @property
    def range(self) -> tuple[float | None, float | None]:
        """The lowest and the highest value, as far as the DataSchema bounds them."""
        return self.field.minimum, self.field.maximum

    def numbers(self, column: CheckedColumn) -> Any:
        """The feature in each row of the field's column, as float64 of shape (rows,)."""
        assert column.numbers is not None, "a numeric field has numbers"
        return column.numbers


@dataclass(frozen=True)
class DataSchema:
    """The fields of a federation in their order, one of them the target."""

    fields: tuple[Field, ...]
    target: str

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The model's inputs, in schema order: numbers and integers, except the target."""
        return tuple(Feature(f) for f in self.fields if f.numeric and f.name != self.target)

    @property
    def unused(self) -> tuple[tuple[str, str], ...]:
        """Names of the fields that are no input of the model because of their type, each with the type as the reason:
        String, Boolean or Date."""
        used = {each.field.name for each in self.features} | {self.target}
        return tuple((f.name, f.type.capitalize()) for f in self.fields if f.name not in used)

    @property
    def classes(self) -> tuple[float, ...]:
        """The values of the target in ascending order if the schema lists them. Empty if the target is a quantity."""
        categories = self.field(self.target).categories
        if categories:
            return tuple(sorted(float(each) for each in categories))
        return (0.0, 1.0) if self.binary_target else ()

    @property
    def needed(self) -> frozenset[str]:
        """Fields that must not be missing in a row, `required` or not: the view has no missing values."""
        return frozenset({each.field.name for each in self.features} | {self.target})

    @property
    def binary_target(self) -> bool:
        """Whether the schema allows only 0 and 1 as the target."""
        target = self.field(self.target)
        bounded = target.type == "integer" and target.minimum == 0 and target.maximum == 1
        return target.type == "boolean" or set(target.categories) == {0.0, 1.0} or bounded


def digest(schema: DataSchema) -> str:
    """SHA-256 of the meaning, which must be equal within a round: the target, and all that each field has but its
    description. The order of the fields and of their categories counts."""
    return _digest([schema.target, *map(meaning, schema.fields)])


def columns_digest(schema: DataSchema) -> str:
    """SHA-256 of the part that must be equal along a chain of rounds: target and features in order, with their units.
    Types, bounds and categories may change from round to round."""
    target = schema.field(schema.target)
    return _digest([[target.name, target.unit], *([each.name, each.unit] for each in schema.features)])


def field_digests(schema: DataSchema) -> tuple[tuple[str, str], ...]:
    """Each field's name and the beginning of the SHA-256 of its meaning, in order. They find the field that differs."""
    return tuple((each.name, _digest(meaning(each)).removeprefix("sha256:")[:FIELD_DIGEST]) for each in schema.fields)


def meaning(field: Field) -> list[Any]:
    """All that a field has but its description, as values of JSON."""
    bounds = [field.minimum, field.maximum]
    return [field.name, field.type, field.unit, field.required, *bounds, list(field.categories)]


def _digest(facts: Sequence[Any]) -> str:
    return digests.digest(json.dumps(facts).encode())


@dataclass(frozen=True)
class CheckedDataSchema:
    """A DataSchema with its faults. `fields`: the fields without a fault. `names`: of all fields that can be named."""

    fields: tuple[Field, ...]
    names: tuple[str, ...]
    target: str
    faults: tuple[str, ...]


def parse(document: Any) -> DataSchema:
    """Parses DataSchema.spec. Raises SchemaInvalid with all faults, also for unknown keys: an unchecked constraint
    would mislead."""
    checked = check(document)
    if checked.faults:
        raise SchemaInvalid(*checked.faults)
    return DataSchema(checked.fields, checked.target)


def check(document: Any) -> CheckedDataSchema:
    """Parses DataSchema.spec as far as it is valid."""
    if not isinstance(document, Mapping):
        return CheckedDataSchema((), (), "", ("DataSchema: spec is missing. Write fields and target",))
    unknown = [f"DataSchema: {fault}" for fault in unknown_keys("spec", document, _KEYS)]
    raw_fields = document.get("fields")
    if not isinstance(raw_fields, Sequence) or isinstance(raw_fields, str) or not raw_fields:
        return CheckedDataSchema(
            (), (), "", (*unknown, "DataSchema: spec has no fields. List at least the target and one feature")
        )
    fields, field_faults = _fields(raw_fields)
    named = document.get("target")
    target = named if isinstance(named, str) and named in fields else ""
    valid = tuple(each for each in fields.values() if each is not None)
    faults = (*unknown, *field_faults, *_target_faults(target, fields))
    if len(valid) == len(fields) and not DataSchema(valid, target).features:
        faults = (
            *faults,
            "DataSchema: training needs a field of type number or integer that is not the target. Add one to "
            "spec.fields",
        )
    return CheckedDataSchema(valid, tuple(fields), target, faults)


def _fields(raw_fields: Sequence[Any]) -> tuple[dict[str, Field | None], list[str]]:
    """The fields that can be named, None for one with a fault, and the faults of all fields."""
    fields: dict[str, Field | None] = {}
    faults = []
    for raw in raw_fields:
        name = raw.get("name") if isinstance(raw, Mapping) else None
        if not isinstance(name, str) or not name:
            faults.append("DataSchema: each field needs a name and a type")
        elif name in fields:
            faults.append(f"DataSchema: field {name!r} is listed twice. Remove one of the two, or rename it")
        else:
            field, own_faults = _field(name, raw)
            fields[name] = None if own_faults else field
            faults += [f"DataSchema: field {name!r}: {fault}" for fault in own_faults]
    return fields, faults


def _target_faults(target: str, fields: Mapping[str, Field | None]) -> Iterator[str]:
    """`target`: "" if it is the name of none of the fields."""
    field = fields.get(target)
    if not target:
        yield f"DataSchema: target names no field. Write one of {listed(list(fields))}"
    elif field is not None and field.type not in TARGETS:
        yield f"DataSchema: target {target!r} is a {field.type}. Choose a number, integer or boolean"


def _field(name: str, raw: Mapping[str, Any]) -> tuple[Field | None, list[str]]:
    """The field, as far as it can be read, and its faults."""
    kind = raw.get("type")
    if kind not in TYPES:
        return None, [f"the type of the field is unknown. Write one of {', '.join(TYPES)}"]
    faults = []
    for key in raw:
        if key in _ALL_OPTIONS - _OPTIONS[kind]:
            faults.append(f"a field of type {kind} takes no {key}. Remove {key}, or correct the type")
        elif key not in _FIELD_KEYS | _OPTIONS[kind]:
            faults.append(f"the key {key!r} is unknown. Known are {', '.join(sorted(_FIELD_KEYS | _OPTIONS[kind]))}")
    given = {key: raw[key] for key in _OPTIONS[kind] if raw.get(key) is not None}
    if not isinstance(given.get("unit", ""), str):
        faults.append('the unit of the field is no text. Write the unit in quotes, such as "mm"')
    if not isinstance(given.get("required", False), bool):
        faults.append("required is neither true nor false. Write one of the two")
    bounds: dict[str, float | None] = {}
    for bound in ("minimum", "maximum"):
        bounds[bound] = value(kind, given.get(bound))
        if bound in given and bounds[bound] is None:
            faults.append(f"the {bound} is no {_KINDS[kind]}. Write it in quotes, such as {_EXAMPLES[kind]}")
    lowest, highest = bounds["minimum"], bounds["maximum"]
    if lowest is not None and highest is not None and lowest > highest:
        faults.append("the minimum is above the maximum. Exchange them")
    categories, category_faults = _categories(kind, given.get("categories"))
    unit, required = str(given.get("unit", "")), given.get("required") is True
    return Field(name, kind, unit, required, lowest, highest, categories), faults + category_faults


_KINDS = {"number": "finite number", "integer": "whole number", "date": "date", "string": "text", "boolean": "boolean"}
_EXAMPLES = {"number": '"0.5"', "integer": '"18"', "date": '"2024-02-29"', "string": '"left"', "boolean": '"true"'}


def _categories(kind: str, values: Any) -> tuple[tuple[float, ...] | tuple[str, ...], list[str]]:
    if values is None:
        return (), []
    texts = strings(values)
    if not texts:
        return (), ["categories is no list of texts. Write each category in quotes"]
    faults = []
    numbers = [value(kind, text) for text in texts]
    categories = texts if kind == "string" else tuple(each for each in numbers if each is not None)
    if len(categories) < len(texts):
        faults.append(f"a category is no {_KINDS[kind]}. Write it in quotes, such as {_EXAMPLES[kind]}")
    if len(set(categories)) < len(categories):
        faults.append("a category stands in the list twice. Remove one of the two")
    return categories, faults


def category(kind: str, text: str) -> float | str | None:
    """A category's text as values of this type are compared: strings as text, all others as float64. None for a text
    that is not of the type."""
    return text if kind == "string" else value(kind, text)


def value(kind: str, text: Any) -> float | None:
    """The text of a bound or category as float64, as values of this type are compared. None for a text that is not of
    the type."""
    if not isinstance(text, str):
        return None
    if kind == "boolean":
        return 1.0 if text in TRUE else 0.0 if text in FALSE else None
    if kind == "date":
        return _days(text)
    number = float(text) if re.fullmatch(INTEGER if kind == "integer" else NUMBER, text, re.ASCII) else math.inf
    return number if math.isfinite(number) else None


def _days(text: str) -> float | None:
    try:
        date = datetime.date.fromisoformat(text)
    except ValueError:
        return None
    return float((date - datetime.date(1970, 1, 1)).days) if date.isoformat() == text else None


def strings(values: Any) -> tuple[str, ...] | None:
    """A list of texts. None for anything else."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not all(isinstance(v, str) for v in values):
        return None
    return tuple(values)


def unknown_keys(place: str, document: Mapping[str, Any], keys: set[str]) -> Iterator[str]:
    """A fault for each unknown key. `place`: what holds them."""
    for key in document:
        if key not in keys:
            yield f"{place} has the unknown key {key!r}. Known are {', '.join(sorted(keys))}"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
