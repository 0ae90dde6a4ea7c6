"""From rounds over a card to an answer: a federation's recalibration is that of all its validation rows in one table.

Hospitals get the model with its card by a delivery, and one of them asks it about patients, as a Prediction does.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab import demo_data, demo_rounds
from tests.conditions import is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import HUB_NAMESPACE, Federation
from tests.simulation.rounds import OWN, own_round, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.card.scored import own_image
from tests.unit.card.test_answer import UID
from tests.unit.simulation.test_model import ALL_TASKS, FEDERATION, model
from wardround.api.names import HUB_CONFIG_MAP
from wardround.api.site import AllowedParameter
from wardround.card import folder, merge, view
from wardround.card.code import NamedCode
from wardround.card.view import CodeTerms
from wardround.card.volumes import Folders, PredictionRequest
from wardround.metrics.bins import clip
from wardround.pod import folders as pod_folders
from wardround.pod import labels
from wardround.simulate.containers import Container
from wardround.wire.card import ModelCard

Floats = np.ndarray[Any, Any]
ASKING, VERSION, ASKED = "site-c", "v1", 60
# So many people of each hospital, of whom a quarter are on the validation side.
PEOPLE = 2400
# The log odds of a finding, by what most features have in common. So no model tells it surely.
INTERCEPT, SLOPE = -0.5, 2.0


def tables() -> dict[str, demo_data.Table]:
    """The demo's cases without faults, each as several people who differ and have findings of their own, dealt evenly
    to the hospitals."""
    own, draw = demo_data.tables(), np.random.default_rng(11)
    faulty = {(name, row) for name, faults in demo_data.BLEMISHES.items() for row, *_ in faults}
    cases = [row for name in own for place, row in enumerate(own[name][1]) if (name, place) not in faulty]
    copies = PEOPLE * len(own) // len(cases) + 1
    values = np.tile(np.array([row[2:] for row in cases], np.float64), (copies, 1))
    values *= draw.uniform(0.9, 1.1, values.shape)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    common = np.linalg.svd(scaled, full_matrices=False)[0][:, 0]
    findings = draw.random(len(values)) < 1 / (1 + np.exp(-(INTERCEPT + SLOPE * common / common.std())))
    made: dict[str, demo_data.Table] = {name: (own[ASKING][0], []) for name in own}
    for number in range(PEOPLE * len(made)):
        name = sorted(made)[number % len(made)]
        row = [f"{name}-{number:05}", str(int(findings[number])), *(f"{each:g}" for each in values[number])]
        made[name][1].append(row)
    return made


@dataclass
class Evaluated:
    """Log odds and labels of all evaluated rows, by round, as they lie in the hospitals' pods and nowhere else."""

    odds: dict[str, list[Floats]] = field(default_factory=lambda: defaultdict(list))
    labels: dict[str, list[Floats]] = field(default_factory=lambda: defaultdict(list))

    def see(self, container: Container) -> None:
        pod = pod_folders.Folders(container.folder)
        predictions = pod.out / "predictions.f64"
        if container.command[-1] != "score" or not predictions.is_file():
            return
        name = container.job["metadata"]["labels"]["wardround.io/round"]
        probabilities = clip(np.fromfile(predictions, "<f8"))
        self.odds[name].append(np.log(probabilities / (1 - probabilities)))
        self.labels[name].append(labels.read(pod.labels_file).labels)

    def line(self, name: str) -> Floats:
        """Intercept and slope of a logistic regression of the labels on the log odds, by Newton's method."""
        odds, truth = np.concatenate(self.odds[name]), np.concatenate(self.labels[name])
        inputs, line = np.stack([np.ones_like(odds), odds], axis=1), np.zeros(2)
        for _ in range(25):
            expected = 1 / (1 + np.exp(-inputs @ line))
            curvature = (inputs * (expected * (1 - expected))[:, None]).T @ inputs
            line += np.linalg.solve(curvature, inputs.T @ (truth - expected))
        return line


@dataclass
class Answered:
    """`line`: of the pooled rows. `rows`: of the answer. `round_name`: of the Evaluate round of the series."""

    card: ModelCard
    line: Floats
    people: int
    round_name: str
    notes: tuple[str, ...]
    rows: list[dict[str, str]]


