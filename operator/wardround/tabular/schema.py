"""Joins a DataSchema with what a Dataset says of the local file; must not know files, Arrow or a row.

The DataSchema says what a value means. The Dataset says in which column, unit and spelling this hospital's file has it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.tabular import dataschema
from wardround.tabular.dataschema import DataSchema, Field, listed, strings

SchemaInvalid = dataschema.SchemaInvalid

# As the API server's default.
MISSING_VALUES = ("", "NA")
IDENTIFIERS = ("string", "integer")

_FIELD_KEYS = {"name", "from", "scale", "offset", "missingValues", "categories"}
_CATEGORY_KEYS = {"name", "from"}
_IDENTIFIER_KEYS = {"column", "type"}
_WHOLE = re.compile(r"\+?(-?)0*([0-9]+)(\.0*)?")


@dataclass(frozen=True)
class Source:
    """Where a field's values stand in the file, and how they are spelt there.

    `column`: of the file. A value in the field's unit is the number in the file x `scale` + `offset`. `categories`:
    (local name, category) pairs; a local name is spelt as `spelling` has it, and a category that has a local name is
    known by its local names alone. `missing_values`: texts that stand for a missing value in this column.
    """

    field: Field
    column: str
    scale: float = 1.0
    offset: float = 0.0
    categories: tuple[tuple[str, str], ...] = ()
    missing_values: tuple[str, ...] = MISSING_VALUES

    @property
    def converts(self) -> bool:
        return (self.scale, self.offset) != (1.0, 0.0)


@dataclass(frozen=True)
class Schema(DataSchema):
    """A DataSchema and the columns of the local file. `sources`: one for each field, in their order. `identifier`: the
    patient's. It is no field of the DataSchema."""

    sources: tuple[Source, ...]
    identifier: Source

    @property
    def columns(self) -> tuple[Source, ...]:
        """All columns that are read, the identifier first."""
        return (self.identifier, *self.sources)


def parse(schema: Any, dataset: Mapping[str, Any]) -> Schema:
    """Joins DataSchema.spec and Dataset.spec, as they stand in the API.

    Raises SchemaInvalid with all faults of both.
    """
    shared = dataschema.check(schema)
    local = _Local(shared, dataset)
    sources = [local.source(field) for field in shared.fields]
    identifier = local.identifier()
    faults = (*shared.faults, *local.faults, *_shared_columns(local, identifier))
    if faults or identifier is None:
        raise SchemaInvalid(*faults)
    return Schema(shared.fields, shared.target, tuple(sources), identifier)


def spelling(kind: str, text: str) -> str:
    """A value's text as local names of categories are compared: 1, 01, +1 and 1.0 are one integer, and `true` and
    `TRUE` one boolean."""
    if kind in dataschema.NUMERIC:
        match = _WHOLE.fullmatch(text)
        return text if match is None else f"{match[1]}{match[2]}" if match[2] != "0" else "0"
    if kind == "boolean":
        return "true" if text in dataschema.TRUE else "false" if text in dataschema.FALSE else text
    return text


