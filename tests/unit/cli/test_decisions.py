"""What a person reads of a task that waits, was denied or has ended, and of decisions that are already there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.unit.card.models import making
from tests.unit.cli.site_tasks import OWN, Deciding, Site, delivery, ended, site_task, stored
from tests.unit.plans_site.test_sweep_approval import member
from tests.worlds.site import ASSIGNMENT, NOW, SCHEMA
from wardround.api.times import to_seconds
from wardround.cli import approvals, reviews
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError
from wardround.documents import cards
from wardround.kubectl import parser
from wardround.sealing import body
from wardround.sealing.cards import sign_card
from wardround.sealing.keys import generate_signing_key
from wardround.wire import codec
from wardround.wire.assignment import Assignment
from wardround.wire.card import CardMetric
from wardround.wire.envelope import Envelope
from wardround.wire.models import ModelManifest


def schema(name: str, spec: Mapping[str, Any] = SCHEMA) -> Object:
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("schemas", "name"),
    [
        (
            [schema("breast-v1"), schema("other", {**SCHEMA, "fields": SCHEMA["fields"][:2]}), schema("bad", {})],
            "breast-v1 ",
        ),
        ([schema("b"), schema("a")], "a, b "),
        ([], ""),
        (None, ""),
    ],
    ids=["one", "two", "none", "forbidden"],
)
def test_review_names_the_data_schema_of_the_site(
    schemas: list[Object] | None, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hub signs digests of the DataSchema, and no name."""
    options = parser().parse_args(["review", "sitetask/own"])
    assert options.run(cast(Cluster, Site(schemas)), options) == 0
    shown = [
        each.split(maxsplit=1)[1] for each in capsys.readouterr().out.splitlines() if each.startswith("  DataSchema")
    ]
    digest = ASSIGNMENT.schema.digest
    assert shown == [f"{name}({digest})" if name else digest] * 2


@pytest.mark.parametrize(("kind", "words"), [("Complete", "is complete"), ("Failed", r"has failed \(Failed\)")])
def test_nobody_approves_a_task_that_has_ended(kind: str, words: str) -> None:
    approvals.require_open(approvals.reviewed(OWN, ()))
    over = approvals.reviewed(site_task("own", member(0), ended(kind)), ())
    with pytest.raises(
        CommandError,
        match=f"SiteTask .*/own {words}, so an approval .* of the same model, repeat the command with --model",
    ):
        approvals.require_open(over)
    text = "\n".join(reviews.review(over, NOW))
    assert "approve sitetask/own -n hospital-a --model" in text
    assert "--sweep" not in text
    alone = approvals.reviewed(site_task("own", ASSIGNMENT, ended(kind)), ())
    with pytest.raises(CommandError, match=r"Nothing is written\.$"):
        approvals.require_open(alone)


def test_an_approval_of_a_task_that_was_denied_ends_the_denial_and_review_shows_the_command() -> None:
    """A denial counts for further attempts. Without a terminal, people copy the command from review."""
    task = site_task("own", member(0), ended("Failed"))
    denied = approvals.reviewed(task | {"spec": task["spec"] | {"denied": True, "decidedBy": "carla"}}, ())
    approvals.require_open(denied)
    assert "This task has failed (Failed), and stays so." in approvals.approved(denied)
    uid = denied.task.metadata.uid
    assert f"approve sitetask/own -n hospital-a --uid {uid}" in "\n".join(reviews.review(denied, NOW))


SENT: Object = {"timeline": [{"stage": "Sent", "time": "2026-11-24T12:00:00.000000Z"}]}


