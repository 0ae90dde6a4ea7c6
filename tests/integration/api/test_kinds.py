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
    FEDERATION,
    HUB,
    ROOT,
    TRAINER,
    condition,
    dataset,
    federated_round,
    round_task,
    site_task,
    without,
)
from wardround.api.site import DEFAULT_PARAMETERS, LEAST_CELL, Policy
from wardround.metrics import registry
from wardround.wire import codec

DELIVERY = {"modelName": "breast", "modelUID": "1", "version": 3, "versions": 5}

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
Object = dict[str, Any]
DELIVERY = {"modelName": "breast", "modelUID": "1", "version": 3, "versions": 5}
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
    assert "Smallest number of updates that the hub may aggregate." in text
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


def evaluation(**spec: Any) -> Object:
    return without(federated_round(task="Evaluate", base={"roundName": "r0"}, **spec), "initial")


def strategy(name: str, quorum: int = 9, **parameters: str) -> dict[str, Any]:
    """A strategy for ten hospitals. `maxWeightShare` is no parameter."""
    aggregation: dict[str, Any] = {"strategy": name}
    if share := parameters.pop("maxWeightShare", ""):
        aggregation["maxWeightShare"] = share
    if parameters:
        aggregation["parameters"] = parameters
    names = [f"site-{number}" for number in range(10)]
    return {"aggregation": aggregation, "quorum": {"min": quorum}, "participants": {"names": names}}


