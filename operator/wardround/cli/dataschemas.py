"""Shows the digests of a DataSchema, and in which fields two of them differ; renders, and fetches nothing.

A round and all its hospitals need equal digests. Descriptions do not count.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from wardround.api import dataschema as dataschema_api
from wardround.api import participant
from wardround.cli.errors import CommandError
from wardround.cli.objects import Object, printable, read
from wardround.tabular import dataschema
from wardround.tabular.dataschema import DataSchema, Field

_NEXT = (
    "All hospitals of a round need the federation's DataSchema. If the hospital's DataSchema is wrong, the "
    "hospital's administrator applies the federation's one at the site, and names it in spec.schemaName of the "
    "Dataset. If the federation's DataSchema is wrong, ask the round's author for a corrected one with another name."
)


@dataclass(frozen=True)
class Described:
    """A DataSchema of a cluster or of a file. `place`: where it is from, for people."""

    place: str
    schema: DataSchema


@dataclass(frozen=True)
class Answer:
    """`lines`: for people. `equal`: whether nothing differs."""

    lines: tuple[str, ...]
    equal: bool = True


def is_file(target: str) -> bool:
    """Whether a person named a file. The name of a DataSchema has no dot and no slash."""
    return "." in target or "/" in target


def from_file(path: Path) -> Described:
    """The one DataSchema of a file that may hold other objects. Raises CommandError."""
    try:
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{path} cannot be read as YAML: {error}") from error
    schemas = [each for each in documents if isinstance(each, dict) and each.get("kind") == dataschema_api.KIND]
    if len(schemas) != 1:
        raise CommandError(
            f"{path} has {len(schemas) or 'no'} objects of kind DataSchema. Give a file with exactly one."
        )
    return described(str(path), schemas[0].get("spec"))


def described(place: str, spec: Any) -> Described:
    """Raises CommandError."""
    try:
        return Described(place, dataschema.parse(spec))
    except dataschema.SchemaInvalid as error:
        raise CommandError(f"{place}: {error}") from error


def names(items: Iterable[Object]) -> dict[str, str]:
    """The names of DataSchemas by digest. Leaves out invalid ones. Several with one digest share an entry."""
    known: dict[str, str] = {}
    for item in sorted(items, key=lambda each: str(each["metadata"]["name"])):
        try:
            digest = dataschema.digest(dataschema.parse(item.get("spec")))
        except dataschema.SchemaInvalid:
            continue
        name = item["metadata"]["name"]
        known[digest] = f"{known[digest]}, {name}" if digest in known else name
    return known


def digests(one: Described) -> Answer:
    """The digests of the DataSchema and of each field."""
    fields = dataschema.field_digests(one.schema)
    width = max(len(name) for name, _ in fields)
    return _answer(
        [
            f"DataSchema of {one.place}",
            f"schema digest:  {dataschema.digest(one.schema)}",
            f"columns digest: {dataschema.columns_digest(one.schema)}",
            f"target: {one.schema.target}",
            *(f"  {name:{width}}  {digest}" for name, digest in fields),
        ]
    )


def compared(one: Described, other: Described) -> Answer:
    """Whether both have the same digest, and otherwise all that differs."""
    lines = [f"{each.place}: {dataschema.digest(each.schema)}" for each in (one, other)]
    differences = list(_differences(one, other))
    if not differences:
        return _answer([*lines, "The two DataSchemas mean the same."])
    return _answer([*lines, *differences, _NEXT], equal=False)


def _differences(one: Described, other: Described) -> Iterator[str]:
    ours, theirs = ({each.name: each for each in described.schema.fields} for described in (one, other))
    for here, there, fields in ((one, other, ours.keys() - theirs.keys()), (other, one, theirs.keys() - ours.keys())):
        for name in sorted(fields):
            yield f"field {name}: {here.place} has this field, and {there.place} does not."
    for name, field in ours.items():
        if name in theirs:
            yield from _of_field(one.place, field, other.place, theirs[name])
    if ours.keys() == theirs.keys():
        for number, (name, other_name) in enumerate(zip_longest(ours, theirs), 1):
            if name != other_name:
                yield (
                    f"field {number} is {name} in {one.place}, and {other_name} in {other.place}. The fields need "
                    "the same order in both."
                )
                break
    if one.schema.target != other.schema.target:
        yield f"target: the target is {one.schema.target} in {one.place}, and {other.schema.target} in {other.place}."


def _of_field(place: str, field: Field, other_place: str, other: Field) -> Iterator[str]:
    """One line for each attribute that differs."""
    for attribute in dataclasses.fields(Field):
        values = getattr(field, attribute.name), getattr(other, attribute.name)
        if values[0] != values[1]:
            texts = [_text(each, kind) for each, kind in zip(values, (field.type, other.type), strict=True)]
            yield f"field {field.name}: {attribute.name} is {texts[0]} in {place}, and {texts[1]} in {other_place}."


def _text(value: Any, kind: str) -> str:
    """`kind`: the type of the field. A bound of a date is a number of days since 1970."""
    if isinstance(value, tuple):
        return ", ".join(_text(each, kind) for each in value) or "not set"
    if isinstance(value, float):
        first = datetime.date(1970, 1, 1)
        return str(first + datetime.timedelta(days=value)) if kind == "date" else repr(value).removesuffix(".0")
    return "not set" if value in (None, "") else str(value)


def published(one: Described, item: Object) -> Answer:
    """The digests that a hospital publishes for its Datasets, beside those of the DataSchema on the hub."""
    hospital = read(participant.parse, item)
    own = dataschema.digest(one.schema), dataschema.columns_digest(one.schema)
    datasets = (hospital.status.site.datasets if hospital.status.site else None) or ()
    lines = [f"DataSchema of {one.place}: {own[0]}"]
    for each in datasets:
        same = (each.schema_digest, each.columns_digest) == own
        differs = "columns and more" if each.columns_digest != own[1] else "types, bounds, categories or required"
        words = "the same" if same else f"differs: {each.schema_digest} ({differs})"
        lines.append(f"Dataset {each.name} of {hospital.metadata.name}: {words}")
    if not datasets:
        lines.append(
            f"{hospital.metadata.name} offers no Dataset to rounds: policy.datasets of its Site lists no "
            "existing Dataset. The hospital's administrator can add one in the values of the site chart."
        )
    equal = any((each.schema_digest, each.columns_digest) == own for each in datasets)
    return _answer(lines, equal=equal)


def _answer(lines: list[str], *, equal: bool = True) -> Answer:
    return Answer(tuple(printable(line) for line in lines), equal)
