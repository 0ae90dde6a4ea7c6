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
    """The same number of rounds and epochs, statistics and first weights of its own, with one participant. The model is
    still evaluated at every hospital."""

    def name(of: str) -> str:
        return f"{hospital}-alone-{of}"

    training = []
    for each in together.training:
        own = copy.deepcopy(each)
        own["metadata"]["name"] = name(own["metadata"]["name"])
        spec = own["spec"]
        spec["participants"], spec["quorum"] = {"names": [hospital]}, {"min": 1}
        if "base" in spec:
            spec["base"]["roundName"] = name(spec["base"]["roundName"])
        if "statisticsRoundName" in spec.get("initial", {}):
            spec["initial"]["statisticsRoundName"] = name(spec["initial"]["statisticsRoundName"])
        training.append(own)
    evaluation = copy.deepcopy(together.evaluation)
    evaluation["metadata"]["name"] = name(evaluation["metadata"]["name"])
    evaluation["spec"]["base"]["roundName"] = name(evaluation["spec"]["base"]["roundName"])
    return Chain(hospital, tuple(training), evaluation)


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
