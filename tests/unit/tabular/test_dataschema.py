"""The DataSchema alone: what its digests cover, and which faults it may have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.tabular.heart import SCHEMA, schema_with
from wardround.tabular import dataschema
from wardround.tabular.dataschema import SchemaInvalid

FIELDS = SCHEMA["fields"]


def digest(document: dict[str, Any]) -> str:
    return dataschema.digest(dataschema.parse(document))


def columns(document: dict[str, Any]) -> str:
    return dataschema.columns_digest(dataschema.parse(document))


def test_features_are_the_numbers_and_integers_except_the_target() -> None:
    schema = dataschema.parse(SCHEMA)
    assert [each.name for each in schema.features] == ["age", "weight"]
    assert schema.unused == (("sex", "String"), ("smoker", "Boolean"), ("seen", "Date"))
    assert (schema.classes, schema.binary_target) == ((0.0, 1.0), True)


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(SCHEMA.items())),
        schema_with("age", description="another text"),
        schema_with("age", description=None),
        schema_with("age", minimum="18.0"),
        schema_with("weight", required=False),
    ],
    ids=["order of keys", "description", "no description", "spelling of a number", "a default"],
)
def test_words_and_spellings_do_not_change_the_digests(same: dict[str, Any]) -> None:
    assert digest(same) == digest(SCHEMA)
    assert columns(same) == columns(SCHEMA)
    assert dataschema.field_digests(dataschema.parse(same)) == dataschema.field_digests(dataschema.parse(SCHEMA))


@pytest.mark.parametrize(
    ("other", "fields"),
    [
        ({**SCHEMA, "fields": [FIELDS[1], FIELDS[0], *FIELDS[2:]]}, ["weight", "age"]),
        ({**SCHEMA, "fields": [*FIELDS, {"name": "pulse", "type": "number"}]}, ["pulse"]),
        ({**SCHEMA, "target": "smoker"}, []),
        (schema_with("age", unit="mo"), ["age"]),
        (schema_with("age", type="number"), ["age"]),
        (schema_with("age", minimum="17"), ["age"]),
        (schema_with("age", maximum="119"), ["age"]),
        (schema_with("sex", required=True), ["sex"]),
        (schema_with("sex", categories=["female", "male", "unknown"]), ["sex"]),
        (schema_with("sex", categories=["male", "female"]), ["sex"]),
        (schema_with("seen", minimum="2020-01-02"), ["seen"]),
    ],
    ids=[
        "order",
        "a field more",
        "target",
        "unit",
        "type",
        "minimum",
        "maximum",
        "required",
        "a category more",
        "order of categories",
        "date",
    ],
)
def test_all_else_changes_the_digest_and_that_of_the_field(other: dict[str, Any], fields: list[str]) -> None:
    assert digest(other) != digest(SCHEMA)
    known = dataschema.field_digests(dataschema.parse(SCHEMA))
    digests = dataschema.field_digests(dataschema.parse(other))
    assert {len(each) for _, each in digests} == {dataschema.FIELD_DIGEST}
    differing = [each[0] for place, each in enumerate(digests) if place >= len(known) or each != known[place]]
    assert differing == fields


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (schema_with("age", minimum="0"), True),
        (schema_with("age", type="number"), True),
        (schema_with("sex", categories=None), True),
        (schema_with("age", unit="mo"), False),
        (schema_with("age", name="years"), False),
        ({**SCHEMA, "fields": [FIELDS[1], FIELDS[0], *FIELDS[2:]]}, False),
        ({**SCHEMA, "target": "smoker"}, False),
    ],
    ids=["bounds", "type", "categories", "unit", "name", "order", "target"],
)
def test_the_columns_digest_covers_names_order_and_units(other: dict[str, Any], same: bool) -> None:
    assert (columns(other) == columns(SCHEMA)) is same


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "spec is missing"),
        ({}, "spec has no fields"),
        ({**SCHEMA, "fields": "all"}, "spec has no fields"),
        ({**SCHEMA, "identifier": "id"}, "unknown key 'identifier'. Known are fields, target"),
        ({**SCHEMA, "fields": [*FIELDS, {"type": "number"}]}, "each field needs a name and a type"),
        ({**SCHEMA, "fields": [*FIELDS, FIELDS[0]]}, "field 'age' is listed twice. Remove one"),
        ({**SCHEMA, "target": "death"}, "target names no field. Write one of age, weight, sex, smoker, seen, ill"),
        ({**SCHEMA, "target": "sex"}, "target 'sex' is a string. Choose a number, integer or boolean"),
        ({"fields": FIELDS[2:], "target": "ill"}, "needs a field of type number or integer"),
        (
            schema_with("age", type="duration"),
            "field 'age': the type of the field is unknown. Write one of string, number",
        ),
        (schema_with("age", constraints={}), "field 'age': the key 'constraints' is unknown. Known are categories"),
        (schema_with("sex", minimum="1"), "field 'sex': a field of type string takes no minimum. Remove minimum"),
        (schema_with("smoker", maximum="1"), "field 'smoker': a field of type boolean takes no maximum"),
        (schema_with("sex", unit="kg"), "field 'sex': a field of type string takes no unit"),
        (schema_with("smoker", categories=["true"]), "'smoker': a field of type boolean takes no categories"),
        (schema_with("age", minimum=18), "field 'age': the minimum is no whole number. Write it in quotes"),
        (schema_with("age", minimum="1.5"), "field 'age': the minimum is no whole number"),
        (schema_with("weight", minimum="none"), "field 'weight': the minimum is no finite number"),
        (schema_with("seen", minimum="1.1.2020"), 'the minimum is no date. Write it in quotes, such as "2024-'),
        (schema_with("age", minimum="130"), "field 'age': the minimum is above the maximum. Exchange them"),
        (schema_with("ill", categories=["0", "yes"]), "field 'ill': a category is no whole number"),
        (schema_with("ill", categories=["1", "1.0"]), "field 'ill': a category stands in the list twice"),
        (schema_with("sex", categories="female"), "field 'sex': categories is no list of texts"),
        (schema_with("sex", categories=[]), "field 'sex': categories is no list of texts"),
        (schema_with("age", unit=7), "field 'age': the unit of the field is no text"),
        (schema_with("age", required="yes"), "field 'age': required is neither true nor false"),
    ],
)
def test_a_fault_names_the_field_and_says_what_to_write(document: Any, words: str) -> None:
    with pytest.raises(SchemaInvalid) as caught:
        dataschema.parse(document)
    [fault] = caught.value.faults
    assert fault.startswith("DataSchema: ")
    assert words in fault


def test_all_faults_are_told_at_once() -> None:
    fields = [
        {"name": "a", "type": "number", "minimum": "2", "maximum": "1", "colour": "red"},
        {"name": "a", "type": "number"},
        {"name": "b", "type": "string", "unit": "mm", "minimum": "x"},
    ]
    with pytest.raises(SchemaInvalid) as caught:
        dataschema.parse({"fields": fields, "target": "c"})
    assert len(caught.value.faults) == 6


def test_a_message_has_the_first_faults_and_the_number_of_others() -> None:
    fields = [{"name": f"x{number}", "type": "none"} for number in range(11)]
    with pytest.raises(SchemaInvalid, match=r"; and 3 more faults$") as caught:
        dataschema.parse({"fields": fields, "target": "x1"})
    assert len(caught.value.faults) == 11
