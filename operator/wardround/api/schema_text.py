"""The text of a DataSchema's spec for `prepare`, and the digests by which both sides compare it; knows no rows.

The site chart's admission policy (policies/training-schema.yaml) writes the same text from the DataSchema
(variable_text says how). Descriptions are for people, so the text leaves them out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from wardround.api.variable_text import Members, items, members, quoted, quoted_items, truth
from wardround.api.variable_text import fault as variable_fault
from wardround.wire import digests

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
# Hexadecimal characters of a field's digest.
FIELD_DIGEST = 12


def dump(spec: Mapping[str, Any]) -> str:
    """The text of DataSchema.spec, an object of the API. Absent fields are left out."""
    return members(SPEC, spec)


def fault(spec: Mapping[str, Any]) -> str:
    """Why no environment variable can hold this DataSchema; empty if one can."""
    return variable_fault(dump(spec), "leave out fields or categories")


def digest(spec: Mapping[str, Any]) -> str:
    """SHA-256 of all that a DataSchema means: its fields in their order, and its target."""
    return digests.digest(dump(spec).encode())


def field_digest(field: Mapping[str, Any]) -> str:
    """The beginning of the SHA-256 of one of `spec.fields`. It finds the field that differs, and proves nothing."""
    return digests.digest(members(FIELD, field).encode()).removeprefix("sha256:")[:FIELD_DIGEST]
