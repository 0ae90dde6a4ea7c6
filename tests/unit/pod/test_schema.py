"""The Table Schema subset: what is read, and what is refused with which words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.pod import world
from wardround.pod import schema


def changed(field: str, **changes: Any) -> dict[str, Any]:
    document = copy.deepcopy(world.SCHEMA)
    for entry in document["fields"]:
        if entry["name"] == field:
            entry.update(changes)
    return document


def test_features_are_numbers_and_integers_without_target_and_identifier_in_schema_order() -> None:
    assert [field.name for field in schema.parse(world.SCHEMA).features] == ["mean_radius", "age"]


def test_equal_schemas_have_equal_digests_whatever_the_order_of_keys() -> None:
    turned = dict(reversed(world.SCHEMA.items()))
    assert schema.digest(turned) == schema.digest(world.SCHEMA)
    assert schema.digest(changed("age", unit="a")) != schema.digest(world.SCHEMA)


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
        (changed("age", constraints={"minimum": "none"}), "no finite integer"),
        (changed("age", constraints={"minimum": "5", "maximum": "4"}), "minimum lies above maximum"),
        (changed("patient_id", unit="mm"), "unit but is no number"),
        (changed("patient_id", type="number"), "identifier 'patient_id' must be"),
        (changed("malignant", type="string", constraints={}), "target 'malignant' must be"),
    ],
)
def test_a_wrong_schema_is_refused_and_the_field_named(document: dict[str, Any], words: str) -> None:
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
def test_a_target_is_binary_only_if_the_schema_promises_it(changes: dict[str, Any], binary: bool) -> None:
    assert schema.parse(changed("malignant", **changes)).binary_target is binary
