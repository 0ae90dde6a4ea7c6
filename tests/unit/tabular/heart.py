"""A DataSchema and the Dataset of a hospital whose file has its own columns, units and spellings."""

from __future__ import annotations

import copy
from typing import Any

SCHEMA: dict[str, Any] = {
    "fields": [
        {
            "name": "age",
            "type": "integer",
            "unit": "a",
            "minimum": "18",
            "maximum": "120",
            "description": "At diagnosis",
        },
        {"name": "weight", "type": "number", "unit": "kg", "minimum": "0"},
        {"name": "sex", "type": "string", "categories": ["female", "male"]},
        {"name": "smoker", "type": "boolean"},
        {"name": "seen", "type": "date", "minimum": "2020-01-01"},
        {"name": "ill", "type": "integer", "categories": ["0", "1"]},
    ],
    "target": "ill",
}
DATASET: dict[str, Any] = {
    "identifier": {"column": "FALL", "type": "string"},
    "fields": [
        {"name": "age", "from": "ALTER", "missingValues": ["-1"]},
        {"name": "weight", "from": "GEWICHT", "scale": "0.001"},
        {"name": "sex", "categories": [{"name": "female", "from": "w"}, {"name": "male", "from": "m"}]},
        {"name": "ill", "categories": [{"name": "0", "from": "1"}, {"name": "1", "from": "2"}]},
    ],
    "missingValues": ["", "NA"],
}


def schema_with(name: str, /, **changes: Any) -> dict[str, Any]:
    """The DataSchema with another field. None removes a member."""
    return {**SCHEMA, "fields": _changed(SCHEMA["fields"], name, changes)}


def dataset_with(name: str, /, **changes: Any) -> dict[str, Any]:
    """The Dataset with another entry of a field. None removes a member."""
    return {**DATASET, "fields": _changed(DATASET["fields"], name, {key.rstrip("_"): changes[key] for key in changes})}


def _changed(fields: list[dict[str, Any]], name: str, changes: dict[str, Any]) -> list[dict[str, Any]]:
    result = copy.deepcopy(fields)
    entry = next((each for each in result if each["name"] == name), None)
    if entry is None:
        entry = {"name": name}
        result.append(entry)
    entry.update(changes)
    for key in [key for key, value in entry.items() if value is None]:
        del entry[key]
    return result
