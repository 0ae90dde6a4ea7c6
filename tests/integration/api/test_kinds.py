"""The twelve kinds on a real API server: documentation, defaults, and what is refused with which words."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import (
    DIGEST,
    HUB,
    ROOT,
    condition,
    dataset,
    federated_round,
    round_task,
    site_task,
)
from wardround.api.site import DEFAULT_PARAMETERS, LEAST_CELL, Policy
from wardround.wire import codec

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
Object = dict[str, Any]
KINDS = [
    "Participant",
    "FederatedRound",
    "RoundTask",
    "Site",
    "SiteTask",
    "Dataset",
    "DataSchema",
    "FederatedModel",
    "ModelVersion",
    "ModelTransfer",
    "ModelPush",
    "Approval",
    "Prediction",
]
WITHOUT_STATUS = {"DataSchema"}
HUB_OPERATOR = account(HUB, "hub-operator")
SITE_OPERATOR = account("hospital-a", "site-operator")


def undescribed(schema: Object, path: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        if not field.get("description"):
            yield f"{path}.{name}"
        yield from undescribed(field.get("items", field), f"{path}.{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_api_server_documents_every_field(api: Api, kind: str) -> None:
    document = api.call("GET", "/openapi/v3/apis/wardround.io/v1alpha1")
    schema = document["components"]["schemas"][f"io.wardround.v1alpha1.{kind}"]
    for part in ("spec",) if kind in WITHOUT_STATUS else ("spec", "status"):
        assert schema["properties"][part]["properties"]
        assert list(undescribed(schema["properties"][part], part)) == []


def test_kubectl_explain_describes_every_kind(api: Api, kubectl: Kubectl) -> None:
    text = kubectl("explain", "fr.spec.quorum.min").stdout
    assert "Smallest number of updates that the hub may combine." in text
    assert kubectl("get", "wardround", "--all-namespaces").returncode == 0
    shorts = ("ptc", "fr", "rt", "site", "st", "dset", "dschema", "fm", "mv", "mt", "mpush", "appr", "pred")
    for short, kind in zip(shorts, KINDS, strict=True):
        output = kubectl("explain", short)
        # Another kind's short name would go before ours: `ds` is the DaemonSet's.
        assert (output.stdout.split("KIND:")[1].split()[0], output.stderr) == (kind, "")


def test_a_round_gets_its_defaults(api: Api) -> None:
    spec = api.create(federated_round(), dry_run=True)["spec"]
    assert spec["command"] == ["python", "-m", "wardround_trainer"]
    assert spec["exchange"] == {"frozen": ["wardround.input.*"]}
    assert (spec["metrics"], spec["rows"], spec["specificity"]) == (["loss"], "Validation", "0.9")
    assert (spec["initial"], spec["seed"]) == ({}, 0)
    assert spec["quorum"] == {"min": 2, "required": [], "graceSeconds": 60, "onShortfall": "Fail"}
    assert spec["deadlines"]["totalSeconds"] == 3600
    assert spec["aggregation"] == {
        "strategy": "FedAvg",
        "weighting": "Samples",
        "maxWeightShare": "1",
        "parameters": {},
        "compression": "None",
    }
    assert (spec["suspend"], spec["retryLimit"], spec["resources"]["nodes"]) == (False, 2, 1)


@pytest.mark.parametrize(
    ("obj", "user"),
    [(federated_round("fresh"), ""), (round_task(name="fresh"), HUB_OPERATOR), (dataset(name="fresh"), "")],
)
def test_kstatus_never_reads_a_new_object_as_finished(api: Api, obj: Object, user: str) -> None:
    api.create(obj, user=user)
    status = api.get(obj["kind"], "fresh", obj["metadata"]["namespace"])["status"]
    assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [("Reconciling", "True", "Pending")]
    api.delete(obj["kind"], "fresh", obj["metadata"]["namespace"])


@pytest.mark.parametrize(
    ("make", "user", "status"),
    [
        (federated_round, HUB_OPERATOR, "FederatedRound"),
        (site_task, SITE_OPERATOR, "SiteTask"),
    ],
)
def test_a_final_condition_cannot_be_withdrawn(api: Api, make: Callable[..., Object], user: str, status: str) -> None:
    obj = make(name="final")
    namespace = obj["metadata"]["namespace"]
    api.create(obj, user=user if status == "SiteTask" else "")
    api.patch_status(status, "final", {"conditions": [condition("Failed")]}, namespace, user=user)
    for conditions in ([condition("Failed", "False")], [condition("Reconciling")]):
        with pytest.raises(Refused, match="Complete and Failed are final"):
            api.patch_status(status, "final", {"conditions": conditions}, namespace, user=user)
    both = [condition("Failed"), condition("Complete")]
    with pytest.raises(Refused, match="exclude each other"):
        api.patch_status(status, "final", {"conditions": both}, namespace, user=user)
    api.patch_status(
        status, "final", {"conditions": [condition("Failed"), condition("Reconciling", "False")]}, namespace, user=user
    )


@pytest.mark.parametrize(
    ("make", "user"), [(round_task, HUB_OPERATOR), (site_task, SITE_OPERATOR)], ids=["RoundTask", "SiteTask"]
)
def test_only_grants_and_cancel_of_a_task_can_change(api: Api, make: Callable[..., Object], user: str) -> None:
    task = make(name="fixed")
    kind, namespace = task["kind"], task["metadata"]["namespace"]
    api.create(task, user=user)
    for grants in ("first", "second"):
        api.patch(kind, "fixed", {"spec": {"grants": grants}}, namespace, user=user)
    changes: list[Object] = [
        {"attempt": 2},
        {"assignment": "[]"},
        {"hubKey": "b3RoZXI="},
        {"roundRef": {"uid": "other"}},
    ]
    if kind == "SiteTask":
        changes.append({"roundTaskUID": "other"})
    for change in changes:
        with pytest.raises(Refused, match="is immutable"):
            api.patch(kind, "fixed", {"spec": change}, namespace, user=user)
    api.patch(kind, "fixed", {"spec": {"cancel": True}}, namespace, user=user)
    with pytest.raises(Refused, match="cancel cannot change back"):
        api.patch(kind, "fixed", {"spec": {"cancel": False}}, namespace, user=user)


@pytest.mark.parametrize(
    ("make", "user", "speaker"),
    [(round_task, HUB_OPERATOR, account("site-a", "site")), (site_task, SITE_OPERATOR, SITE_OPERATOR)],
    ids=["RoundTask", "SiteTask"],
)
def test_kubectl_get_shows_which_tasks_are_cancelled(
    api: Api, kubectl: Kubectl, make: Callable[..., Object], user: str, speaker: str
) -> None:
    stages = {
        "cancelled": [condition("Failed", reason="Cancelled"), condition("Reconciling", "False", "Cancelled")],
        "training": [condition("Reconciling", reason="Training")],
    }
    seen = {}
    for name, conditions in stages.items():
        task = make(name=name)
        kind, namespace = task["kind"], task["metadata"]["namespace"]
        api.create(task, user=user)
        api.patch_status(kind, name, {"conditions": conditions}, namespace, user=speaker)
        header, row = kubectl("get", kind, name, "-n", namespace).stdout.splitlines()
        # Columns are aligned, and an empty one is empty.
        seen[name] = [row[header.index(column) :].split("   ")[0].strip() for column in ("FAILED", "STAGE")]
    assert seen == {"cancelled": ["Cancelled", "Cancelled"], "training": ["", "Training"]}


def test_a_task_that_the_hub_cancels_and_nobody_answers_shows_it(api: Api, kubectl: Kubectl) -> None:
    api.create(round_task(name="unanswered"), user=HUB_OPERATOR)
    api.patch("RoundTask", "unanswered", {"spec": {"cancel": True}}, "site-a", user=HUB_OPERATOR)
    header, row = kubectl("get", "rt", "unanswered", "-n", "site-a").stdout.splitlines()
    assert row[header.index("CANCELLED") :].split()[0] == "true"


def test_a_reason_cannot_be_a_sentence(api: Api) -> None:
    api.create(round_task(name="wordy"), user=HUB_OPERATOR)
    site = account("site-a", "site")
    failure = {"class": "Code", "reason": "could not convert string to float: 'Mrs Doe'"}
    with pytest.raises(Refused, match="reason"):
        api.patch_status("RoundTask", "wordy", {"failure": failure}, "site-a", user=site)
    failure_with_message = {"class": "Code", "reason": "TrainerFailed", "message": "Mrs Doe"}
    with pytest.raises(Refused, match="unknown field"):
        api.patch_status("RoundTask", "wordy", {"failure": failure_with_message}, "site-a", user=site)
    api.patch_status(
        "RoundTask", "wordy", {"failure": {"class": "Code", "reason": "TrainerFailed"}}, "site-a", user=site
    )


BAD_DATASETS: dict[str, tuple[Object, str]] = {
    "no schema": ({"schemaName": ""}, "at least 1 chars"),
    "a schema of its own": ({"schema": ["outcome"]}, "unknown field"),
    "a schema that no label can name": ({"schemaName": "breast.v1"}, "should match"),
    "an identifier that is a number": ({"identifier": {"type": "number"}}, "supported values"),
    "a field twice": ({"fields": [{"name": "a"}, {"name": "a", "from": "b"}]}, "Duplicate value"),
    "a scale of zero": ({"fields": [{"name": "a", "scale": "-0.00"}]}, "makes all values equal"),
    "a scale with a comma": ({"fields": [{"name": "a", "scale": "0,1"}]}, "should match"),
    "an offset as a number": ({"fields": [{"name": "a", "offset": 1}]}, "must be of type string"),
    "one name for two categories": (
        {"fields": [{"name": "a", "categories": [{"name": each, "from": "l"} for each in ("left", "right")]}]},
        "Duplicate value",
    ),
    "path to elsewhere": ({"path": "../other.csv"}, "stays inside the volume"),
    "absolute path": ({"path": "/etc/passwd"}, "relative to the volume"),
    "key file elsewhere": ({"split": {"keyFile": "keys/../../split.key"}}, "stays inside the volume"),
    "absolute key file": ({"split": {"keyFile": "/split.key"}}, "relative to the volume"),
    "key in the object": ({"split": {"key": "0123456789abcdef"}}, "unknown field"),
    "nothing to train on": ({"split": {"validation": "0.5", "test": "0.5"}}, "no rows to train on"),
    "unknown format": ({"format": "Excel"}, 'supported values: "CSV", "Parquet"'),
}


@pytest.mark.parametrize("case", BAD_DATASETS)
def test_the_api_server_refuses_a_bad_dataset_and_says_why(api: Api, case: str) -> None:
    change, words = BAD_DATASETS[case]
    obj = dataset()
    for name, value in change.items():
        obj["spec"][name] = obj["spec"][name] | value if isinstance(value, dict) else value
    with pytest.raises(Refused, match=words):
        api.create(obj, dry_run=True)


def test_the_example_dataset_can_be_applied_as_it_stands(api: Api) -> None:
    obj = yaml.safe_load((ROOT / "examples" / "breast-cancer" / "dataset.yaml").read_text())
    obj["metadata"]["namespace"] = "hospital-a"
    api.create(obj, dry_run=True)


def test_a_dataset_can_change_but_not_its_split_and_its_identifier(api: Api) -> None:
    api.create(dataset(name="split"))
    changes: list[Object] = [
        {"split": {"test": "0.1"}},
        {"split": {"keyFile": "split.key"}},
        {"identifier": {"type": "integer"}},
        {"identifier": {"column": "mrn"}},
    ]
    for change in changes:
        with pytest.raises(Refused, match="Make a new Dataset"):
            api.patch("Dataset", "split", {"spec": change}, "hospital-a")
    api.patch("Dataset", "split", {"spec": {"path": "newer.csv", "schemaName": "breast-v2"}}, "hospital-a")
    api.delete("Dataset", "split", "hospital-a")


def test_a_namespace_has_one_site(api: Api) -> None:
    site = api.get("Site", "site", "hospital-a")
    other = {**site, "metadata": {"name": "second", "namespace": "hospital-a"}}
    other.pop("status")
    with pytest.raises(Refused, match="with the name site"):
        api.create(other, dry_run=True)


def test_the_api_server_refuses_a_store_without_tls_and_an_image_by_tag(api: Api) -> None:
    with pytest.raises(Refused, match=r"store\.origin"):
        api.patch("Site", "site", {"spec": {"store": {"origin": "http://store"}}}, "hospital-a")
    with pytest.raises(Refused, match=r"policy\.images"):
        api.patch("Site", "site", {"spec": {"policy": {"images": ["trainer:latest"]}}}, "hospital-a")


def test_a_site_lists_commands_word_by_word(api: Api) -> None:
    refused: list[list[Any]] = [[[]], [["python", ""]], [["x" * 257]], [["x"] * 17], [["x"]] * 17, ["python"]]
    for commands in refused:
        with pytest.raises(Refused, match=r"policy\.commands"):
            api.patch("Site", "site", {"spec": {"policy": {"commands": commands}}}, "hospital-a")


BAD_POLICIES: dict[str, tuple[Object, str]] = {
    "dataset for nobody": ({"datasets": [{"name": "breast"}]}, "federations: Required value"),
    "dataset for an empty list": ({"datasets": [{"name": "breast", "federations": []}]}, "at least 1 items"),
    "dataset twice": ({"datasets": [{"name": "a", "federations": [each]} for each in "xy"]}, "names a Dataset"),
    "name that no label holds": ({"datasets": [{"name": "x" * 64, "federations": ["a"]}]}, "more than 63"),
    "name that no round asks for": ({"datasets": [{"name": "Breast", "federations": ["a"]}]}, "should match"),
    "misspelt federations": ({"datasets": [{"name": "a", "federations": ["a"], "federation": "b"}]}, "unknown field"),
    "parameter twice": ({"parameters": [{"name": "epochs"}, {"name": "epochs", "maximum": "9"}]}, "names a parameter"),
    "bound that is no number": ({"parameters": [{"name": "epochs", "maximum": "inf"}]}, "should match"),
    "bound as a number": ({"parameters": [{"name": "epochs", "maximum": 9}]}, "must be of type string"),
    "no value at all": ({"parameters": [{"name": "device", "enum": []}]}, "at least 1 items"),
    "metrics over single patients": ({"minCell": 10}, "should be greater than or equal to 11"),
    "evaluations below none": ({"maxEvaluations": -1}, "should be greater than or equal to 0"),
    "endless evaluations": ({"maxEvaluations": 10001}, "should be less than or equal to 10000"),
    "share above all": ({"maxLeftOut": "1.1"}, "should match"),
    "share as a number": ({"maxLeftOut": 0.1}, "must be of type string"),
    "misspelt bound": ({"parameters": [{"name": "epochs", "max": "9"}]}, "unknown field"),
}


@pytest.mark.parametrize("case", BAD_POLICIES)
def test_the_api_server_refuses_a_policy_that_is_misspelt_or_has_no_bound(api: Api, case: str) -> None:
    change, words = BAD_POLICIES[case]
    with pytest.raises(Refused, match=re.escape(words)):
        api.patch("Site", "site", {"spec": {"policy": change}}, "hospital-a")


def test_a_site_by_default_allows_only_the_built_in_trainer_and_no_dataset(api: Api) -> None:
    site = api.get("Site", "site", "hospital-a")
    for name in ("commands", "datasets", "parameters", "minSamples", "minCell", "maxLeftOut", "maxEvaluations"):
        site["spec"]["policy"].pop(name)
    made = api.create({**site, "metadata": {"name": "site", "namespace": "default"}, "status": {}}, dry_run=True)
    policy = made["spec"]["policy"]
    assert policy["commands"] == [["python", "-m", "wardround_trainer"]]
    assert policy["datasets"] == []
    assert policy["parameters"] == codec.dump(DEFAULT_PARAMETERS)
    assert (policy["minSamples"], policy["minCell"]) == (LEAST_CELL, LEAST_CELL)
    assert policy["maxLeftOut"] == Policy().max_left_out
    assert policy["maxEvaluations"] == Policy().max_evaluations


@pytest.mark.parametrize("obj", [federated_round("twice"), dataset(name="twice")], ids=["FederatedRound", "Dataset"])
def test_applying_an_object_twice_changes_nothing(api: Api, kubectl: Kubectl, obj: Object) -> None:
    first, second = api.apply(obj), api.apply(obj)
    # The API server stores the default of `status`, which it drops on create, with the first write after it.
    assert (first["metadata"]["generation"], first["spec"]) == (second["metadata"]["generation"], second["spec"])
    assert first["status"] == second["status"]
    assert api.apply(obj) == second
    text = yaml.safe_dump(obj)
    diff = kubectl("diff", "--server-side", "--field-manager=test", "-f", "-", stdin=text)
    assert (diff.returncode, diff.stdout) == (0, "")
    kubectl("apply", "-f", "-", stdin=text)
    before = json.loads(kubectl("get", obj["kind"], "twice", "-n", obj["metadata"]["namespace"], "-o", "json").stdout)
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=text).stdout
    after = json.loads(kubectl("get", obj["kind"], "twice", "-n", obj["metadata"]["namespace"], "-o", "json").stdout)
    assert before == after
    assert kubectl("diff", "-f", "-", stdin=text).returncode == 0


def test_a_participants_fingerprint_must_be_complete(api: Api) -> None:
    with pytest.raises(Refused, match="keyFingerprint"):
        api.patch("Participant", "site-b", {"spec": {"keyFingerprint": DIGEST[:20]}}, "site-b")
    api.patch("Participant", "site-b", {"spec": {"keyFingerprint": DIGEST}}, "site-b")
