"""The subset of Table Schema: which schemas are accepted, and the messages of those refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.pod import world
from wardround.tabular import schema


def changed(field: str, **changes: Any) -> dict[str, Any]:
    document = copy.deepcopy(world.SCHEMA)
    for entry in document["fields"]:
        if entry["name"] == field:
            entry.update(changes)
    return document


def test_features_are_numeric_fields_except_target_and_identifier() -> None:
    assert [field.name for field in schema.parse(world.SCHEMA).features] == ["mean_radius", "age"]


FIELDS = world.SCHEMA["fields"]


def digest(document: dict[str, Any]) -> str:
    return schema.digest(schema.parse(document))


def columns(document: dict[str, Any]) -> str:
    return schema.columns_digest(schema.parse(document))


@pytest.mark.parametrize(
    "own",
    [
        dict(reversed(world.SCHEMA.items())),
        {**world.SCHEMA, "missingValues": ["?"]},
        {**world.SCHEMA, "fields": [*FIELDS[1:], {"name": "ward", "type": "string"}, FIELDS[0]]},
        changed("patient_id", name="patient_id", constraints={"enum": ["P1", "P2"]}),
        changed("mean_radius", description="by the new scanner", constraints={"minimum": "0.0", "maximum": "50"}),
    ],
    ids=["order of keys", "missing values", "other fields", "identifier", "words"],
)
def test_parts_that_a_hospital_may_choose_do_not_change_the_digest(own: dict[str, Any]) -> None:
    assert digest(own) == digest(world.SCHEMA)
    assert columns(own) == columns(world.SCHEMA)


@pytest.mark.parametrize(
    "other",
    [
        {**world.SCHEMA, "fields": [FIELDS[0], FIELDS[2], FIELDS[1], FIELDS[3]]},
        {**world.SCHEMA, "fields": [*FIELDS, {"name": "texture", "type": "number"}]},
        changed("age", unit="a"),
        changed("age", type="number"),
        changed("age", constraints={"minimum": "18"}),
        changed("age", constraints={"minimum": "0", "maximum": "120"}),
        changed("age", constraints={"minimum": "0", "enum": ["1", "2"]}),
        changed("malignant", constraints={"required": True, "minimum": "0", "maximum": "1"}),
    ],
    ids=["order", "one more", "unit", "type", "minimum", "maximum", "enum", "target"],
)
def test_parts_that_must_be_equal_in_a_round_change_the_digest(other: dict[str, Any]) -> None:
    assert digest(other) != digest(world.SCHEMA)


@pytest.mark.parametrize(
    "other",
    [
        {**world.SCHEMA, "fields": [FIELDS[0], FIELDS[2], FIELDS[1], FIELDS[3]]},
        {**world.SCHEMA, "fields": [*FIELDS, {"name": "texture", "type": "number"}]},
        changed("age", name="years"),
        changed("age", unit="a"),
        changed("malignant", unit="grade"),
        {**changed("age", constraints={"minimum": "0", "maximum": "1"}), "target": "age"},
    ],
    ids=["order", "one more", "name", "unit", "unit of the target", "another target"],
)
def test_parts_that_must_be_equal_along_a_chain_change_the_columns_digest(other: dict[str, Any]) -> None:
    assert columns(other) != columns(world.SCHEMA)


@pytest.mark.parametrize(
    "later",
    [
        changed("age", type="number"),
        changed("age", constraints={"minimum": "18", "maximum": "120"}),
        changed("age", constraints={"minimum": "0", "enum": ["1", "2"]}),
        changed("malignant", constraints={"enum": ["0", "1"]}),
    ],
    ids=["type", "bounds", "enum", "enum of the target"],
)
def test_types_bounds_and_enums_do_not_change_the_columns_digest(later: dict[str, Any]) -> None:
    assert columns(later) == columns(world.SCHEMA)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "no fields"),
        ({**world.SCHEMA, "fields": "all"}, "no fields"),
        ({**world.SCHEMA, "primaryKey": "x"}, "primaryKey"),
        ({**world.SCHEMA, "target": "death"}, "target must be the name"),
        ({**world.SCHEMA, "identifier": "malignant"}, "both target and identifier"),
        ({**world.SCHEMA, "missingValues": "NA"}, "missingValues must be a list"),
        ({**world.SCHEMA, "fields": [*world.SCHEMA["fields"], {"name": "age", "type": "integer"}]}, "listed twice"),
        (changed("age", type="duration"), "unknown type"),
        (changed("age", constraints={"unique": True}), "unique"),
        (changed("age", constraints={"minimum": 0}), "must be written as a string"),
        (changed("age", constraints={"minimum": "none"}), "not a finite integer"),
        (changed("age", constraints={"minimum": "5", "maximum": "4"}), "minimum lies above maximum"),
        (changed("patient_id", unit="mm"), "has a unit, but is not a number"),
        (changed("patient_id", type="number"), "identifier 'patient_id' must be"),
        (changed("malignant", type="string", constraints={}), "target 'malignant' must be"),
    ],
)
def test_an_invalid_schema_is_refused_and_the_message_names_the_field(document: dict[str, Any], words: str) -> None:
    with pytest.raises(schema.SchemaInvalid, match=words):
        schema.parse(document)


@pytest.mark.parametrize(
    ("changes", "binary"),
    [
        ({}, True),
        ({"type": "boolean", "constraints": {}}, True),
        ({"constraints": {"minimum": "0", "maximum": "1"}}, True),
        ({"type": "number", "constraints": {"minimum": "0", "maximum": "1"}}, False),
        ({"constraints": {"enum": ["0", "1", "2"]}}, False),
    ],
)
def test_a_target_is_binary_only_if_the_schema_allows_only_0_and_1(changes: dict[str, Any], binary: bool) -> None:
    assert schema.parse(changed("malignant", **changes)).binary_target is binary
