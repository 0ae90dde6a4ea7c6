"""When the demo's new cases come, and what the demo says of the gate: from objects of the hub, without a cluster."""

from typing import Any

import pytest

from lab import demo_model
from lab.demo_model import Trained
from tests.unit.cli.test_watch_model import entry, live, model
from wardround.api import modelversion
from wardround.cli import model_objects

EVALUATION = "breast-s1-e2-0123abcd"


def evaluating(sent: int, selected: int, **newest: Any) -> model_objects.ModelObjects:
    """A series whose newest round is the Evaluate round."""
    federated_round = live(EVALUATION, 70)
    federated_round["status"]["participants"] = {"selected": selected, "sent": sent}
    rounds = [entry(1), entry(2), {**entry(2, "Evaluate"), "outcome": "Running", **newest}]
    return model_objects.read(model(stage="Evaluating", rounds=rounds), [], [federated_round])


@pytest.mark.parametrize(("sent", "selected", "expected"), [(0, 0, False), (2, 3, False), (3, 3, True)])
def test_new_cases_come_when_all_hospitals_have_measured_the_last_model(
    sent: int, selected: int, expected: bool
) -> None:
    assert demo_model.is_measured(evaluating(sent, selected)) is expected


def test_no_new_cases_come_while_a_round_trains_or_does_not_exist_yet() -> None:
    assert not demo_model.is_measured(evaluating(3, 3, task="Train"))
    assert not demo_model.is_measured(evaluating(3, 3, name="breast-s1-e2-ffffffff"))


def test_the_next_series_is_described_as_soon_as_the_last_model_is_trained() -> None:
    """The end of the Evaluate round comes seconds after its measurements. The hub may not see a change in this time."""
    assert demo_model.is_trained(evaluating(0, 3))
    assert not demo_model.is_trained(evaluating(0, 3, task="Train"))


def version(number: int, **verdict: str) -> modelversion.ModelVersion:
    metadata = {"name": f"breast-v{number}-0123abcd", "namespace": "breast-cancer", "uid": f"v{number}"}
    spec = {
        "modelName": "breast",
        "version": number,
        "series": number,
        "roundName": f"breast-s{number}-r1-0123abcd",
        "roundUID": f"r{number}",
        "digest": "sha256:" + "0" * 64,
        "parents": [],
        "release": "Participants",
    }
    return modelversion.parse({"metadata": metadata, "spec": spec, "status": {"verdict": verdict} if verdict else {}})


def test_the_demo_says_what_the_gate_decided_and_which_version_stays() -> None:
    worse = version(3, outcome="Worse", reason="WorseThanReference", message="The reference is version 1.")
    trained = Trained((), worse, version(2))
    assert not trained.promoted
    assert demo_model.verdict(trained) == (
        "The gate says of version 3: Worse (WorseThanReference). The reference is version 1. The current version is 2."
    )
    assert Trained((), worse, worse).promoted