def measured_model() -> dict[str, Any]:
    """A series of one short Train round and its Evaluate round on validation rows, and the delivery of the model."""
    made = model(1)
    made["spec"]["round"]["metrics"] = ["loss", "calibration", "sensitivityAtSpecificity"]
    # A model of few short steps has too little confidence.
    made["spec"]["series"]["parameters"] = {"steps": "3", "learningRate": "0.1"}
    made["spec"]["evaluation"] = {"quorum": {"min": 3}, "testRows": False}
    made["spec"]["deliver"] = {"to": "Participants"}
    return made


def ask(root: Path, models: Path, fingerprint: str, table: demo_data.Table) -> tuple[tuple[str, ...], list[Any]]:
    """As the pod of a Prediction: `view`, the image's own `predict`, and `merge`."""
    for name in ("raw", "answers", "out"):
        (root / name).mkdir(parents=True)
    (root / "models").symlink_to(models)
    demo_data.write((table[0], table[1][:ASKED]), root / "raw" / "new.csv")
    request = PredictionRequest(
        uid=UID,
        model="breast",
        version="current",
        rows="new.csv",
        answer="answers.csv",
        fingerprint=fingerprint,
        dataset=demo_rounds.dataset()["spec"],
        schema=demo_rounds.data_schema()["spec"],
    )
    code = NamedCode(OWN.reference, tuple(own_round()["command"]))
    allowed = (AllowedParameter(name="steps"), AllowedParameter(name="learningRate"))
    places, pod = Folders.below(root), pod_folders.Folders(root)
    view.view(places, pod, request, CodeTerms(code, allowed, ASKING))
    own_image(root)
    predicted = merge.merge(places, pod, UID, "answers.csv")
    with (root / "answers" / "answers.csv").open(encoding="utf-8", newline="") as file:
        return predicted.notes, list(csv.DictReader(file))


@pytest.fixture(scope="module")
def answered() -> Answered:
    seen, made = Evaluated(), tables()

    async def main(loop: VirtualLoop) -> Answered:
        federation = Federation(loop, home / "federation", ALL_TASKS, 1, seen.see)
        async with federation.running(made):
            federation.apply(measured_model())
            place = Place("FederatedModel", FEDERATION, "breast")
            await federation.until("the version is delivered", lambda: is_true(federation.hub.read(place), "Delivered"))
            *_, evaluation = federation.hub.read(place)["status"]["series"]["rounds"]
            pin = federation.hub.read(Place("ConfigMap", HUB_NAMESPACE, HUB_CONFIG_MAP))["data"]["fingerprint"]
            models = federation.models(ASKING)
            card = folder.load(models / "breast" / VERSION, pin).card
            notes, rows = ask(home / "prediction", models, pin, made[ASKING])
            name = evaluation["name"]
            return Answered(card, seen.line(name), sum(map(len, seen.labels[name])), name, notes, rows)

    with scratch() as name:
        home = Path(name)
        return play(main)


def test_the_card_has_the_line_of_all_validation_rows(answered: Answered) -> None:
    for name, expected in zip(("calibrationIntercept", "calibrationSlope"), answered.line, strict=True):
        metric = answered.card.metric(name, "Validation")
        assert metric is not None
        assert (metric.round_name, metric.hospitals) == (answered.round_name, 3)
        assert metric.people == pytest.approx(answered.people, rel=0.01)
        assert metric.low is not None
        assert metric.high is not None
        assert float(metric.low) < expected < float(metric.high)
        assert float(metric.value) == pytest.approx(expected, rel=0.1, abs=0.1)


def test_the_answer_is_recalibrated_by_the_line_of_all_validation_rows(answered: Answered) -> None:
    assert len(answered.rows) == ASKED
    probabilities = np.array([float(each["probability"]) for each in answered.rows])
    intercept, slope = answered.line
    expected = 1 / (1 + np.exp(-(intercept + slope * np.log(probabilities / (1 - probabilities)))))
    recalibrated = np.array([float(each["recalibrated"]) for each in answered.rows])
    assert np.abs(recalibrated - expected).max() < 0.02
    # Without a recalibration, the answer is another one.
    assert np.abs(probabilities - expected).max() > 0.1
    assert answered.round_name in answered.notes[0]


def test_the_answer_has_the_operating_point_of_the_card(answered: Answered) -> None:
    threshold = answered.card.metric("threshold", "Validation")
    assert threshold is not None
    assert {float(each["operatingPoint"]) for each in answered.rows} == {float(threshold.value)}
    for each in answered.rows:
        assert each["positive"] == str(float(each["probability"]) >= float(threshold.value)).lower()
    assert {each["positive"] for each in answered.rows} == {"true", "false"}
