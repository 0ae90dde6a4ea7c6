"""The charts' values: which are required and which are refused. tests/integration tests charts on an API server."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from wardround.api.site import LEAST_CELL, MOST_EVALUATIONS, Policy
from wardround.wire import codec

CHARTS = Path(__file__).parents[2] / "charts"
DIGEST = "sha256:" + "a" * 64
API = [{"cidr": "203.0.113.1/32", "port": 6443}]
GOOD: dict[str, dict[str, Any]] = {
    "crds": {},
    "hub": {
        "image": f"registry.example/operator@{DIGEST}",
        "store": {"endpoint": "https://store.example:7070", "tls": {"existingSecret": "store-tls"}},
        "network": {"kubernetesAPI": API},
    },
    "site": {
        "image": f"registry.example/operator@{DIGEST}",
        "hub": {"participantNamespace": "site-a", "fingerprint": DIGEST},
        "store": {"origin": "https://store.example:7070"},
        "network": {"kubernetesAPI": API, "hubAPI": API, "store": [{"namespace": "wardround-hub", "port": 7070}]},
    },
}


def schema(chart: str) -> Any:
    return json.loads((CHARTS / chart / "values.schema.json").read_text())


def merged(base: Any, change: Any) -> Any:
    """Merges values like Helm: maps by key, all other values replaced."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return {**base, **{key: merged(base.get(key), value) for key, value in change.items()}}


def refusals(chart: str, *changes: dict[str, Any]) -> list[str]:
    values = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    for change in changes:
        values = merged(values, copy.deepcopy(change))
    return [error.message for error in Draft202012Validator(schema(chart)).iter_errors(values)]


@pytest.mark.parametrize("chart", GOOD)
def test_a_chart_accepts_its_required_values(chart: str) -> None:
    assert refusals(chart, GOOD[chart]) == []


@pytest.mark.parametrize("chart", ["hub", "site"])
def test_a_chart_without_its_required_values_is_refused(chart: str) -> None:
    assert refusals(chart)


def objects(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") in ("object", ["object", "null"]) and path.rpartition("/")[2] != "global":
            yield path, node
        for key, value in node.items():
            yield from objects(value, f"{path}/{key}")


@pytest.mark.parametrize("chart", GOOD)
def test_no_object_in_the_values_is_open(chart: str) -> None:
    assert [path for path, node in objects(schema(chart)) if "additionalProperties" not in node] == []


@pytest.mark.parametrize("chart", ["hub", "site"])
def test_every_value_of_the_schema_has_a_default_in_values(chart: str) -> None:
    values = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    assert schema(chart)["properties"].keys() - {"global"} == values.keys()


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("crds", {"anything": 1}, "Additional properties are not allowed ('anything' was unexpected)"),
    ("hub", {"imaeg": "x"}, "'imaeg' was unexpected"),
    ("hub", {"store": {"servcie": {}}}, "'servcie' was unexpected"),
    ("hub", {"store": {"service": {"type": "Ingress"}}}, "'Ingress' is not one of"),
    ("hub", {"image": "operator:latest"}, "does not match"),
    ("hub", {"store": {"image": "versity/versitygw:v1.8.0"}}, "does not match"),
    ("hub", {"store": {"endpoint": "http://store"}}, "does not match"),
    ("hub", {"store": {"endpoint": ""}}, "'' should be non-empty"),
    ("hub", {"store": {"tls": {"existingSecret": ""}}}, "'' should be non-empty"),
    ("hub", {"store": {"external": {"endpoint": "http://s3"}}}, "does not match"),
    ("hub", {"network": {"kubernetesAPI": []}}, "[] should be non-empty"),
    ("hub", {"network": {"kubernetesAPI": [{"cidr": "everywhere", "port": 443}]}}, "does not match"),
    ("site", {"policy": {"image": []}}, "'image' was unexpected"),
    ("site", {"policy": {"images": ["trainer:latest"]}}, "does not match"),
    ("site", {"policy": {"commands": ["python -m trainer"]}}, "'python -m trainer' is not of type 'array'"),
    ("site", {"policy": {"commands": [[]]}}, "[] should be non-empty"),
    ("site", {"policy": {"commands": [["python", ""]]}}, "'' should be non-empty"),
    ("site", {"policy": {"commands": [["x"] * 17]}}, "is too long"),
    ("site", {"policy": {"approval": "Always"}}, "'Always' is not one of"),
    ("site", {"policy": {"datasets": [{"name": "breast"}]}}, "'federations' is a required property"),
    ("site", {"policy": {"datasets": [{"name": "breast", "federations": []}]}}, "[] should be non-empty"),
    ("site", {"policy": {"datasets": [{"name": "x" * 64, "federations": ["a"]}]}}, "does not match"),
    ("site", {"policy": {"parameters": [{"name": "epochs", "maximum": 10}]}}, "10 is not of type 'string'"),
    ("site", {"policy": {"parameters": [{"name": "epochs", "maximum": "many"}]}}, "'many' does not match"),
    ("site", {"policy": {"parameters": [{"name": "epochs", "max": "10"}]}}, "'max' was unexpected"),
    ("site", {"policy": {"parameters": None}}, "None is not of type 'array'"),
    ("site", {"policy": {"minCell": 10}}, "10 is less than the minimum of 11"),
    ("site", {"policy": {"maxEvaluations": -1}}, "-1 is less than the minimum of 0"),
    ("site", {"policy": {"maxEvaluations": 10001}}, "10001 is greater than the maximum of 10000"),
    ("site", {"policy": {"maxEvaluations": "20"}}, "'20' is not of type 'integer'"),
    ("site", {"policy": {"maxLeftOut": 0.1}}, "0.1 is not of type 'string'"),
    ("site", {"policy": {"maxLeftOut": "10 %"}}, "'10 %' does not match"),
    ("site", {"hub": {"fingerprint": "sha256:abc"}}, "does not match"),
    ("site", {"store": {"origin": "https://store.example/path"}}, "does not match"),
    ("site", {"workload": {"limits": {"cpu": 1}}}, "1 is not of type 'string'"),
    ("site", {"network": {"store": []}}, "[] should be non-empty"),
    (
        "site",
        {"network": {"store": [{"cidr": "203.0.113.1/32", "namespace": "a", "port": 1}]}},
        "is valid under each of",
    ),
    ("site", {"network": {"store": [{"port": 1}]}}, "is not valid under any of"),
    ("site", {"operator": {"resources": {"limit": {}}}}, "'limit' was unexpected"),
]


