"""The demo's rounds, derived from the files in examples/breast-cancer. Pure: applies nothing."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "breast-cancer"
NAMESPACE = "breast-cancer"
FEDERATED = "federated"
# Rounds that people apply after the demo: one more round, and the same under another name.
FURTHER, AGAIN = "train-6", "train-7"

Round = dict[str, Any]


@dataclass(frozen=True)
class Chain:
    """Rounds that lead to one model, and the round that evaluates the model at every hospital.

    `owner`: the hospital that trains alone, or FEDERATED.
    """

    owner: str
    training: tuple[Round, ...]  # a Statistics round, then Train rounds, each from the one before
    evaluation: Round

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each["metadata"]["name"] for each in self.training)


def federated(image: str) -> Chain:
    """The rounds of the examples, with `image` as the trainer image."""
    training = [*documents("statistics.yaml"), *documents("train.yaml")]
    [evaluation] = documents("evaluate.yaml")
    for each in (*training, evaluation):
        if "image" in each["spec"]:
            each["spec"]["image"] = image
    return Chain(FEDERATED, tuple(training), evaluation)


def alone(together: Chain, hospital: str) -> Chain:
    """The chain of a hospital without partners: one participant, its own statistics and initial weights, and equally
    many epochs in one round. The model is still evaluated at every hospital. Simulations run it, and the demo does not.
    """

    def own(federated_round: Round) -> Round:
        result = copy.deepcopy(federated_round)
        result["metadata"]["name"] = f"{hospital}-alone-{federated_round['metadata']['name']}"
        return result

    statistics, first, *further = together.training
    training = own(statistics), own(first)
    training[1]["metadata"]["name"] = f"{hospital}-alone-train"
    epochs = sum(int(each["spec"]["parameters"]["epochs"]) for each in (first, *further))
    training[1]["spec"]["parameters"]["epochs"] = str(epochs)
    training[1]["spec"]["initial"]["statisticsRoundName"] = training[0]["metadata"]["name"]
    for each in training:
        each["spec"]["participants"], each["spec"]["quorum"] = {"names": [hospital]}, {"min": 1}
    evaluation = own(together.evaluation)
    evaluation["spec"]["base"]["roundName"] = training[1]["metadata"]["name"]
    return Chain(hospital, training, evaluation)


def further(together: Chain) -> Round:
    """The round FURTHER: it starts from the last round of training, and is otherwise equal to it."""
    result = copy.deepcopy(together.training[-1])
    result["spec"]["base"]["roundName"] = result["metadata"]["name"]
    result["metadata"]["name"] = FURTHER
    return result


def dataset() -> dict[str, Any]:
    """The example Dataset, the same for all hospitals."""
    [result] = documents("dataset.yaml")
    return result


def data_schema() -> dict[str, Any]:
    """The example DataSchema, which all hospitals apply."""
    [result] = documents("dataschema.yaml")
    return result


def documents(file: str) -> list[dict[str, Any]]:
    return list(_documents(EXAMPLES / file))


def text(objects: Sequence[dict[str, Any]]) -> str:
    """The objects as YAML for kubectl."""
    return yaml.safe_dump_all(objects, sort_keys=False)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    yield from (each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each)
