"""What explain says of a ModelTransfer, a ModelPush, a Prediction and an Approval: why, whose problem, what to do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wardround.api.times import to_seconds
from wardround.cli import explain
from wardround.cli.arguments import target
from wardround.cli.explain_requests import explain_request
from wardround.reasons.predictions import at_a_prediction
from wardround.reasons.registry import REASONS

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
PUSH = {"schemaName": "breast-v1", "digest": "", "bytes": 1, "tensorsDigest": "", "publicKey": "", "requestedBy": "w"}
PLACE = {"claimName": "rows", "path": "rows.csv"}
SPECS: dict[str, dict[str, Any]] = {
    "ModelTransfer": {"publicKey": "", "requestedBy": "rita", "roundName": "train-1", "seconds": 600},
    "ModelPush": PUSH,
    "Prediction": {"model": {"name": "breast"}, "datasetName": "cases", "rows": PLACE, "answer": PLACE},
}
SHORT = {"ModelTransfer": "mt", "ModelPush": "mpush", "Prediction": "pred", "Approval": "appr"}


def item(kind: str, *conditions: tuple[str, str, str], spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """`conditions`: type, reason and message of those that are True."""
    metadata = {"name": "x", "namespace": "clinic", "creationTimestamp": to_seconds(NOW - timedelta(seconds=100))}
    listed = [
        {"type": each, "status": "True", "reason": reason, "message": words} for each, reason, words in conditions
    ]
    return {"kind": kind, "metadata": metadata, "spec": spec or SPECS[kind], "status": {"conditions": listed}}


def text(kind: str, *conditions: tuple[str, str, str]) -> str:
    return explain.text(explain_request(item(kind, *conditions), NOW))


@pytest.mark.parametrize("kind", SPECS)
def test_a_request_that_nobody_has_looked_at_says_so(kind: str) -> None:
    assert text(kind).startswith(f"{kind} clinic/x is new for 1m40s: no operator has looked at the object yet.")


@pytest.mark.parametrize(
    ("kind", "condition", "reason"),
    [
        (kind, condition, name)
        for name, each in REASONS.items()
        for place in each.stands_in
        for kind, _, condition in [place.partition(": ")]
        if kind in SPECS
        for condition in [condition.strip("`")]
    ],
)
def test_each_reason_of_a_request_is_explained_in_the_words_of_the_registry(
    kind: str, condition: str, reason: str
) -> None:
    known = at_a_prediction(REASONS[reason]) if kind == "Prediction" else REASONS[reason]
    shown = text(kind, (condition, reason, known.about(dataset="cases", site_namespace="clinic").text))
    assert reason in shown.splitlines()[0]
    assert f"  who:    {known.owner}" in shown
    assert "  says:" not in shown, "the registry's own words stand once"
    assert not {"TASK", "DATASET", "FEDERATION", "SITE_NAMESPACE"} & {*re.findall("[A-Z_]+", shown)}
    assert kind != "Prediction" or "sitetask" not in shown


def test_the_own_words_of_a_condition_are_shown_with_what_to_do() -> None:
    words = "answers.csv has a probability for 3 of 4 rows."
    assert f"  says:   {words}" in text("Prediction", ("Complete", "Predicted", words))
    shown = text("Prediction", ("Failed", "ColumnMissing", "mean_radius"))
    assert shown.startswith("Prediction clinic/x has failed: ColumnMissing.")
    assert "  who:    the hospital's administrator" in shown


@pytest.mark.parametrize("kind", ["ModelTransfer", "ModelPush"])
def test_a_request_at_the_hub_says_when_it_is_deleted(kind: str) -> None:
    assert f"The hub operator deletes the {kind} at 2026-11-24T12:08:20Z." in text(kind)


def test_a_request_that_waits_for_a_person_names_this_person() -> None:
    shown = text("Prediction", ("Stalled", "NoModelsClaim", ""), ("Reconciling", "Predicting", ""))
    assert shown.startswith("Prediction clinic/x waits for a person: NoModelsClaim.")
    assert "  who:    the hospital's administrator" in shown


def test_texts_of_other_people_do_not_steer_the_terminal() -> None:
    assert "\x1b" not in text("Prediction", ("Failed", "ColumnMissing", "\x1b[2J"))


@pytest.mark.parametrize(("kind", "word"), SHORT.items())
def test_people_name_these_kinds_as_kubectl_does(kind: str, word: str) -> None:
    assert target(f"{word}/x") == target(f"{kind.lower()}.wardround.io/x") == (kind, "x")


def test_an_approval_that_covers_no_further_task_says_what_to_do() -> None:
    made = item("Approval", spec={"author": "ada", "terms": "{}"})
    made["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "ApprovalUsedUp", "message": ""}]
    shown = explain.text(explain.explain_long_lived(made, None, NOW))
    assert shown.startswith("Approval clinic/x is not ready: ApprovalUsedUp.")
    assert REASONS["ApprovalUsedUp"].about(site_namespace="clinic").action in shown


def test_a_prediction_that_no_operator_has_seen_may_be_in_the_wrong_namespace() -> None:
    assert "in the right cluster and namespace" in at_a_prediction(REASONS["Pending"]).action