@pytest.mark.parametrize(("chart", "change", "words"), BAD)
def test_unknown_and_unsafe_values_are_refused(chart: str, change: dict[str, Any], words: str) -> None:
    assert any(words in message for message in refusals(chart, GOOD[chart], change)), refusals(
        chart, GOOD[chart], change
    )


def test_an_external_store_replaces_the_charts_store() -> None:
    values = copy.deepcopy(GOOD["hub"])
    values["store"] = {"external": {"endpoint": "https://s3.example"}}
    assert refusals("hub", values) == []


@pytest.mark.parametrize("chart", GOOD)
def test_a_chart_makes_the_same_objects_on_each_cluster_and_has_no_hooks(chart: str) -> None:
    """The check for patient data looks up objects, but only to fail: it makes nothing of them."""
    for path in (CHARTS / chart).rglob("*.*"):
        other, _, check = path.read_text().partition('{{- define "site.checkPatientData" -}}')
        _, _, more = check.partition("{{- define")
        assert "lookup" not in other + more
        assert "helm.sh/hook" not in path.read_text()


def spec(kind: str) -> Any:
    crd = yaml.safe_load((CHARTS.parent / f"crds/{kind}.yaml").read_text())
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def test_the_default_policy_allows_the_default_command() -> None:
    command = spec("federatedrounds")["command"]["default"]
    values = yaml.safe_load((CHARTS / "site/values.yaml").read_text())
    assert values["policy"]["commands"] == [command]
    assert spec("sites")["policy"]["properties"]["commands"]["default"] == [command]
    assert [list(each) for each in Policy().commands] == [command]


@pytest.mark.parametrize("name", ["datasets", "parameters"])
def test_defaults_of_code_crd_and_chart_are_equal(name: str) -> None:
    by_default = codec.dump(getattr(Policy(), name))
    assert spec("sites")["policy"]["properties"][name]["default"] == by_default
    assert yaml.safe_load((CHARTS / "site/values.yaml").read_text())["policy"][name] == by_default
    assert (name == "datasets") is (by_default == [])


def test_the_smallest_cell_has_eleven_patients_by_default_and_at_least() -> None:
    kind, chart = spec("sites")["policy"]["properties"], schema("site")["properties"]["policy"]["properties"]
    values = yaml.safe_load((CHARTS / "site/values.yaml").read_text())["policy"]
    numbers = (kind["minCell"]["default"], kind["minCell"]["minimum"], chart["minCell"]["minimum"], values["minCell"])
    assert {*numbers, Policy().min_cell, LEAST_CELL} == {11}
    assert kind["minSamples"]["default"] == values["minSamples"]


def test_a_tenth_of_the_rows_may_be_left_out_by_default() -> None:
    kind, chart = spec("sites")["policy"]["properties"], schema("site")["properties"]["policy"]["properties"]
    values = yaml.safe_load((CHARTS / "site/values.yaml").read_text())["policy"]
    assert kind["maxLeftOut"]["default"] == values["maxLeftOut"] == Policy().max_left_out == "0.1"
    assert kind["maxLeftOut"]["pattern"] == chart["maxLeftOut"]["pattern"]


def test_twenty_models_may_be_evaluated_by_default() -> None:
    kind, chart = spec("sites")["policy"]["properties"], schema("site")["properties"]["policy"]["properties"]
    values = yaml.safe_load((CHARTS / "site/values.yaml").read_text())["policy"]
    assert kind["maxEvaluations"]["default"] == values["maxEvaluations"] == Policy().max_evaluations == 20
    bounds = [(each["maxEvaluations"]["minimum"], each["maxEvaluations"]["maximum"]) for each in (kind, chart)]
    assert bounds == [(0, MOST_EVALUATIONS)] * 2


def policy(chart: str, name: str) -> str:
    return (CHARTS / chart / "policies" / f"{name}.yaml").read_text()


@pytest.mark.parametrize(
    ("chart", "name", "kind"),
    [
        ("hub", "participant-status", "participants"),
        ("site", "site-status", "sites"),
        ("site", "sitetask-status", "sitetasks"),
    ],
)
def test_a_policy_about_a_status_names_every_field_of_it(chart: str, name: str, kind: str) -> None:
    crd = yaml.safe_load((CHARTS.parent / f"crds/{kind}.yaml").read_text())
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    text = policy(chart, name)
    assert [part for part in status if f"object.?status.?{part} == oldObject.?status.?{part}" not in text] == []


def test_people_can_change_only_the_approval_of_a_task() -> None:
    crd = yaml.safe_load((CHARTS.parent / "crds/sitetasks.yaml").read_text())
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    text = policy("site", "sitetask")
    mutable = [name for name, field in fields.items() if "is immutable" not in json.dumps(field)]
    assert set(mutable) == {"grants", "cancel", "approved", "denied", "decidedBy"}
    assert all(f"{name} == oldObject.spec." in text for name in mutable)
