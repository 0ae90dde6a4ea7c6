"""A DataSchema joined with a Dataset: what is read from which column, and the faults, which come all at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.tabular.heart import DATASET, SCHEMA, dataset_with, schema_with
from wardround.tabular import dataschema, schema
from wardround.tabular.dataschema import SchemaInvalid


def faults(dataset: dict[str, Any], data_schema: Any = SCHEMA) -> tuple[str, ...]:
    with pytest.raises(SchemaInvalid) as caught:
        schema.parse(data_schema, dataset)
    return caught.value.faults


def test_a_field_is_read_from_its_local_column_and_in_its_local_unit() -> None:
    table = schema.parse(SCHEMA, DATASET)
    assert [each.column for each in table.sources] == ["ALTER", "GEWICHT", "sex", "smoker", "seen", "ill"]
    assert table.columns[0].column == "FALL"
    by_name = {each.field.name: each for each in table.sources}
    assert (by_name["weight"].scale, by_name["weight"].offset, by_name["weight"].converts) == (0.001, 0.0, True)
    assert by_name["sex"].categories == (("w", "female"), ("m", "male"))
    assert by_name["age"].missing_values == ("", "NA", "-1")
    assert by_name["smoker"] == schema.Source(table.field("smoker"), "smoker")
    assert (table.identifier.field.type, table.identifier.field.required) == ("string", True)


def test_the_dataset_changes_nothing_of_what_the_federation_means() -> None:
    table = schema.parse(SCHEMA, DATASET)
    assert dataschema.digest(table) == dataschema.digest(dataschema.parse(SCHEMA))
    assert [each.name for each in table.features] == ["age", "weight"]


def test_a_dataset_without_local_names_reads_the_fields_as_they_are() -> None:
    table = schema.parse(SCHEMA, {"identifier": {"column": "id", "type": "integer"}})
    assert all(each == schema.Source(each.field, each.field.name) for each in table.sources)
    assert table.identifier.missing_values == ("", "NA")


SEX = [{"name": "female", "from": "w"}, {"name": "male", "from": "m"}]


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (
            {**DATASET, "fields": [*DATASET["fields"], {"name": "age", "from": "AGE"}]},
            "field 'age' has two entries, which read the columns 'ALTER' and 'AGE'. Remove one of the",
        ),
        (
            {**DATASET, "fields": [*DATASET["fields"], DATASET["fields"][0]]},
            "field 'age' is listed twice. Remove one of the two entries",
        ),
        (
            dataset_with("weight", from_="ALTER"),
            "the fields age, weight all read the column 'ALTER'. Only one field may",
        ),
        (dataset_with("weight", from_="smoker"), "the fields weight, smoker all read the column 'smoker'"),
        (dataset_with("age", from_="FALL"), "the column 'FALL' is the identifier and also field 'age'"),
        (
            {**DATASET, "identifier": {"column": "smoker", "type": "string"}},
            "the column 'smoker' is the identifier and also field 'smoker'",
        ),
        (
            dataset_with("pulse", from_="PULS"),
            "field 'pulse' is no field of the DataSchema. Write one of age, weight, sex, smoker, seen, ill, or remove",
        ),
        (dataset_with("age", minimum="0"), "field 'age' has the unknown key 'minimum'. Known are categories, from"),
        (dataset_with("age", from_=""), "field 'age': from has to be the name of a column"),
        (dataset_with("weight", scale="0"), "field 'weight': a scale of 0 makes all values equal"),
        (dataset_with("weight", scale="0.00"), "field 'weight': a scale of 0 makes all values equal"),
        (dataset_with("weight", scale="2,5"), "field 'weight': scale is no number. Write it in quotes, with a decimal"),
        (dataset_with("weight", scale=2), "field 'weight': scale is no number"),
        (dataset_with("weight", offset="nan"), "field 'weight': offset is no number"),
        (dataset_with("weight", offset="1e999"), "field 'weight': offset is no number"),
        (dataset_with("seen", scale="2"), "field 'seen' is a date and takes no scale. Remove it"),
        (dataset_with("sex", scale="2", offset="1"), "is a string and takes no scale and no offset. Remove them"),
        (
            dataset_with("ill", offset="-1"),
            "field 'ill' has categories and takes no offset. Write the file's names in categories",
        ),
        (
            dataset_with("sex", categories=[*SEX, {"name": "divers", "from": "d"}]),
            "field 'sex': 'divers' is no category of the DataSchema. Write one of female, male",
        ),
        (
            dataset_with("ill", categories=[{"name": "2", "from": "3"}]),
            "'2' is no category of the DataSchema. Write one",
        ),
        (
            dataset_with("smoker", categories=[{"name": "ja", "from": "j"}]),
            "field 'smoker': 'ja' is no category of the DataSchema. Write one of true, false",
        ),
        (
            dataset_with("age", categories=[{"name": "18", "from": "a"}]),
            "field 'age' has no categories in the DataSchema. Remove categories",
        ),
        (
            dataset_with("sex", categories=[SEX[0], {"name": "male", "from": " w "}]),
            "field 'sex': the value 'w' of the file stands for two categories",
        ),
        (
            dataset_with("ill", categories=[{"name": "0", "from": "2"}, {"name": "1", "from": "2.0"}]),
            "field 'ill': the value '2.0' of the file stands for two categories",
        ),
        (
            dataset_with("sex", categories=[{"name": "female", "from": "male"}]),
            "field 'sex': the value 'male' of the file stands for the category 'female', but there is also",
        ),
        (
            dataset_with("sex", categories=[{"name": "female", "from": "NA"}]),
            "field 'sex': 'NA' stands both for a category and, in missingValues, for a missing value",
        ),
        (dataset_with("sex", categories=[{"name": "female"}]), "field 'sex': each entry of categories needs name"),
        (dataset_with("sex", categories=[{**SEX[0], "to": "x"}]), "field 'sex': a category has the unknown key 'to'"),
        (dataset_with("sex", categories="w"), "field 'sex': categories has to be a list"),
        (dataset_with("age", missingValues="-1"), "field 'age': missingValues has to be a list of texts"),
        ({**DATASET, "missingValues": [-1]}, "spec: missingValues has to be a list of texts"),
        ({**DATASET, "fields": {"age": "ALTER"}}, "spec.fields has to be a list"),
        ({**DATASET, "fields": [*DATASET["fields"], {"from": "x"}]}, "each entry of spec.fields needs the name"),
        ({**DATASET, "identifier": None}, "identifier is missing. Write identifier: {column: ..., type: string}"),
        ({**DATASET, "identifier": {"type": "string"}}, "identifier.column has to name the file's column"),
        (
            {**DATASET, "identifier": {"column": "FALL", "type": "number"}},
            "identifier.type has to be one of string, int",
        ),
        (
            {**DATASET, "identifier": {"column": "FALL", "type": "string", "salt": "x"}},
            "identifier has the unknown key 'salt'",
        ),
    ],
)
def test_a_fault_names_the_field_and_says_what_to_write(dataset: dict[str, Any], words: str) -> None:
    [fault] = faults(dataset)
    assert fault.startswith("Dataset: ")
    assert words in fault


def test_all_faults_of_both_objects_are_told_at_once() -> None:
    dataset = {
        "identifier": {"column": "ALTER", "type": "number"},
        "fields": [
            {"name": "age", "from": "ALTER", "scale": "0"},
            {"name": "weight", "from": "ALTER", "offset": "x"},
            {"name": "sex", "categories": [{"name": "divers", "from": "d"}]},
            {"name": "pulse"},
        ],
    }
    messages = faults(dataset, schema_with("seen", minimum="1.1.2020"))
    assert len(messages) == 8
    assert [each.partition(":")[0] for each in messages] == ["DataSchema", *["Dataset"] * 7]


def test_a_field_with_a_fault_in_the_dataschema_is_no_fault_of_the_dataset() -> None:
    [fault] = faults(DATASET, schema_with("age", minimum="none"))
    assert fault.startswith("DataSchema: field 'age'")


def test_a_category_may_have_several_local_names_and_categories_may_be_exchanged() -> None:
    pairs = [{"name": "female", "from": "male"}, {"name": "male", "from": "female"}, {"name": "male", "from": "M"}]
    table = schema.parse(SCHEMA, dataset_with("sex", categories=pairs))
    assert table.sources[2].categories == (("male", "female"), ("female", "male"), ("M", "male"))
