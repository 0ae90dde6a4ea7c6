"""A site compares the DataSchema of a round with that of the hospital's Dataset."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.plans_site.test_assignment import decided
from tests.worlds.site import ASSIGNMENT, SCHEMA, signed

ROUND_FIELDS = SCHEMA["fields"]
ORDER = 'its name is "radius" in the round\'s DataSchema, and "area" in the hospital\'s DataSchema.'
DIFFERENCES: dict[str, tuple[Any, str]] = {
    "another order": ([*ROUND_FIELDS[1::-1], ROUND_FIELDS[2]], ORDER),
    "another unit": (
        [{**ROUND_FIELDS[0], "unit": "cm"}, *ROUND_FIELDS[1:]],
        'The first field that differs is "radius":',
    ),
    "another bound": (
        [*ROUND_FIELDS[:1], {**ROUND_FIELDS[1], "minimum": "0"}, ROUND_FIELDS[2]],
        '"area": its type, unit',
    ),
    "a field less": (ROUND_FIELDS[1:], ORDER),
    "a field more": (
        [*ROUND_FIELDS, {"name": "side", "type": "string"}],
        "The hospital's DataSchema has the field \"side\", and the round's DataSchema does not have this field.",
    ),
    "no field": ([], "The Dataset has no valid DataSchema."),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_site_refuses_another_schema_and_names_the_first_field_that_differs(case: str) -> None:
    fields, words = DIFFERENCES[case]
    decision = decided(schemas={"breast": {**SCHEMA, "fields": fields}})
    assert (decision.outcome, decision.reason) == ("Refused", "DatasetDiffers")
    assert (
        "The DataSchema of the hospital's Dataset breast differs from the DataSchema of the round." in decision.message
    )
    assert words in decision.message


def test_a_site_without_the_schema_refuses_and_descriptions_do_not_differ() -> None:
    assert decided(schemas={"breast": None}).reason == "DatasetDiffers"
    described = {**SCHEMA, "fields": [{**ROUND_FIELDS[0], "description": "of the nuclei"}, *ROUND_FIELDS[1:]]}
    assert decided(schemas={"breast": described}).outcome == "Accepted"
    targets = {**SCHEMA, "target": "area"}
    assert "the round's DataSchema has another target" in decided(schemas={"breast": targets}).message


def test_a_hub_cannot_steer_a_terminal_by_names_of_fields() -> None:
    schema = ASSIGNMENT.schema
    fields = (dataclasses.replace(schema.fields[0], name="\x1b[2J"), *schema.fields[1:])
    decision = decided({"envelope": signed(schema=dataclasses.replace(schema, fields=fields))})
    assert (decision.reason, decision.field) == ("AssignmentUnreadable", "schema.fields[0].name")
    quoted = (dataclasses.replace(schema.fields[0], name='a" \\ \u00e9'), *schema.fields[1:])
    decision = decided({"envelope": signed(schema=dataclasses.replace(schema, fields=quoted))})
    assert 'is "a\\" \\\\ \\u00e9" in the round' in decision.message
