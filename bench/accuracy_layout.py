"""A table of patients as a hospital's own file has it, by the fields of this hospital's Dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.demo_data import Table

# One of Dataset.spec.fields.
Field = Mapping[str, Any]


def dataset(schema: str, fields: Sequence[Field], identifier: Mapping[str, str]) -> dict[str, Any]:
    """The Dataset of a hospital. `schema`: the name of the DataSchema, and of the Dataset."""
    spec = {
        "claimName": "data",
        "schemaName": schema,
        "path": "cases.csv",
        "identifier": dict(identifier),
        "fields": [dict(each) for each in fields],
        "split": {},
    }
    return {"apiVersion": "wardround.io/v1alpha1", "kind": "Dataset", "metadata": {"name": schema}, "spec": spec}


def exported(table: Table, fields: Sequence[Field], identifier: str) -> Table:
    """The table in the columns, units and category names of a hospital.

    `identifier`: the hospital's name of the first column.
    """
    header, rows = table
    local = {each["name"]: each for each in fields}
    columns = [
        [_local(text, local.get(name, {})) for text in column]
        for name, column in zip(header, zip(*rows, strict=True), strict=True)
    ]
    names = [identifier, *(local.get(name, {}).get("from", name) for name in header[1:])]
    return names, [list(row) for row in zip(*columns, strict=True)]


def categories(**local: str) -> list[dict[str, str]]:
    """A hospital's names of categories. Categories that are numbers have an underscore before them here."""
    return [{"name": name.removeprefix("_"), "from": spelt} for name, spelt in local.items()]


def _local(text: str, field: Field) -> str:
    """A value as a hospital exports it."""
    if "categories" in field:
        return next(str(each["from"]) for each in field["categories"] if each["name"] == text)
    if "scale" in field:
        return f"{(float(text) - float(field.get('offset', '0'))) / float(field['scale']):.12g}"
    return text
