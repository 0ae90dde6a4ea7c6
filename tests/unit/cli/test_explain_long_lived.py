"""Whether a Participant, a Site or a Dataset is ready, and what it says about the data."""

from datetime import timedelta
from typing import Any, cast

import pytest

from tests.unit.cli.explained import NOW, condition, item, lease
from wardround.api.times import to_seconds
from wardround.cli import explain
from wardround.cli.cluster import Cluster
from wardround.cli.commands.explain import explanation
from wardround.reasons.registry import REASONS
from wardround.tabular import ignored_columns


def test_a_participant_that_is_not_approved_is_the_hubs_to_approve() -> None:
    participant = item("Participant", "site-a", "site-a", {"conditions": [condition("Ready", "False", "NotApproved")]})
    text = explain.text(explain.explain_long_lived(participant, lease(1), NOW))
    assert "not ready: NotApproved" in text
    assert "kubectl wardround approve" in text


READY = {"conditions": [condition("Ready", "True", "Approved")]}


def test_a_suspended_participant_and_a_dataset_that_nobody_has_read_are_as_they_should_be() -> None:
    suspended = item("Participant", "site-a", "site-a", {"conditions": [condition("Suspended", "True", "Suspended")]})
    text = explain.text(explain.explain_long_lived(suspended, lease(5), NOW))
    assert text == (
        "Participant site-a/site-a is suspended. To continue, set spec.suspend of this object to false. "
        "For a Participant, the hub's administrator does this. For a FederatedRound or a FederatedModel, its author "
        "does it."
    )
    unread = item("Dataset", "breast", "hospital-a", {"conditions": [condition("Ready", "True", "NotReadYet")]})
    text = explain.text(explain.explain_long_lived(unread, None, NOW))
    assert text == f"Dataset hospital-a/breast is ready. {REASONS['NotReadYet'].meaning}"


def test_a_dataset_that_no_pod_could_read_says_why() -> None:
    why = "No pod has read the file. The newest try to read the file failed (DeadlineExceeded: no volume)."
    unread = item("Dataset", "breast", "hospital-a", {"conditions": [condition("Ready", "True", "NotReadYet", why)]})
    assert explain.text(explain.explain_long_lived(unread, None, NOW)).endswith(why)


def test_a_dataset_that_no_pod_may_read_is_not_ready_and_says_who_acts() -> None:
    advice = REASONS["ReadingNotAdmitted"]
    refused = condition("Ready", "False", advice.name, f"policy.datasets lacks it. {advice.advice}")
    text = explain.text(
        explain.explain_long_lived(item("Dataset", "breast", "hospital-a", {"conditions": [refused]}), None, NOW)
    )
    assert "Dataset hospital-a/breast is not ready: ReadingNotAdmitted." in text
    assert "  says:   policy.datasets lacks it." in text
    assert f"  who:    {advice.owner}\n  do:     {advice.action}" in text


def test_a_participant_that_is_ready_says_when_it_was_last_heard_from() -> None:
    text = explain.text(explain.explain_long_lived(item("Participant", "site-a", "site-a", READY), lease(3), NOW))
    assert text == "Participant site-a/site-a is ready. The hub heard from the hospital's site 3.0s ago."


@pytest.mark.parametrize(
    ("beat", "expected"),
    [
        (lease(600), "The hub has not heard from the site for 10m00s."),
        (None, "The hub has never heard from the site: the site has never been connected."),
    ],
)
def test_a_participant_that_is_silent_is_not_called_ready(beat: dict[str, Any] | None, expected: str) -> None:
    """Its condition says that the hub trusts it, and no more."""
    explained = explain.explain_long_lived(item("Participant", "site-a", "site-a", READY), beat, NOW)
    assert explained.headline == (
        f"Participant site-a/site-a is approved. {expected} A round that asks this hospital waits for the hospital's "
        "answer."
    )
    assert [each.reason for each in explained.findings] == ["NotConnected"]
    assert "is ready" not in explain.text(explained)


def test_a_site_or_dataset_has_no_lease_and_is_ready_all_the_same() -> None:
    for kind in ("Site", "Dataset"):
        explained = explain.explain_long_lived(item(kind, "x", "w", READY), None, NOW)
        assert explained.headline == f"{kind} w/x is ready."


def test_a_dataset_tells_on_which_rows_no_more_models_are_evaluated_now() -> None:
    budgets = [
        {"rows": "Validation", "used": 20, "left": 0, "until": to_seconds(NOW)},
        {"rows": "Test", "used": 20, "left": 0, "until": to_seconds(NOW + timedelta(days=2))},
    ]
    status = {"conditions": [condition("Ready", "True", "Read")], "evaluations": budgets}
    explained = explain.explain_long_lived(item("Dataset", "breast", "hospital-a", status), None, NOW)
    assert explained.headline == "Dataset hospital-a/breast is ready."
    [finding] = explained.findings
    assert (finding.where, finding.reason) == ("Test rows", "EvaluationsUsedUp")
    assert finding.message == f"20 evaluations, the next is possible after {budgets[1]['until']}"
    assert "kubectl describe dataset breast -n hospital-a" in explain.text(explained)
    budgets[1] |= {"left": 1}
    assert explain.explain_long_lived(item("Dataset", "breast", "hospital-a", status), None, NOW).findings == ()


