"""The kind DataSchema on a real API server: what it holds, what is refused with which words, and what cannot change."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import FEDERATION, data_schema
from wardround.kubectl import main
from wardround.plans.schema import assigned

Object = dict[str, Any]
NAMESPACE = "hospital-a"
IMMUTABLE = "A DataSchema is immutable"
ORDER, CATEGORIES = "The order of a DataSchema's fields is immutable", "The order of a field's categories is immutable"


def field(**members: Any) -> Callable[[Object], None]:
    """A change of the first field of `data_schema`."""
    return lambda spec: spec["fields"][0].update(members)


BAD: dict[str, tuple[Callable[[Object], Any], str]] = {
    "no field": (lambda spec: spec.update(fields=[]), "at least 1 items"),
    "too many fields": (
        lambda spec: spec["fields"].extend({"name": f"f{n}", "type": "number"} for n in range(998)),
        "must have at most 1000 items",
    ),
    "a field twice": (lambda spec: spec["fields"].append({"name": "side", "type": "string"}), "Duplicate value"),
    "a target that is no field": (lambda spec: spec.update(target="outcome"), "target names no field"),
    "an identifier": (lambda spec: spec.update(identifier="patient"), "unknown field"),
    "an unknown type": (field(type="float"), "supported values"),
    "a bound as a number": (field(minimum=0), "must be of type string"),
    "a bound that is no number": (field(minimum="low"), "should match"),
    "a bound of a text": (field(type="string"), "minimum and maximum are only for fields of type"),
    "a date as the bound of a number": (field(minimum="2020-01-01"), "minimum has to be a date"),
    "a number as the bound of a date": (field(type="date"), "maximum has to be a date"),
    "bounds the wrong way round": (field(minimum="51"), "minimum is above maximum"),
    "categories of a boolean": (
        lambda spec: spec["fields"][1].update(type="boolean"),
        "A field of type boolean has no categories",
    ),
    "a category twice": (lambda spec: spec["fields"][1].update(categories=["left", "left"]), "Duplicate value"),
    "an empty category": (lambda spec: spec["fields"][1].update(categories=[""]), "at least 1 chars"),
    "too many categories": (
        lambda spec: spec["fields"][1].update(categories=[str(n) for n in range(257)]),
        "must have at most 256 items",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_the_api_server_refuses_a_bad_schema_and_says_why(api: Api, case: str) -> None:
    change, words = BAD[case]
    schema = data_schema()
    change(schema["spec"])
    with pytest.raises(Refused, match=words):
        api.create(schema, dry_run=True)


@pytest.mark.parametrize("name", ["x" * 64, "breast.v1"])
def test_a_schemas_name_is_a_labels_value(api: Api, name: str) -> None:
    with pytest.raises(Refused, match="at most 63 characters without dots"):
        api.create(data_schema(name=name), dry_run=True)
    api.create(data_schema(name="x" * 63), dry_run=True)


@pytest.fixture(scope="module")
def made(api: Api) -> Iterator[Object]:
    yield api.create(data_schema(name="fixed"))
    api.delete("DataSchema", "fixed", NAMESPACE)


CHANGES: dict[str, tuple[Callable[[Object], Any], str]] = {
    "another name": (field(name="mean_radios"), IMMUTABLE),
    "another type": (field(type="integer"), IMMUTABLE),
    "another unit": (field(unit="cm"), IMMUTABLE),
    "no unit": (lambda spec: spec["fields"][0].pop("unit"), IMMUTABLE),
    "another bound": (field(maximum="51"), IMMUTABLE),
    "a description": (field(description="Radius of the cell."), IMMUTABLE),
    "a value that may be absent": (lambda spec: spec["fields"][1].update(required=False), IMMUTABLE),
    "a category more": (lambda spec: spec["fields"][1]["categories"].append("both"), IMMUTABLE),
    "a field more": (lambda spec: spec["fields"].append({"name": "age", "type": "integer"}), IMMUTABLE),
    "a field less": (lambda spec: spec["fields"].pop(0), IMMUTABLE),
    "another target": (lambda spec: spec.update(target="mean_radius"), IMMUTABLE),
    "another order of fields": (lambda spec: spec["fields"].reverse(), ORDER),
    "another order of categories": (lambda spec: spec["fields"][1]["categories"].reverse(), CATEGORIES),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_schema_cannot_change(api: Api, made: Object, case: str) -> None:
    change, words = CHANGES[case]
    spec = copy.deepcopy(made["spec"])
    change(spec)
    with pytest.raises(Refused, match=words):
        api.patch("DataSchema", "fixed", {"spec": spec}, NAMESPACE)


def test_a_schema_that_is_applied_again_stays_as_it_is(api: Api, made: Object) -> None:
    again = api.patch("DataSchema", "fixed", {"spec": data_schema()["spec"]}, NAMESPACE)
    assert (again["metadata"]["generation"], again["spec"]) == (1, made["spec"])


def realistic(columns: int) -> Object:
    """A schema of so many described columns."""
    schema = data_schema(name="wide")
    numbers = [
        {
            "name": f"laboratory_value_{number:04}",
            "type": "number",
            "unit": "mmol/L",
            "minimum": "0",
            "maximum": "1000",
            "description": "Concentration in the blood at admission, measured within 24 hours.",
        }
        for number in range(columns - 3)
    ]
    schema["spec"]["fields"] = [*numbers, *schema["spec"]["fields"]]
    return schema


@pytest.mark.parametrize("columns", [500, 1000])
def test_a_schema_holds_hundreds_of_described_columns(api: Api, columns: int) -> None:
    api.create(realistic(columns))
    try:
        spec = api.get("DataSchema", "wide", NAMESPACE)["spec"]
        assert spec == realistic(columns)["spec"]
        spec["fields"][columns // 2]["maximum"] = "999"
        with pytest.raises(Refused, match=IMMUTABLE):
            api.patch("DataSchema", "wide", {"spec": spec}, NAMESPACE)
    finally:
        api.delete("DataSchema", "wide", NAMESPACE)


def test_the_hubs_administrator_compares_a_dataschema_with_what_a_hospital_publishes(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = data_schema(FEDERATION)
    own = assigned(schema["spec"])
    offered = {"name": "breast", "schemaDigest": own.digest, "columnsDigest": own.columns_digest}

    def compared() -> tuple[int, str]:
        cluster = ("--kubeconfig", str(api.kubeconfig), "-n", FEDERATION)
        code = main(["dataschema", "digests", schema["metadata"]["name"], "--hospital", "site-a", *cluster])
        return code, capsys.readouterr().out

    before = (api.get("Participant", "site-a", "site-a").get("status") or {}).get("site")
    try:
        for digest, code in ((own.digest, 0), ("sha256:" + "1" * 64, 1)):
            site = {"datasets": [{**offered, "schemaDigest": digest}]}
            api.patch_status("Participant", "site-a", {"site": site}, "site-a", user=account("site-a", "site"))
            assert compared() == (code, compared()[1])
        assert f"differs: sha256:{'1' * 64} (types, bounds, categories or required)" in compared()[1]
    finally:
        api.patch_status("Participant", "site-a", {"site": before}, "site-a", user=account("site-a", "site"))