BAD_ROUNDS: dict[str, tuple[Object, str]] = {
    "base and initial": (federated_round(base={"roundName": "r0"}), "exactly one of base"),
    "neither base nor initial": (without(federated_round(), "initial"), "exactly one of base"),
    "evaluate with a seed": (
        without(federated_round(task="Evaluate", base={"roundName": "r0"}, seed=7, metrics=["auc"]), "initial"),
        "Only a Train round has a seed",
    ),
    "statistics with a seed": (
        without(federated_round(task="Statistics", seed=7), "initial", "image"),
        "Only a Train round has a seed",
    ),
    "no threads": (federated_round(resources={"threads": 0}), "spec.resources.threads"),
    "too many threads": (federated_round(resources={"threads": 257}), "spec.resources.threads"),
    "a seed below zero": (federated_round(seed=-1), "spec.seed"),
    "evaluate without base": (federated_round(task="Evaluate"), "An Evaluate round needs base"),
    "a metric that no evaluation has": (
        evaluation(metrics=["acuracy", "auc"]),
        "has no metrics but loss, brier, accuracy, sensitivity, specificity, ppv, auc, calibration, "
        "sensitivityAtSpecificity, people, positives and rows",
    ),
    "training on test rows": (federated_round(rows="Test"), "Only an Evaluate round reads test rows"),
    "other rows": (evaluation(rows="Train"), 'supported values: "Validation", "Test"'),
    "training with references": (federated_round(references=["r1"]), "Only an Evaluate round compares its model"),
    "three references": (evaluation(references=["r1", "r2", "r3"]), "must have at most 2 items"),
    "one reference twice": (evaluation(references=["r1", "r1"]), "spec.references[1]: Duplicate value"),
    "a gate without references": (evaluation(gate={}), "gate compares the model with references on validation rows"),
    "a gate on test rows": (evaluation(rows="Test", references=["r1"], gate={}), "on validation rows"),
    "a gate that needs nobody": (evaluation(references=["r1"], gate={"minEvents": 0}), "greater than or equal to 1"),
    "a base of two kinds": (
        without(federated_round(base={"roundName": "r0", "versionName": "pretrained"}), "initial"),
        "base names exactly one of roundName and versionName",
    ),
    "a base of no kind": (without(federated_round(base={}), "initial"), "exactly one of roundName and versionName"),
    "a delivery of pushed weights": (
        without(
            federated_round(task="Deliver", base={"versionName": "pretrained"}, delivery=DELIVERY), "initial", "image"
        ),
        "A Deliver round needs base",
    ),
    "the base as a reference": (evaluation(references=["r1", "r0"]), "the model would be compared with itself"),
    **{
        f"a reference {name!r}": (evaluation(references=[name]), "spec.references[0]")
        for name in ("", "other/heart-1", "../heart-1", "Heart-1", "sha256:" + "0" * 64)
    },
    "a specificity that nothing asks for": (
        evaluation(specificity="0.95"),
        "only for an Evaluate round with the metric sensitivityAtSpecificity",
    ),
    **{
        f"a specificity of {value}": (
            evaluation(specificity=value, metrics=["sensitivityAtSpecificity"]),
            "specificity has to be a decimal",
        )
        for value in ("0", "0.0", "1", "1.0", "-0.5", "90%", ".9", "0.9e1")
    },
    "a specificity as a number": (
        evaluation(specificity=0.9, metrics=["sensitivityAtSpecificity"]),
        "must be of type string",
    ),
    "statistics with a base": (
        without(federated_round(task="Statistics", base={"roundName": "r0"}), "initial", "image"),
        "neither base nor initial",
    ),
    "statistics with parameters": (
        without(federated_round(task="Statistics", parameters={"epochs": "5"}), "initial", "image"),
        "Statistics and Deliver rounds have no parameters",
    ),
    "statistics with local sockets": (
        without(federated_round(task="Statistics", resources={"localSockets": True}), "initial", "image"),
        "Statistics and Deliver rounds have no resources.localSockets",
    ),
    "a delivery without a model": (
        without(federated_round(task="Deliver", delivery=DELIVERY), "initial", "image"),
        "A Deliver round needs base",
    ),
    "a delivery without a version": (
        without(federated_round(task="Deliver", base={"roundName": "r0"}), "initial", "image"),
        "A Deliver round needs delivery",
    ),
    "a version without a delivery": (federated_round(delivery=DELIVERY), "no other round has it"),
    "a delivery to readers": (
        without(
            federated_round(task="Deliver", base={"roundName": "r0"}, delivery=DELIVERY, release="Readers"),
            "initial",
            "image",
        ),
        "A Deliver round has no result",
    ),
    "a delivery of a name with parts of a path": (
        without(
            federated_round(task="Deliver", base={"roundName": "r0"}, delivery={**DELIVERY, "modelName": "../state"}),
            "initial",
            "image",
        ),
        "should match",
    ),
    "statistics with an image": (without(federated_round(task="Statistics"), "initial"), "Evaluate need an image"),
    "train without an image": (without(federated_round(), "image"), "Evaluate need an image"),
    "image by tag": (federated_round(image="trainer:latest"), "by digest"),
    "min above the names": (federated_round(quorum={"min": 3}), "quorum.min is above the number of names"),
    "a required stranger": (federated_round(quorum={"min": 1, "required": ["site-x"]}), "quorum.required names"),
    "names and selector": (
        federated_round(participants={"names": ["site-a"], "selector": {"matchLabels": {"a": "b"}}}, quorum={"min": 1}),
        "exactly one of names and selector",
    ),
    "nobody": (federated_round(participants={}), "exactly one of names and selector"),
    "unknown task": (federated_round(task="Guess"), 'supported values: "Train", "Statistics", "Evaluate"'),
    "misspelt field": (federated_round(qorum={"min": 1}), 'unknown field "spec.qorum"'),
    "unknown nested field": (federated_round(quorum={"min": 1, "most": 2}), 'unknown field "spec.quorum.most"'),
    "deadline shorter than a stage": (federated_round(deadlines={"totalSeconds": 60}), "deadlines.totalSeconds"),
    "share of nothing": (federated_round(aggregation={"maxWeightShare": "0.0"}), "maxWeightShare has to be a fraction"),
    "share above one": (federated_round(aggregation={"maxWeightShare": "1.5"}), "maxWeightShare has to be a fraction"),
    "statistics with a strategy": (
        without(federated_round(task="Statistics", **strategy("Median")), "initial", "image"),
        "no other strategy than FedAvg",
    ),
    "evaluation with a strategy": (evaluation(**strategy("Median")), "no other strategy than FedAvg"),
    "norm bounding of first weights": (
        federated_round(**strategy("NormBounding", largestNorm="2")),
        "NormBounding bounds only differences",
    ),
    "unknown strategy": (federated_round(**strategy("Bulyan")), 'supported values: "FedAvg"'),
    "krum without a parameter": (federated_round(**strategy("Krum")), "not those of the strategy"),
    "a parameter of another strategy": (
        federated_round(**strategy("Median", trimmed="1")),
        "not those of the strategy",
    ),
    "a parameter too many": (
        federated_round(**strategy("TrimmedMean", trimmed="1", hostile="1")),
        "not those of the strategy",
    ),
    "half a hospital": (federated_round(**strategy("TrimmedMean", trimmed="1.5")), "not a number that it takes"),
    "a bound of zero": (
        without(federated_round(base={"roundName": "r0"}, **strategy("NormBounding", largestNorm="0.0")), "initial"),
        "not a number that it takes",
    ),
    "a share that has no effect": (
        federated_round(**strategy("Median", maxWeightShare="0.5")),
        "maxWeightShare has no effect",
    ),
    "median of two": (federated_round(**strategy("Median", 2)), "needs at least 3 updates"),
    "geometric median of two": (federated_round(**strategy("GeometricMedian", 2)), "needs at least 3 updates"),
    "nothing left between": (
        federated_round(**strategy("TrimmedMean", 4, trimmed="2")),
        "at least 2 * trimmed + 1 updates",
    ),
    "krum of six": (federated_round(**strategy("Krum", 6, hostile="2")), "at least 2 * hostile + 3 updates"),
    "too many chosen": (
        federated_round(**strategy("MultiKrum", 9, hostile="2", chosen="6")),
        "at least hostile + chosen + 2 updates",
    ),
    "number as parameter": (federated_round(parameters={"epochs": 5}), "must be of type string"),
    "parameter with a long name": (federated_round(parameters={"x" * 64: "1"}), "more than 63 characters"),
    "no participants twice": (federated_round(participants={"names": ["site-a", "site-a"]}), "Duplicate value"),
}


