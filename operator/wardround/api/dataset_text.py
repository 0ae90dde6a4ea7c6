"""The text of a Dataset's spec in WARDROUND_DATASET, from which `prepare` reads it; knows no Jobs, files or rows.

The site chart's admission policy (policies/training-dataset.yaml) writes the same text from the Dataset (variable_text
says how).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from wardround.api.variable_text import Members, items, members, quoted, quoted_items
from wardround.api.variable_text import fault as variable_fault

IDENTIFIER: Members = {"column": quoted, "type": quoted}
CATEGORY: Members = {"name": quoted, "from": quoted}
FIELD: Members = {
    "name": quoted,
    "from": quoted,
    "scale": quoted,
    "offset": quoted,
    "missingValues": quoted_items,
    "categories": functools.partial(items, functools.partial(members, CATEGORY)),
}
SPLIT: Members = {"keyFile": quoted, "validation": quoted, "test": quoted}
SPEC: Members = {
    "path": quoted,
    "format": quoted,
    "identifier": functools.partial(members, IDENTIFIER),
    "fields": functools.partial(items, functools.partial(members, FIELD)),
    "missingValues": quoted_items,
    "columnsVersion": str,
    "split": functools.partial(members, SPLIT),
}


def dump(spec: Mapping[str, Any]) -> str:
    """The text of Dataset.spec, an object of the API, without its claim and the name of its DataSchema.

    Absent fields are left out.
    """
    return members(SPEC, spec)


def fault(spec: Mapping[str, Any]) -> str:
    """Why no environment variable can hold this Dataset, for the hospital's data team; empty if one can."""
    return variable_fault(dump(spec), "leave out fields or categories")
