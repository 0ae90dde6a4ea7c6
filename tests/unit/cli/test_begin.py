"""The verb begin writes a new value into the annotation, and says when the series begins."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.unit.cli import reported
from tests.unit.cli.explained import condition, item, stamp
from wardround.api import federatedmodel
from wardround.api.names import BEGIN
from wardround.cli.cluster import Cluster
from wardround.cli.commands.begin import answer, run_begin
from wardround.cli.errors import CommandError
from wardround.kubectl import parser


def model(stage: str | None = None, *conditions: dict[str, str], suspend: bool = False) -> dict[str, Any]:
    series = {"series": {"number": 3, "stage": stage, "started": stamp(50), "trigger": "Cron"}} if stage else {}
    spec = {**reported.SPEC, "suspend": suspend}
    return item("FederatedModel", "heart", "fed", {"conditions": [*conditions], **series}, spec)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (model(), "The first series of federatedmodel/heart -n fed begins now."),
        (model(suspend=True), "federatedmodel/heart -n fed begins when somebody sets spec.suspend to false."),
        (model("Ended"), "Series 4 of federatedmodel/heart -n fed begins now."),
        (model("Training"), "Series 4 of federatedmodel/heart -n fed begins when series 3 has ended."),
        (model("Training", suspend=True), "begins when series 3 has ended and somebody sets spec.suspend to false."),
        (
            model("Training", condition("Stalled", "True", "SeriesRoundFailed")),
            "Series 3 waits for people (SeriesRoundFailed): kubectl wardround explain federatedmodel/heart -n fed",
        ),
    ],
)
def test_the_answer_says_when_the_series_begins(shown: dict[str, Any], expected: str) -> None:
    assert expected in answer(federatedmodel.parse(shown))


@pytest.mark.parametrize("suspend", [False, True])
def test_the_answer_says_that_no_version_is_current_and_what_to_do(suspend: bool) -> None:
    ready = condition("Ready", "False", "PeopleDecide", "Set spec.current.version to 1.")
    shown = answer(federatedmodel.parse(model("Ended", ready, suspend=suspend)))
    assert ("begins now" in shown) != suspend
    assert shown.endswith("The FederatedModel is not Ready (PeopleDecide): Set spec.current.version to 1.")
    ready = condition("Ready", "False", "NoVersionYet")
    assert "not Ready" not in answer(federatedmodel.parse(model("Training", ready)))


def test_the_answer_does_not_promise_a_series_that_does_not_begin() -> None:
    message = "No further series begins until spec.current.version names one of these versions: 1."
    conditions = (
        condition("Ready", "False", "VersionGone", message),
        condition("Stalled", "True", "VersionGone", message),
    )
    shown = answer(federatedmodel.parse(model("Ended", *conditions)))
    assert shown == (
        "Series 4 of federatedmodel/heart -n fed begins as soon as nothing holds it up. The FederatedModel is Stalled "
        f"(VersionGone): {message}"
    )


class Hub:
    default_namespace = "fed"
    server = "https://hub.example"

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, str, Any]] = []

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        return model("Ended")

    def patch(self, kind: str, name: str, namespace: str, change: Any) -> dict[str, Any]:
        self.changes.append((kind, name, namespace, change))
        return model("Ended")


def test_each_call_writes_another_value(capsys: pytest.CaptureFixture[str]) -> None:
    hub = Hub()
    for _ in range(2):
        assert run_begin(cast(Cluster, hub), parser().parse_args(["begin", "fm/heart"])) == 0
    assert "begins now" in capsys.readouterr().out
    one, two = (change["metadata"]["annotations"][BEGIN] for *_, change in hub.changes)
    assert one != two
    assert hub.changes[0][:3] == ("FederatedModel", "heart", "fed")


def test_only_a_model_has_series() -> None:
    with pytest.raises(CommandError, match="federatedmodel/NAME"):
        run_begin(cast(Cluster, Hub()), parser().parse_args(["begin", "fr/heart"]))
