"""The largest Dataset and the largest DataSchema that fit into a container are still compared word for word."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.api.admission import refusal, until_admitted, until_refused
from tests.integration.api.apiserver import Api
from tests.integration.api.described import (
    BREAST,
    LARGE,
    NAMESPACE,
    NOT_THERE,
    OPERATOR,
    SCHEMA_WORD_FOR_WORD,
    WORD_FOR_WORD,
    dataset_spec,
    described_site,
    job_for,
    job_of,
    schema_spec,
)
from tests.integration.api.objects import data_schema, dataset
from tests.integration.cluster import Helm
from wardround.api import dataset_text, schema_text, variable_text

Object = dict[str, Any]


@pytest.fixture(scope="module")
def site(api: Api, helm: Helm) -> Iterator[Api]:
    with described_site(api, helm) as made:
        yield made


def _numbers(count: int, **more: Any) -> list[Object]:
    return [{"name": f"laboratory_value_{number:04}", "type": "number", **more} for number in range(count)]


def _categories(count: int) -> list[Object]:
    values = [chr(0x21 + number) if number < 0x5E else f"{number:x}" for number in range(256)]
    return [{"name": f"f{number}", "type": "string", "categories": values} for number in range(count)]


# DataSchemas of so many fields beside the target.
SCHEMA_SHAPES: dict[str, Callable[[int], list[Object]]] = {
    "fields": _numbers,
    "bounds": lambda count: _numbers(count, required=True, unit="mmol/L", minimum="0", maximum="1000"),
    "descriptions": lambda count: _numbers(count, description="$" * 1024),
    "quotes": lambda count: [{"name": f"{number}" + '"' * 120, "type": "string"} for number in range(count)],
    "categories": _categories,
}


def _renamed(count: int, **more: Any) -> list[Object]:
    return [{"name": f"laboratory_value_{number:04}", "from": f"LAB_{number:04}", **more} for number in range(count)]


# Datasets with so many local fields.
DATASET_SHAPES: dict[str, Callable[[int], list[Object]]] = {
    "fields": _renamed,
    "units": lambda count: _renamed(count, scale="0.0555", offset="0", missingValues=["-1", "999"]),
    "quotes": lambda count: _renamed(count, missingValues=["\\" * 64]),
    "missing values": lambda count: _renamed(count, missingValues=[f"{number}" for number in range(32)]),
    "categories": lambda count: _renamed(
        count, categories=[{"name": f"{number:x}", "from": f"{number:x}"} for number in range(256)]
    ),
}
MOST_FIELDS = 999


def _most(fault: Callable[[int], str]) -> int:
    """The largest number of fields without a fault."""
    return bisect.bisect_left(range(1, MOST_FIELDS + 1), 1, key=lambda count: fault(count) != "")


def _schema_of(fields: list[Object]) -> Object:
    return {"fields": [*fields, {"name": "malignant", "type": "integer"}], "target": "malignant"}


@pytest.fixture
def large(site: Api) -> Iterator[Callable[[list[Object], Object], None]]:
    """Makes the Dataset `large` of these local fields, with the DataSchema `large` of this spec."""
    made = dataset(NAMESPACE, LARGE)
    made["spec"]["schemaName"] = LARGE

    def make(local: list[Object], schema: Object) -> None:
        made["spec"]["fields"] = local
        site.create(data_schema(NAMESPACE, LARGE) | {"spec": schema})
        site.create(made)

    yield make
    site.delete("Dataset", LARGE, NAMESPACE)
    site.delete("DataSchema", LARGE, NAMESPACE)
    until_refused(site, job_of(LARGE, made["spec"]), NOT_THERE, OPERATOR)


Make = Callable[[list[Object], Object], None]


@pytest.mark.parametrize("shape", SCHEMA_SHAPES)
def test_the_policy_admits_the_largest_schema_that_fits_into_a_container(site: Api, large: Make, shape: str) -> None:
    """The API server limits the cost of each policy expression to about a tenth of a second."""
    fields = SCHEMA_SHAPES[shape]
    most = _most(lambda count: schema_text.fault(_schema_of(fields(count))))
    large([], _schema_of(fields(most)))
    size = len(schema_text.dump(schema_spec(site, LARGE)).encode())
    assert most == MOST_FIELDS or size > variable_text.MOST_BYTES - 4096
    until_admitted(site, job_for(site, LARGE), OPERATOR)


@pytest.mark.parametrize("shape", DATASET_SHAPES)
def test_the_policy_admits_the_largest_dataset_that_fits_into_a_container(site: Api, large: Make, shape: str) -> None:
    fields = DATASET_SHAPES[shape]
    spec = dataset_spec(site, BREAST)
    most = _most(lambda count: dataset_text.fault({**spec, "fields": fields(count)}))
    large(fields(most), _schema_of(_numbers(1)))
    size = len(dataset_text.dump(dataset_spec(site, LARGE)).encode())
    assert most == MOST_FIELDS or size > variable_text.MOST_BYTES - 8192
    until_admitted(site, job_for(site, LARGE), OPERATOR)


def test_the_policy_binds_500_columns_word_for_word(site: Api, large: Make) -> None:
    """Each with a unit, bounds and a description, and with a column, unit and missing values of the hospital."""
    described = "Concentration in the blood at admission, measured within 24 hours."
    fields = _numbers(490, unit="mmol/L", minimum="0", maximum="1000", description=described)
    words = [f"category {number:02}" for number in range(20)]
    fields += [{"name": f"word_{number}", "type": "string", "categories": words} for number in range(9)]
    local = _renamed(490, scale="0.0555", offset="0", missingValues=["-1"])
    spellings = [{"name": word, "from": f"kategorie {word[-2:]}"} for word in words]
    local += [{"name": f"word_{number}", "from": f"WORT_{number}", "categories": spellings} for number in range(9)]
    large(local, _schema_of(fields))
    spec, schema = dataset_spec(site, LARGE), schema_spec(site, LARGE)
    assert len(schema["fields"]) == 500
    assert (dataset_text.fault(spec), schema_text.fault(schema)) == ("", "")
    until_admitted(site, job_of(LARGE, spec, schema), OPERATOR)
    schema["fields"][250]["maximum"] = "1001"
    assert f"{SCHEMA_WORD_FOR_WORD} {LARGE}" in refusal(site, job_of(LARGE, spec, schema), OPERATOR)
    spec["fields"][250]["from"] = "LAB_0251"
    assert WORD_FOR_WORD in refusal(site, job_of(LARGE, spec, schema_spec(site, LARGE)), OPERATOR)
