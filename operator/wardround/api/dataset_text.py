"""The text of a Dataset's spec in WARDROUND_DATASET, from which `prepare` reads it; knows no Jobs, files or rows.

The site chart's admission policy (policies/training-dataset.yaml) writes the same text from the Dataset (variable_text
says how).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from wardround.api.variable_text import Members, items, members, quoted, quoted_items, truth
from wardround.api.variable_text import fault as variable_fault

CONSTRAINTS: Members = {
    "required": truth,
    "minimum": quoted,
    "maximum": quoted,
    "enum": quoted_items,
}
FIELD: Members = {
    "name": quoted,
    "type": quoted,
    "unit": quoted,
    "description": quoted,
    "constraints": functools.partial(members, CONSTRAINTS),
}
SCHEMA: Members = {
    "fields": functools.partial(items, functools.partial(members, FIELD)),
    "target": quoted,
    "identifier": quoted,
    "missingValues": quoted_items,
}
SPLIT: Members = {"keyFile": quoted, "validation": quoted, "test": quoted}
SPEC: Members = {
    "path": quoted,
    "format": quoted,
    "schema": functools.partial(members, SCHEMA),
    "split": functools.partial(members, SPLIT),
}


def dump(spec: Mapping[str, Any]) -> str:
    """The text of Dataset.spec, an object of the API, without its claim. Absent fields are left out."""
    return members(SPEC, spec)


def fault(spec: Mapping[str, Any]) -> str:
    """Why no environment variable can hold this Dataset, for the hospital's data team; empty if one can."""
    return variable_fault(dump(spec), "leave out fields, descriptions or values of enums")
