"""Decides what an assignment says about the round's DataSchema, and how a site's own one differs. Sees no rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from wardround.tabular import dataschema
from wardround.wire.assignment import FIELD_NAME, AssignedField, AssignedSchema


def assigned(spec: Mapping[str, Any]) -> AssignedSchema:
    """`spec`: of the round's DataSchema, as it stands in the API. Raises SchemaInvalid."""
    schema = dataschema.parse(spec)
    for field in schema.fields:
        if not FIELD_NAME.matches(field.name):
            raise dataschema.SchemaInvalid(f"DataSchema: the name {field.name!r} has characters that cannot be printed")
    fields = tuple(AssignedField(name, digest) for name, digest in dataschema.field_digests(schema))
    return AssignedSchema(dataschema.digest(schema), dataschema.columns_digest(schema), fields)


def difference(theirs: AssignedSchema, spec: Mapping[str, Any] | None) -> str:
    """In what the DataSchema of a Dataset differs from the round's, in one sentence; empty if they are equal.

    `spec`: as it stands in the API, None if the DataSchema is missing. Names are written as JSON: the hub chooses its
    names, and these texts come into logs of the hospital.
    """
    try:
        own = assigned(spec or {})
    except dataschema.SchemaInvalid:
        return "The Dataset has no valid DataSchema."
    if own == theirs:
        return ""
    for number, (theirs_field, own_field) in enumerate(zip_longest(theirs.fields, own.fields), 1):
        if theirs_field == own_field:
            continue
        if own_field is None:
            return (
                f"The round's DataSchema has the field {json.dumps(theirs_field.name)}, and the hospital's DataSchema "
                "does not have this field."
            )
        if theirs_field is None:
            return (
                f"The hospital's DataSchema has the field {json.dumps(own_field.name)}, and the round's DataSchema "
                "does not have this field."
            )
        if theirs_field.name != own_field.name:
            names = json.dumps(theirs_field.name), json.dumps(own_field.name)
            return (
                f"The first field that differs is field number {number}: its name is {names[0]} in the round's "
                f"DataSchema, and {names[1]} in the hospital's DataSchema."
            )
        return (
            f"The first field that differs is {json.dumps(own_field.name)}: its type, unit, "
            "required, minimum, maximum or categories differ."
        )
    return "The targets differ: the round's DataSchema has another target than the hospital's DataSchema."