class _Local:
    """Reads what a Dataset says of the file, and collects the faults."""

    def __init__(self, shared: dataschema.CheckedDataSchema, dataset: Mapping[str, Any]) -> None:
        self._shared, self._dataset = shared, dataset
        self.faults: list[str] = []
        self._missing_values = self._texts("spec", "missingValues", dataset.get("missingValues"), MISSING_VALUES)
        self._entries = self._listed_fields(dataset.get("fields"))

    def source(self, field: Field) -> Source:
        entry = self._entries.get(field.name, {})
        place = f"field {field.name!r}"
        own_missing = self._texts(place, "missingValues", entry.get("missingValues"), ())
        missing_values = tuple(dict.fromkeys((*self._missing_values, *own_missing)))
        scale, offset = self._conversion(field, entry)
        return Source(
            field=field,
            column=self.column(field.name),
            scale=scale,
            offset=offset,
            categories=self._categories(field, entry.get("categories"), missing_values),
            missing_values=missing_values,
        )

    def identifier(self) -> Source | None:
        raw = self._dataset.get("identifier")
        if not isinstance(raw, Mapping):
            self._fault("identifier is missing. Write identifier: {column: ..., type: string}")
            return None
        for fault in dataschema.unknown_keys("identifier", raw, _IDENTIFIER_KEYS):
            self._fault(fault)
        column, kind = raw.get("column"), raw.get("type")
        if kind not in IDENTIFIERS:
            self._fault(f"identifier.type has to be one of {', '.join(IDENTIFIERS)}")
        if not isinstance(column, str) or not column:
            self._fault("identifier.column has to name the file's column that identifies the patient")
            return None
        field = Field(column, str(kind), required=True)
        return Source(field, column, missing_values=self._missing_values)

    def column(self, name: str) -> str:
        """The file's column of a field."""
        column = self._entries.get(name, {}).get("from")
        return column if isinstance(column, str) and column else name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all fields of the DataSchema, with the fields that have faults."""
        return self._shared.names

    def _fault(self, text: str) -> None:
        self.faults.append(f"Dataset: {text}")

    def _listed_fields(self, raw_fields: Any) -> dict[str, Mapping[str, Any]]:
        """The entries of Dataset.spec.fields by name."""
        if raw_fields is None:
            return {}
        if not isinstance(raw_fields, Sequence) or isinstance(raw_fields, str):
            self._fault(
                "the Dataset's spec.fields has to be a list. Each entry needs the name of a field of the DataSchema"
            )
            return {}
        entries: dict[str, Mapping[str, Any]] = {}
        for raw in raw_fields:
            name = raw.get("name") if isinstance(raw, Mapping) else None
            if not isinstance(name, str) or not name:
                self._fault("each entry of spec.fields needs the name of a field of the DataSchema")
                continue
            self._check_entry(name, raw, entries)
            entries.setdefault(name, raw)
        return entries

    def _check_entry(self, name: str, raw: Mapping[str, Any], earlier: Mapping[str, Mapping[str, Any]]) -> None:
        place = f"field {name!r}"
        if name in earlier:
            columns = [str(each.get("from", name)) for each in (earlier[name], raw)]
            if columns[0] == columns[1]:
                self._fault(f"{place} is listed twice. Remove one of the two entries")
            else:
                self._fault(
                    f"{place} has two entries, which read the columns {columns[0]!r} and {columns[1]!r}. Remove one of "
                    "the entries"
                )
        elif name not in self._shared.names and self._shared.names:
            known = listed(self._shared.names)
            self._fault(f"{place} is no field of the DataSchema. Write one of {known}, or remove the entry")
        for fault in dataschema.unknown_keys(place, raw, _FIELD_KEYS):
            self._fault(fault)
        column = raw.get("from", name)
        if not isinstance(column, str) or not column:
            self._fault(f"{place}: from has to be the name of a column of the file")

    def _texts(self, place: str, key: str, values: Any, default: tuple[str, ...]) -> tuple[str, ...]:
        if values is None:
            return default
        texts = strings(values)
        if texts is None:
            self._fault(f"{place}: {key} has to be a list of texts. Write each in quotes")
        return default if texts is None else tuple(text.strip() for text in texts)

    def _conversion(self, field: Field, entry: Mapping[str, Any]) -> tuple[float, float]:
        """Scale and offset."""
        place = f"field {field.name!r}"
        given = [key for key in ("scale", "offset") if entry.get(key) is not None]
        if given and not field.numeric:
            self._fault(f"{place} is a {field.type} and takes no {' and no '.join(given)}. Remove {_them(given)}")
            return 1.0, 0.0
        if given and field.categories:
            self._fault(
                f"{place} has categories and takes no {' and no '.join(given)}. Write the file's names in categories"
            )
            return 1.0, 0.0
        numbers = {"scale": 1.0, "offset": 0.0}
        for key in given:
            number = dataschema.value("number", entry[key])
            if number is None:
                self._fault(f'{place}: {key} is no number. Write it in quotes, with a decimal point, such as "0.1"')
            elif key == "scale" and number == 0:
                self._fault(
                    f"{place}: a scale of 0 makes all values equal. Write the factor by which the values are multiplied"
                )
            else:
                numbers[key] = number
        return numbers["scale"], numbers["offset"]

    def _categories(self, field: Field, values: Any, missing_values: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """(local name, category) pairs."""
        if values is None:
            return ()
        place = f"field {field.name!r}"
        if field.type != "boolean" and not field.categories:
            self._fault(f"{place} has no categories in the DataSchema. Remove categories from the Dataset")
            return ()
        if not isinstance(values, Sequence) or isinstance(values, str):
            self._fault(f"{place}: categories has to be a list of entries with name and from")
            return ()
        pairs: dict[str, str] = {}
        for entry in values:
            pair = self._category(field, entry)
            if pair is None:
                continue
            local, category = spelling(field.type, pair[0]), spelling(field.type, pair[1])
            if local in pairs:
                self._fault(
                    f"{place}: the value {pair[0]!r} of the file stands for two categories. Remove it from one of them"
                )
            elif pair[0] in missing_values:
                self._fault(
                    f"{place}: {pair[0]!r} stands both for a category and, in missingValues, for a missing value. "
                    "Remove it from one of the two"
                )
            pairs.setdefault(local, category)
        renamed = set(pairs.values())
        for local, category in pairs.items():
            if local not in renamed and _is_category(field, local):
                self._fault(
                    f"{place}: the value {local!r} of the file stands for the category {category!r}, but there is also "
                    f"a category {local!r}. Say which value of the file stands for the category {local!r}"
                )
        return tuple(pairs.items())

    def _category(self, field: Field, entry: Any) -> tuple[str, str] | None:
        """(local name, category) of one entry."""
        place = f"field {field.name!r}"
        name, local = (entry.get("name"), entry.get("from")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(local, str) or not local.strip():
            self._fault(
                f"{place}: each entry of categories needs name (a category) and from (its local name), in quotes"
            )
            return None
        for fault in dataschema.unknown_keys(f"{place}: a category", entry, _CATEGORY_KEYS):
            self._fault(fault)
        if not _is_category(field, name):
            categories = "true, false" if field.type == "boolean" else listed(_category_names(field))
            self._fault(f"{place}: {name!r} is no category of the DataSchema. Write one of {categories}")
            return None
        return local.strip(), name


def _is_category(field: Field, text: str) -> bool:
    value = dataschema.category(field.type, text)
    return value is not None and (field.type == "boolean" or value in field.categories)


def _category_names(field: Field) -> list[str]:
    write: Callable[[Any], str] = str if field.type == "string" else "{:g}".format
    return [write(each) for each in field.categories]


def _shared_columns(local: _Local, identifier: Source | None) -> list[str]:
    """A fault for each column of the file that several fields, or a field and the identifier, have as their own."""
    fields: dict[str, list[str]] = defaultdict(list)
    for name in local.names:
        fields[local.column(name)].append(name)
    faults = [
        f"Dataset: the fields {listed(names)} all read the column {column!r}. Only one field may read a column. In "
        "spec.fields, set from of each other field to the name of its own column"
        for column, names in fields.items()
        if len(names) > 1
    ]
    if identifier is not None and (names := fields.get(identifier.column)):
        faults.append(
            f"Dataset: the column {identifier.column!r} is the identifier and also field {names[0]!r}. Training code "
            "must not see an identifier: write another column in one of the two places"
        )
    return faults


def _them(keys: Sequence[str]) -> str:
    return "it" if len(keys) == 1 else "them"