def test_a_dataset_tells_which_rows_were_left_out() -> None:
    status = {
        "conditions": [condition("Ready", "True", "Validated")],
        "leftOut": {
            "rows": 2,
            "patients": 2,
            "share": "0.200",
            "fields": [{"field": "mean_radius", "reason": "Missing", "rows": 2}],
        },
        "remarks": [{"reason": "TargetsContradict", "patients": 3}, {"reason": "ClassLeftOut", "patients": 12}],
    }
    text = explain.text(explain.explain_long_lived(item("Dataset", "breast", "wardround", status), None, NOW))
    assert "is ready" in text
    assert (
        "mean_radius: Missing: In all rounds, this hospital's training pods leave out 2 rows of the data file" in text
    )
    assert "TargetsContradict: In the data file, some patients have several rows with different targets" in text
    assert "3 patients" in text
    assert "in the file of Dataset breast" in text
    assert "valid rows: TargetsContradict: " in text
    assert "rows left out: ClassLeftOut: " in text
    assert "12 patients" in text


def test_a_dataset_tells_which_columns_are_ignored_in_the_words_of_dataset_check() -> None:
    columns = [("notes", "NotInSchema"), ("age", "OtherColumnMapped"), ("ward", "NotInSchema")]
    ignored = {"columnCount": 4, "columns": [{"name": name, "reason": reason} for name, reason in columns]}
    status = {"conditions": [condition("Ready", "True", "Read")], "ignored": ignored}
    text = explain.text(explain.explain_long_lived(item("Dataset", "breast", "wardround", status), None, NOW))
    for reason, names in (("NotInSchema", "notes, ward"), ("OtherColumnMapped", "age")):
        meaning = ignored_columns.REASONS[reason].meaning
        assert f"ignored columns: {reason}: No model sees these columns of the data file, because {meaning}." in text
        assert f"says:   {names}" in text
        assert f"  {reason} ({meaning}): {names}" in ignored_columns.lines(4, columns)


def test_a_dataset_that_cannot_be_read_is_named() -> None:
    status = {"conditions": [condition("Ready", "False", "DataUnreadable")]}
    text = explain.text(explain.explain_long_lived(item("Dataset", "breast", "wardround", status), None, NOW))
    assert "Dataset breast" in text
    assert not {"DATASET", "SITE_NAMESPACE"} & set(text.replace("`", " ").split())


@pytest.mark.parametrize("reason", ["ColumnMissing", "DataUnreadable"])
def test_a_dataset_that_was_read_without_a_round_sends_nobody_to_a_task(reason: str) -> None:
    status = {"conditions": [condition("Ready", "False", reason, "Column age is missing.")]}
    text = explain.text(explain.explain_long_lived(item("Dataset", "breast", "wardround", status), None, NOW))
    assert "do:     Run `kubectl describe dataset breast -n wardround` at the site" in text


CHANGED = [(kind, 1, 2) for kind in ("Dataset", "FederatedModel", "FederatedRound", "SiteTask", "Site")]


@pytest.mark.parametrize(("kind", "observed", "generation"), [*CHANGED, ("Dataset", 2, 2), ("Dataset", None, 2)])
def test_a_change_that_no_operator_has_looked_at_stands_before_the_answer(
    kind: str, observed: int | None, generation: int
) -> None:
    changed: dict[str, Any] = {"kind": kind, "metadata": {"name": "x", "namespace": "n", "generation": generation}}
    changed["status"] = {"observedGeneration": observed, "conditions": []}
    known = explain.Explanation(f"{kind} n/x is ready.", ())
    lines = explain.with_change(changed, known).headline.split("\n")
    assert lines[-1] == known.headline
    expected = (
        [f"No operator has looked at the newest change of {kind} n/x yet."] if (observed or 2) < generation else []
    )
    assert [each.partition(" All")[0] for each in lines[:-1]] == expected


def test_an_object_that_has_ended_needs_no_look_after_a_change() -> None:
    ended: dict[str, Any] = {"kind": "FederatedRound", "metadata": {"name": "x", "generation": 2}}
    ended["status"] = {"observedGeneration": 1, "conditions": [condition("Complete", "True", "Sent")]}
    known = explain.Explanation("FederatedRound n/x is complete.", ())
    assert explain.with_change(ended, known) == known


def test_a_task_whose_hospital_does_not_answer_says_nothing_of_operators() -> None:
    """The hub changes it, and the hospital observes it."""
    task = {"kind": "RoundTask", "metadata": {"name": "x", "generation": 2}, "status": {"observedGeneration": 1}}
    known = explain.Explanation("RoundTask n/x waits.", ())
    assert explain.with_change(task, known) == known


class Site:
    server = "https://site.example"

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        changed = item(kind, name, namespace, {"observedGeneration": 1, **READY})
        return {**changed, "metadata": {**changed["metadata"], "generation": 2}}


def test_the_command_compares_the_generations() -> None:
    text = explain.text(explanation(cast(Cluster, Site()), "Dataset", "breast", "hospital-a"))
    assert text.startswith("No operator has looked at the newest change of Dataset hospital-a/breast yet.")
    assert text.endswith("\nDataset hospital-a/breast is ready.")
