"""The text of a DataSchema's spec in WARDROUND_SCHEMA, from which `prepare` reads it; knows no Jobs, files or rows.

The site chart's admission policy (policies/training-schema.yaml) writes the same text from the DataSchema
(variable_text says how). Descriptions are for people, so the text leaves them out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from wardround.api.variable_text import Members, items, members, quoted, quoted_items, truth
from wardround.api.variable_text import fault as variable_fault

FIELD: Members = {
    "name": quoted,
    "type": quoted,
    "unit": quoted,
    "minimum": quoted,
    "maximum": quoted,
    "required": truth,
    "categories": quoted_items,
}
SPEC: Members = {
    "fields": functools.partial(items, functools.partial(members, FIELD)),
    "target": quoted,
}


def dump(spec: Mapping[str, Any]) -> str:
    """The text of DataSchema.spec, an object of the API. Absent fields are left out."""
    return members(SPEC, spec)


def fault(spec: Mapping[str, Any]) -> str:
    """Why no environment variable can hold this DataSchema; empty if one can."""
    return variable_fault(dump(spec), "leave out fields or categories")
