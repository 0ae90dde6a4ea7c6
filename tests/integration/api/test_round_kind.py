"""Which FederatedRounds the API server takes, and which of their fields can change."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.api.admission import refusal
from tests.integration.api.apiserver import Api, Refused, until
from tests.integration.api.objects import (
    FEDERATION,
    TRAINER,
    federated_round,
    without,
)
from wardround.metrics import registry

Object = dict[str, Any]
DELIVERY = {"modelName": "breast", "modelUID": "1", "version": 3, "versions": 5}


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


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "FedAvgM": {"serverLearningRate": "1", "momentum": "0.9", "maxWeightShare": "0.5"},
    "FedAdagrad": {"serverLearningRate": "0.1", "beta1": "0", "tau": "0.000001"},
    "FedAdam": {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"},
    "FedYogi": {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"},
}
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
    "a metric that the built-in trainer does not report": (
        federated_round(metrics=["acuracy"]),
        "(python -m wardround_trainer, the default of command), metrics of a Train round can list only loss, brier",
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
        "a Deliver round has no result",
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
        "the strategy needs differences from a base",
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
    "half a hospital": (federated_round(**strategy("TrimmedMean", trimmed="1.5")), 'Given: trimmed "1.5".'),
    "a bound of zero": (
        without(federated_round(base={"roundName": "r0"}, **strategy("NormBounding", largestNorm="0.0")), "initial"),
        'Given: largestNorm "0.0".',
    ),
    "an optimizer of first weights": (
        federated_round(**strategy("FedAvgM", serverLearningRate="1", momentum="0.9")),
        "the strategy needs differences from a base",
    ),
    "adam without beta2": (
        federated_round(**strategy("FedAdam", serverLearningRate="0.1", beta1="0.9", tau="0.001")),
        "not those of the strategy",
    ),
    "a momentum of one": (
        federated_round(**strategy("FedAvgM", serverLearningRate="1", momentum="1.0")),
        'from 0 to below 1 with at most six digits after the point, written as strings. Given: momentum "1.0".',
    ),
    "a server that does not learn": (
        federated_round(**strategy("FedAdagrad", serverLearningRate="0.0", beta1="0", tau="0.001")),
        'written as strings. Given: serverLearningRate "0.0" tau "0.001".',
    ),
    "fednova without steps": (
        without(federated_round(base={"roundName": "r0"}, **strategy("FedNova")), "initial"),
        "Add steps to metrics",
    ),
    "fednova of first weights": (
        federated_round(metrics=["steps"], **strategy("FedNova")),
        "the strategy needs differences from a base",
    ),
    "first weights compressed": (
        federated_round(aggregation={"compression": "Int8"}),
        "Only Train rounds that start from",
    ),
    "an evaluation compressed": (
        evaluation(aggregation={"compression": "BFloat16"}),
        "Only Train rounds that start from",
    ),
    "an unknown compression": (
        without(federated_round(base={"roundName": "r0"}, aggregation={"compression": "Gzip"}), "initial"),
        "spec.aggregation.compression",
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
        federated_round(metrics=[*registry.EVALUATE, "steps"]),
        federated_round(metrics=["dice"], command=["python", "/trainer.py"]),
        without(federated_round(task="Statistics"), "initial", "image"),
        federated_round(participants={"selector": {"matchLabels": {"region": "north"}}}, quorum={"min": 90}),
        federated_round(aggregation={"maxWeightShare": "0.5"}),
        without(federated_round(base={"roundName": "r0"}, aggregation={"compression": "BFloat16"}), "initial"),
        without(federated_round(base={"roundName": "r0"}, aggregation={"compression": "Int8"}), "initial"),
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
        without(federated_round(base={"roundName": "r0"}, metrics=["loss", "steps"], **strategy("FedNova")), "initial"),
        *(
            without(federated_round(base={"roundName": "r0"}, **strategy(name, **parameters)), "initial")
            for name, parameters in OPTIMIZERS.items()
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
    {"metrics": ["loss", "people"]},
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


KIND = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/federatedrounds.wardround.io"


def test_a_round_that_is_older_than_the_rule_about_its_metrics_can_be_suspended(api: Api) -> None:
    """The chart `crds` may be upgraded while a round runs."""
    older, newer = federated_round("older", metrics=["acuracy"]), federated_round("newer", metrics=["acuracy"])
    rules = api.call("GET", KIND)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    rules = rules["x-kubernetes-validations"]
    change_rules(api, [each for each in rules if "built-in trainer" not in each["message"]])
    until("the rule is gone", lambda: refusal(api, older) == "")
    api.create(older)
    change_rules(api, rules)
    until("the rule is there again", lambda: "With the built-in trainer" in refusal(api, newer))
    for value in (True, False):
        patched = api.patch("FederatedRound", "older", {"spec": {"suspend": value}}, FEDERATION)
        assert patched["spec"]["suspend"] is value
    api.delete("FederatedRound", "older", FEDERATION)


def change_rules(api: Api, rules: list[Object]) -> None:
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations"
    change: Any = [{"op": "replace", "path": path, "value": rules}]
    api.call("PATCH", KIND, change, kind_of_body="application/json-patch+json")


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
