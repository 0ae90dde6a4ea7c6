"""Which rounds the demo makes, all derived from the files in examples/breast-cancer. Pure: applies nothing."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "breast-cancer"
NAMESPACE = "breast-cancer"
FEDERATED = "federated"
# For people to apply when the demo is over: one more round, and the same once more.
FURTHER, AGAIN = "train-6", "train-7"

Round = dict[str, Any]


@dataclass(frozen=True)
class Chain:
    """Rounds that lead to one model, and the round that evaluates it at every hospital. `owner`: a hospital's name for
    what it gets alone, or FEDERATED."""

    owner: str
    training: tuple[Round, ...]  # a Statistics round, then Train rounds, each from the one before
    evaluation: Round

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each["metadata"]["name"] for each in self.training)


def federated(image: str) -> Chain:
    """The rounds of the examples, as they are, with the trainer image in its place."""
    training = [*documents("statistics.yaml"), *documents("train.yaml")]
    [evaluation] = documents("evaluate.yaml")
    for each in (*training, evaluation):
        if "image" in each["spec"]:
            each["spec"]["image"] = image
    return Chain(FEDERATED, tuple(training), evaluation)


def alone(together: Chain, hospital: str) -> Chain:
    """As many epochs in one round, with statistics and first weights of its own and one participant: what a hospital
    without partners would do. The model is still evaluated at every hospital."""

    def own(of: Round) -> Round:
        result = copy.deepcopy(of)
        result["metadata"]["name"] = f"{hospital}-alone-{of['metadata']['name']}"
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
    """FURTHER, from the last round of training and otherwise like it."""
    result = copy.deepcopy(together.training[-1])
    result["spec"]["base"]["roundName"] = result["metadata"]["name"]
    result["metadata"]["name"] = FURTHER
    return result


def dataset(split_key: str) -> dict[str, Any]:
    """The example Dataset with a hospital's own split."""
    [result] = documents("dataset.yaml")
    result["spec"]["split"]["key"] = split_key
    return result


def documents(file: str) -> list[dict[str, Any]]:
    return list(_documents(EXAMPLES / file))


def text(objects: Sequence[dict[str, Any]]) -> str:
    """As a file that kubectl takes."""
    return yaml.safe_dump_all(objects, sort_keys=False)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    yield from (each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each)