@pytest.mark.parametrize(
    ("assignment", "status", "words"),
    [
        (member(0), {}, "Denied: sitetask/own -n hospital-a"),
        (member(0), ended("Complete"), "task is complete, and stays so. Its update is at the hub, and stays there."),
        (member(0), ended("Failed") | SENT, "has failed (Failed), and stays so. Its update is at the hub, and stays"),
        (member(0), ended("Failed"), "This task has failed (Failed), and stays so.\n"),
        (delivery(), ended("Complete"), "is complete, and stays so. Its model is on the hospital's claim of models."),
        (delivery(), ended("Failed"), "This task has failed (Failed), and stays so.\n"),
    ],
    ids=["open", "complete", "sent", "failed", "delivered", "not delivered"],
)
def test_a_denial_that_comes_too_late_says_so(
    assignment: Assignment, status: Object, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Deciding(site_task("own", assignment, status))
    options = parser().parse_args(["deny", "sitetask/own"])
    assert options.run(cast(Cluster, site), options) == 0
    assert site.decision == {"approved": False, "denied": True, "decidedBy": "carla"}
    shown = capsys.readouterr().err
    assert words in shown
    assert shown.startswith("Denied for further attempts only: sitetask/own -n hospital-a. ") == bool(status)


def test_the_approval_of_a_denied_task_that_is_complete_calls_it_complete() -> None:
    """A person denied the task after the courier had sent its update."""
    task = site_task("own", member(0), ended("Complete"))
    denied = approvals.reviewed(task | {"spec": task["spec"] | {"denied": True, "decidedBy": "carla"}}, ())
    assert approvals.approved(denied).endswith("This task is complete, and stays so.")


def test_withdrawing_the_approvals_of_a_model_leaves_its_denial() -> None:
    known = approvals.reviewed(OWN, ())
    options: dict[str, Any] = {"rounds": None, "evaluations": None, "until": None}
    made = approvals.approve_model(known, **options, author="carla", now=NOW)
    denial = approvals.deny_model(approvals.reviewed(OWN, [stored(made)]), "carla")
    known = approvals.reviewed(OWN, [stored(made), stored(denial)])
    assert approvals.withdrawable(known) == [made["metadata"]["name"]]
    [left] = approvals.denials_left(known)
    assert f"kubectl wardround withdraw approval/{denial['metadata']['name']}" in left


def written_by_another_version(made: Object, change: Mapping[str, Any]) -> Object:
    text = json.dumps(json.loads(made["spec"]["terms"]) | change, indent=2)
    return stored(made) | {"spec": made["spec"] | {"terms": text}}


CHANGES: list[Mapping[str, Any]] = [{"newField": "x"}, {"compression": "Zstd"}, {"modelUID": 7}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_denial_that_another_version_has_written_is_shown_and_named_by_withdraw(change: Mapping[str, Any]) -> None:
    """The third denial names no model that the site can read, so it denies all models."""
    denial = written_by_another_version(approvals.deny_model(approvals.reviewed(OWN, ()), "carla"), change)
    known = approvals.reviewed(OWN, [denial])
    name = denial["metadata"]["name"]
    shown = f"Approval {name} by carla, {to_seconds(NOW)}: Deny (another version of Wardround may have written its"
    assert shown in "\n".join(reviews.review(known, NOW))
    command = f"kubectl wardround withdraw approval/{name} -n {known.task.metadata.namespace}"
    with pytest.raises(CommandError, match=f"nothing to withdraw.*{command}"):
        approvals.withdrawable(known)


def test_an_approval_that_another_version_has_written_is_shown_and_withdrawn() -> None:
    options: dict[str, Any] = {"rounds": None, "evaluations": None, "until": None}
    made = approvals.approve_model(approvals.reviewed(OWN, ()), **options, author="carla", now=NOW)
    known = approvals.reviewed(OWN, [written_by_another_version(made, {"newField": "x"})])
    assert f"Approval {made['metadata']['name']} by carla" in "\n".join(reviews.review(known, NOW))
    assert approvals.withdrawable(known) == [made["metadata"]["name"]]
    assert approvals.denials_left(known) == []


def test_a_denial_of_another_model_is_neither_shown_nor_named() -> None:
    denial = approvals.deny_model(approvals.reviewed(site_task("other", member(1)), ()), "carla")
    known = approvals.reviewed(OWN, [written_by_another_version(denial, {"newField": "x"})])
    assert denial["metadata"]["name"] not in "\n".join(reviews.review(known, NOW))
    assert approvals.denials_left(known) == []


def test_the_text_of_a_delivery_names_model_version_file_and_what_is_deleted() -> None:
    digest = "sha256:" + "a" * 64
    names = dict.fromkeys(("round_uid", "participant", "base_digest", "image_digest", "schema_digest"), "")
    header = body.new_header(bytes(32), kind=body.MODEL, attempt=1, length=0, **names)
    payload = codec.dump(ModelManifest(header, digest, "", "models/uid", 9))
    envelope = Envelope(payload=json.dumps(payload).encode(), payload_type="x", signatures=())
    known = approvals.reviewed(site_task("brings", delivery(codec.write_document(envelope).decode())), ())
    text = "\n".join(reviews.review(known, NOW))
    assert "version 3 of model breast (UID model-uid)" in text
    assert digest in text
    assert "the newest 5 versions" in text
    assert "image" not in text


def test_a_delivery_whose_manifest_cannot_be_read_says_so() -> None:
    known = approvals.reviewed(site_task("brings", delivery()), ())
    text = "\n".join(reviews.review(known, NOW))
    assert "the model's manifest cannot be read" in text


def test_the_text_of_a_delivery_has_the_log_loss_of_its_card() -> None:
    loss = CardMetric(name="loss", value="2.3", people=150, hospitals=3, rows="Validation", round_name="train-5")
    shown = []
    made = cards.first(making(), NOW)
    made = replace(made, model=replace(made.model, schema_digest="sha256:" + "a" * 64))
    for metrics in ((), (loss, replace(loss, value="2.4", rows="Test", people=90))):
        card = sign_card(replace(made, metrics=metrics), generate_signing_key())
        asks = delivery()
        assert asks.delivery is not None
        asks = replace(asks, delivery=replace(asks.delivery, card=card))
        shown.append("\n".join(reviews.review(approvals.reviewed(site_task("brings", asks), ()), NOW)))
    assert "not measured" in shown[0]
    assert "2.3 on validation rows of 150 people, 2.4 on test rows of 90 people (lower is better)" in shown[1]


def test_a_delivery_does_not_deny_or_approve_its_model() -> None:
    known = approvals.reviewed(site_task("brings", delivery()), ())
    with pytest.raises(CommandError, match="name the SiteTask of one of its Train rounds"):
        approvals.deny_model(known, "carla")


def read(status: Mapping[str, Any] | None) -> str:
    return "\n".join(reviews.review(approvals.reviewed(site_task("own", member(0), status), ()), NOW))


def test_a_person_reads_that_the_hub_does_not_wait_as_long_as_the_assignment_lasts() -> None:
    """The hub has issued the assignment a minute before noon, and waits for 900 seconds."""
    limit = "Decide before 2026-11-24T12:14:00Z: the hub then ends the task if nobody has approved it."
    text = read(None)
    assert "deadlines.admissionSeconds of the round is 900." in text
    assert f"The assignment expires at {member(0).expires}" in text
    assert limit in text
    accepted = {**ended("Complete")["conditions"][0], "type": "Accepted"}
    for status in ({"conditions": [accepted]}, ended("Complete"), ended("Failed")):
        assert limit not in read(status)


UNSAID: list[dict[str, Any]] = [*({"admission_seconds": each} for each in (0, 2_592_001, 2**53)), {"issued": "soon"}]


@pytest.mark.parametrize("change", UNSAID, ids=str)
def test_a_person_reads_no_number_that_the_hub_has_not_given(change: dict[str, Any]) -> None:
    known = approvals.reviewed(site_task("own", replace(member(0), **change)), ())
    text = "\n".join(reviews.review(known, NOW))
    assert "Decide soon: the hub ends a task that nobody has approved within deadlines.admissionSeconds" in text
    assert "600" not in text


@pytest.mark.parametrize(
    ("reason", "shown"), [("ApprovalEnded", "approval withdrawn: bob, "), ("Denied", "Deny: bob, ")]
)
def test_an_approval_that_was_withdrawn_is_no_denial(reason: str, shown: str) -> None:
    failed = {**ended("Failed")["conditions"][0], "reason": reason}
    decision = {"verdict": "Deny", "by": "bob", "at": to_seconds(NOW)}
    assert shown in read({"conditions": [failed], "decision": decision})
