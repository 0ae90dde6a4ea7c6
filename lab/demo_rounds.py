"""The demo's rounds, derived from the files in examples/breast-cancer. Pure: applies nothing."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "breast-cancer"
NAMESPACE = "breast-cancer"
FEDERATED = "federated"
MODEL = "breast"
# Changes of `spec.series` for the series after the first one. Such a series is short, and it has a lower learning rate,
# because it trains the current version further.
FURTHER_ROUNDS, FURTHER_PARAMETERS = 2, {"learningRate": "0.0005"}
# The series in which a hospital has flipped its labels.
FLIPPED_ROUNDS = 1
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


def model(image: str, minute: datetime) -> Round:
    """The example FederatedModel, with as many equal rounds as `federated` has: the simulations of other splits run
    those. `minute`: of the trigger."""
    [result] = documents("model.yaml")
    series = result["spec"]["series"]
    series["rounds"] = sum(each["spec"]["task"] == "Train" for each in federated(image).training)
    del series["schedules"], series["stop"]
    result["spec"]["round"]["image"] = image
    result["spec"] |= {"release": "Readers", "deliver": {"to": "Participants"}, "trigger": trigger(minute)}
    # The demo measures the last version itself, with the metrics of its table, and has no time for more rounds.
    result["spec"]["evaluation"]["testRows"] = False
    return result


def further_series(model: Round) -> Round:
    """The FederatedModel as the demo changes it for the series after the first one."""
    result = copy.deepcopy(model)
    series = result["spec"]["series"]
    series["rounds"] = FURTHER_ROUNDS
    series["parameters"] |= FURTHER_PARAMETERS
    return result


def without_trigger(model: Round) -> Round:
    """The FederatedModel as the demo leaves it: no further series begins by itself."""
    result = copy.deepcopy(model)
    del result["spec"]["trigger"]
    return result


def flipped_series(model: Round) -> Round:
    """The FederatedModel as the demo changes it for the series with flipped labels."""
    result = without_trigger(model)
    result["spec"]["series"]["rounds"] = FLIPPED_ROUNDS
    return result


def trigger(minute: datetime) -> dict[str, str]:
    """The trigger of one further series. It begins at this minute, or later if another series runs then."""
    return {"cron": f"{minute.minute} {minute.hour} {minute.day} {minute.month} *", "timeZone": "Etc/UTC"}


def prediction(file: str, rows: str, answers: str) -> dict[str, Any]:
    """A Prediction of a file by the current version of the model. `rows`, `answers`: claims of the hospital."""
    return {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "Prediction",
        "metadata": {"name": file.removesuffix(".csv")},
        "spec": {
            "model": {"name": MODEL},
            "datasetName": dataset()["metadata"]["name"],
            "rows": {"claimName": rows, "path": file},
            "answer": {"claimName": answers, "path": file},
        },
    }


def evaluation(together: Chain, base: str) -> Round:
    """The round that measures the model of the round `base` on test rows."""
    result = copy.deepcopy(together.evaluation)
    result["spec"]["base"]["roundName"] = base
    return result


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


def further(together: Chain, base: str) -> Round:
    """The round FURTHER: it starts from the round `base`, and is otherwise equal to the last round of training."""
    result = copy.deepcopy(together.training[-1])
    result["spec"]["base"]["roundName"] = base
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
