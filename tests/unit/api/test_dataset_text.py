"""The text of a Dataset in the environment of `prepare`. tests/integration compares it with CEL's text."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from wardround.api import dataset_text, variable_text

CRD = yaml.safe_load((Path(__file__).parents[3] / "crds/datasets.yaml").read_text())
SPEC: dict[str, Any] = {
    "split": {"test": "0.2", "validation": "0.15", "keyFile": "split.key"},
    "missingValues": ["", "NA"],
    "fields": [
        {"offset": "0", "scale": "0.1", "from": "RADIUS", "name": "radius", "missingValues": ["-1"]},
        {"categories": [{"from": "links", "name": "left"}, {"from": "l", "name": "left"}], "name": "side"},
        {"name": "age"},
    ],
    "identifier": {"type": "string", "column": "patient"},
    "columnsVersion": 12,
    "format": "CSV",
    "schemaName": "breast-v1",
    "path": "cases.csv",
}


def dataset(text: str) -> dict[str, Any]:
    """A Dataset's spec with `text` in every text field."""
    spec = copy.deepcopy(SPEC)
    spec.pop("schemaName")
    spec["path"] = spec["split"]["keyFile"] = spec["identifier"]["column"] = text
    spec["missingValues"] = [text, f"{text}2"]
    renamed = {"name": text, "from": text}
    spec["fields"] = [{**renamed, "missingValues": [text], "categories": [renamed]}]
    return spec


def test_the_text_does_not_depend_on_the_order_of_keys() -> None:
    assert dataset_text.dump(SPEC) == (
        '{"path":"cases.csv","format":"CSV","identifier":{"column":"patient","type":"string"},"fields":['
        '{"name":"radius","from":"RADIUS","scale":"0.1","offset":"0","missingValues":["-1"]},'
        '{"name":"side","categories":[{"name":"left","from":"links"},{"name":"left","from":"l"}]},'
        '{"name":"age"}],"missingValues":["","NA"],"columnsVersion":12,'
        '"split":{"keyFile":"split.key","validation":"0.15","test":"0.2"}}'
    )


def test_absent_fields_are_absent_from_the_text() -> None:
    spec = {name: SPEC[name] for name in ("path", "identifier")} | {"split": {"keyFile": "split.key"}}
    assert variable_text.load(dataset_text.dump(spec)) == spec


@pytest.mark.parametrize(
    "text",
    [
        *('"', "\\", "\\\\", '\\"', "\\a", "\\\\a", "\a", "\v", "\\\a", "\b\f\n\r\t", "\x01\x1f\x7f", "\u0085\u2028"),
        *(
            "$",
            "$$",
            "$(WARDROUND_TASK)",
            "${x}",
            "{{ .Values }}",
            "'",
            "é µ 患者 \U0001f9ec",
            "a\u0301",
            "\ufeff",
            " ",
        ),
        '","path":"other.csv',
    ],
)
def test_every_text_of_a_dataset_survives_dump_and_load(text: str) -> None:
    assert variable_text.load(dataset_text.dump(dataset(text))) == dataset(text)


def test_the_text_holds_every_field_of_a_dataset_except_its_claim_its_schemas_name_and_its_schedule() -> None:
    """Otherwise a new field of the CRD would silently be missing from the text."""
    [version] = CRD["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    field = spec["fields"]["items"]["properties"]
    assert dataset_text.SPEC.keys() | {"claimName", "schemaName", "readEvery"} == spec.keys()
    assert dataset_text.IDENTIFIER.keys() == spec["identifier"]["properties"].keys()
    assert dataset_text.FIELD.keys() == field.keys()
    assert dataset_text.CATEGORY.keys() == field["categories"]["items"]["properties"].keys()
    assert dataset_text.SPLIT.keys() == spec["split"]["properties"].keys()


def test_any_json_object_is_accepted() -> None:
    assert variable_text.load(json.dumps(dataset('\a\v\\"\u2028'))) == dataset('\a\v\\"\u2028')


@pytest.mark.parametrize("text", ["", "{", "[]", '"a"', "null", '{"a":"\\x"}'])
def test_text_that_is_not_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        variable_text.load(text)


def test_a_dataset_that_no_variable_can_hold_is_refused() -> None:
    assert dataset_text.fault(SPEC) == ""
    assert "NUL" in dataset_text.fault(dataset("\0"))
    room = variable_text.MOST_BYTES - len(dataset_text.dump(dataset("")).encode())
    spec = dataset("")
    spec["path"] = "é" * (room // 2)
    assert dataset_text.fault(spec) == ""
    spec["path"] += "é"
    assert f"{variable_text.MOST_BYTES}: leave out fields" in dataset_text.fault(spec)