@pytest.mark.parametrize("case", BAD_ROUNDS)
def test_the_api_server_refuses_a_bad_round_and_says_why(api: Api, case: str) -> None:
    obj, words = BAD_ROUNDS[case]
    with pytest.raises(Refused, match=re.escape(words)):
        api.create(obj, dry_run=True)


@pytest.mark.parametrize(
    "good",
    [
        federated_round(quorum={"min": 2, "required": ["site-b"]}),
        without(federated_round(base={"roundName": "r0"}), "initial"),
        without(federated_round(base={"roundName": "r0"}, seed=7), "initial"),
        evaluation(metrics=list(registry.EVALUATE)),
        evaluation(metrics=[]),
        evaluation(),
        evaluation(rows="Test", metrics=["auc", "sensitivityAtSpecificity"], specificity="0.995"),
        evaluation(references=["r1"]),
        evaluation(references=["r1"], gate={"minEvents": 30}),
        evaluation(rows="Test", references=["r1", "r2"]),
        federated_round(metrics=["acuracy"]),
        without(federated_round(task="Statistics"), "initial", "image"),
        federated_round(participants={"selector": {"matchLabels": {"region": "north"}}}, quorum={"min": 90}),
        federated_round(aggregation={"maxWeightShare": "0.5"}),
        federated_round(**strategy("Median", 3)),
        federated_round(**strategy("Median", maxWeightShare="1.0")),
        federated_round(**strategy("GeometricMedian", 3)),
        federated_round(**strategy("TrimmedMean", 5, trimmed="2")),
        federated_round(**strategy("Krum", 7, hostile="2")),
        federated_round(**strategy("MultiKrum", 9, hostile="2", chosen="5")),
        without(
            federated_round(
                base={"roundName": "r0"}, **strategy("NormBounding", largestNorm="0.25", maxWeightShare="0.5")
            ),
            "initial",
        ),
    ],
)
def test_the_api_server_accepts_a_good_round(api: Api, good: Object) -> None:
    api.create(good, dry_run=True)


CHANGES: list[Object] = [
    {"task": "Evaluate"},
    {"seed": 8},
    {"initial": {"statisticsRoundName": "stats"}},
    {"initial": None, "base": {"roundName": "r0"}},
    {"image": TRAINER.replace("b", "d")},
    {"command": ["sh"]},
    {"datasetName": "lung"},
    {"schemaName": "lung-v1"},
    {"parameters": {"epochs": "6"}},
    {"exchange": {"frozen": []}},
    {"metrics": ["loss", "patients"]},
    {"rows": "Test"},
    {"specificity": "0.95"},
    {"references": ["r1"]},
    {"gate": {"minEvents": 5}},
    {"participants": {"names": ["site-a"]}},
    {"quorum": {"min": 1}},
    {"deadlines": {"totalSeconds": 7200}},
    {"resources": {"acceleratorsPerNode": 1}},
    {"resources": {"localSockets": True}},
    {"aggregation": {"maxWeightShare": "0.5"}},
    {"retryLimit": 3},
    {"release": "Readers"},
    {"card": {"limits": "adults"}},
    {"delivery": DELIVERY},
]


@pytest.fixture(scope="module")
def running_round(api: Api) -> Object:
    return api.create(federated_round("running"))


def test_a_round_can_be_suspended_and_resumed(api: Api, running_round: Object) -> None:
    for value in (True, False):
        assert (
            api.patch("FederatedRound", "running", {"spec": {"suspend": value}}, FEDERATION)["spec"]["suspend"] is value
        )


@pytest.mark.parametrize("change", CHANGES, ids=[next(iter(change)) for change in CHANGES])
def test_no_field_of_a_round_but_suspend_can_be_changed(api: Api, running_round: Object, change: Object) -> None:
    with pytest.raises(Refused, match="In a round, only suspend can change"):
        api.patch("FederatedRound", "running", {"spec": change}, FEDERATION)


def test_the_order_of_references_cannot_be_changed(api: Api) -> None:
    """The aggregation names the differences of a result in this order. Kubernetes compares a set without its order."""
    compared = {"task": "Evaluate", "base": {"roundName": "r0"}, "references": ["r1", "r2"], "metrics": ["loss"]}
    api.create(without(federated_round("compared", **compared), "initial"))
    with pytest.raises(Refused, match="references keep their order"):
        api.patch("FederatedRound", "compared", {"spec": {"references": ["r2", "r1"]}}, FEDERATION)
    api.patch("FederatedRound", "compared", {"spec": {"references": ["r1", "r2"], "suspend": True}}, FEDERATION)


def test_the_test_of_immutable_fields_covers_every_field_but_suspend(api: Api, running_round: Object) -> None:
    tried = {name for change in CHANGES for name in change}
    document = api.call("GET", "/openapi/v3/apis/wardround.io/v1alpha1")
    spec = document["components"]["schemas"]["io.wardround.v1alpha1.FederatedRound"]["properties"]["spec"]
    assert set(spec["properties"]) - tried == {"suspend"}


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
