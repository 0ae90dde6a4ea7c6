"""The courier's next step for a task, as a table: what it has found, and what it does next."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.worlds.site import (
    ASSIGNMENT,
    FINGERPRINT,
    HUB,
    HUB_DER,
    NOW,
    a_reference,
    a_task,
    accepted,
    condition,
    signed,
)
from wardround.api.approval import Approval
from wardround.api.approval import parse as parse_approval
from wardround.api.sitetask import CourierReport
from wardround.api.task import Update, Upload
from wardround.plans.approval import task_key
from wardround.plans.courier.report import report
from wardround.plans.courier.step import (
    POLL_SECONDS,
    REFUSED_SECONDS,
    after,
    failures_after,
    inputs,
    missing_inputs,
    next_step,
    on_object,
    stops_transfers,
)
from wardround.plans.courier.turns import SLICE_SECONDS, is_too_slow, turn_ends
from wardround.plans.courier.types import (
    ApprovalView,
    AwaitUpdate,
    Deliver,
    Fetch,
    FolderView,
    Leave,
    LookAtApproval,
    LookAtFolder,
    Observation,
    OpenedGrants,
    OpenGrants,
    Report,
    Rest,
    Seal,
    SealedUpdate,
    Send,
    Step,
    Trouble,
    TryAgain,
)
from wardround.plans.terms import series_terms
from wardround.plans.terms import text as terms_text
from wardround.sealing.keys import hub_fingerprint
from wardround.sealing.refused import Refused
from wardround.wire.assignment import AssignedBase, AssignedDelivery, AssignedModel, Assignment
from wardround.wire.grants import Grants, Put
from wardround.wire.models import Get
from wardround.wire.versions import LATEST

# The base of an initial round is the result of a Statistics round. Only the step that fetches it reads its manifest.
BASED = dataclasses.replace(ASSIGNMENT, base=AssignedBase("manifest", b"wrapped key"))
SIGNED, SIGNED_BASED = signed(), signed(base=BASED.base)
PIN = hub_fingerprint(HUB_DER)
GET = Get("https://store.example/segments", ("https://store.example/part-0",))
MD5 = ("MD5 of the first", "MD5 of the last")


def puts(first: str, last: str) -> tuple[Put, ...]:
    """Grants for the two parts of the sealed update, with these digests."""
    return (
        Put("https://store.example/put-0", 100, {"Content-MD5": first}),
        Put("https://store.example/put-1", 7, {"Content-MD5": last}),
    )


PUTS = puts(*MD5)
PUTS_BY_LENGTH = tuple(dataclasses.replace(each, headers={}) for each in PUTS)
UPDATE = Update(manifest="{}", samples=290)
SEALED = SealedUpdate(bytes=107, parts=(100, 7), md5=MD5, update=UPDATE)
HERE = FolderView(frozenset({"in/statistics.safetensors"}))
TRAINED = FolderView(frozenset({"in/statistics.safetensors"}), has_update=True)
READY = {"input": "Ready"}
AWAY = {**READY, "reason": "StoreUnreachable"}
UPLOAD = {**READY, "upload": {"bytes": 107, "md5": list(MD5)}}
SENT = {**UPLOAD, "update": {"manifest": "{}", "samples": 290}}


GRANTS = "c2VhbGVk"


def grants(
    *, get: Get | None = None, put: tuple[Put, ...] | None = None, references: tuple[Get, ...] = (), text: str = GRANTS
) -> OpenedGrants:
    return OpenedGrants(text, Grants("2026-11-24T13:00:00Z", get, put, references))


def seen(
    *conditions: dict[str, str],
    courier: dict[str, Any] | None = None,
    envelope: str = SIGNED,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **changes: Any,
) -> Observation:
    """An accepted task whose hub has granted something."""
    status = accepted(*conditions, courier=courier or {}) if status is None else status
    task = a_task(envelope=envelope, spec={"grants": GRANTS, **(spec or {})}, status=status)
    return dataclasses.replace(
        Observation(
            task=task,
            approval="Policy",
            hub_fingerprint=PIN,
            lowest_version=LATEST,
            site_fingerprint=FINGERPRINT,
            takes_models=True,
            now=NOW,
        ),
        **changes,
    )


def based(**changes: Any) -> Observation:
    return seen(envelope=SIGNED_BASED, **changes)


def ungranted(**changes: Any) -> Observation:
    return based(spec={"grants": None}, **changes)


BOTH = (a_reference(1), a_reference(2))
COMPARED = dataclasses.replace(ASSIGNMENT, task="Evaluate", initial=False, base=BASED.base, references=BOTH)
SIGNED_COMPARED = HUB.sign(COMPARED)
MODELS = ("in/model.safetensors", "reference1/model.safetensors", "reference2/model.safetensors")
GETS = tuple(Get(f"https://store.example/models/{number}", ()) for number in (1, 2))
ALL_GRANTED = grants(get=GET, references=GETS)


DELIVERY = dataclasses.replace(
    ASSIGNMENT,
    task="Deliver",
    initial=False,
    base=BASED.base,
    delivery=AssignedDelivery(model_name="breast", model_uid="uid", version=1, keep=5, card="card"),
)
SIGNED_DELIVERY = HUB.sign(DELIVERY)


def delivery(*here: str, **changes: Any) -> Observation:
    return seen(envelope=SIGNED_DELIVERY, folder=FolderView(frozenset(here)), **changes)


def compared(*here: str, **changes: Any) -> Observation:
    return seen(envelope=SIGNED_COMPARED, folder=FolderView(frozenset(here)), **changes)


OF_SERIES = dataclasses.replace(
    ASSIGNMENT,
    model=AssignedModel(
        name="breast",
        uid="model-uid",
        series=1,
        round=1,
        rounds=3,
        tasks=("Train",),
        image=ASSIGNMENT.image,
        command=ASSIGNMENT.command,
        parameters=ASSIGNMENT.parameters,
        schedules=(),
        frozen=ASSIGNMENT.exchange.frozen,
        metrics=ASSIGNMENT.metrics,
        quorum=ASSIGNMENT.quorum,
        evaluation_quorum=ASSIGNMENT.quorum,
        resources=ASSIGNMENT.resources,
    ),
)
DAY = timedelta(days=1)
NOT_APPROVED = Report(change=CourierReport(), reason="WaitingForApproval")


LONG_SERIES = dataclasses.replace(OF_SERIES, expires="2026-11-26T00:00:00Z")


def key_of(task: Assignment) -> str:
    """By what an Approval counts this task."""
    return task_key(task, HUB.sign(task))


def a_series(*counted: Assignment, more: tuple[str, ...] = (), **spec: Any) -> Approval:
    """An Approval of one round of this series."""
    terms = series_terms(OF_SERIES)
    assert terms is not None
    tasks = [*more, *map(key_of, counted)]
    known = {"author": "alice", "terms": terms_text(terms), "maxRounds": 1, "until": "2026-11-25T00:00:00Z"}
    status = {"rounds": len(tasks), "roundTasks": tasks}
    return parse_approval({"metadata": {"name": "breast-s1"}, "spec": {**known, **spec}, "status": status})


COVERS = a_series(LONG_SERIES)
OTHER_TERMS = dataclasses.replace(LONG_SERIES, parameters={"epochs": "6"})
NO_SERIES = dataclasses.replace(LONG_SERIES, model=None)


def by_approval(*, read_approval: ApprovalView | None = None, now: datetime = NOW, **assignment: Any) -> Observation:
    """A task that the site operator has accepted by the Approval breast-s1."""
    decision = {"verdict": "Approve", "by": "alice", "at": "2026-11-24T11:59:00Z", "approval": "breast-s1"}
    envelope = HUB.sign(dataclasses.replace(LONG_SERIES, **assignment))
    status = accepted(courier={}, decision=decision)
    return seen(envelope=envelope, status=status, approval="Manual", read_approval=read_approval, now=now)


REPORT_READY = Report(change=CourierReport(input="Ready"))
SEAL = Seal(assignment=ASSIGNMENT, base_digest="")
STEPS: dict[str, tuple[Observation, Step]] = {
    # Whether it does anything at all
    "nobody has accepted the task": (seen(status={}), Rest()),
    "the task is complete": (seen(condition("Complete")), Leave()),
    "the task has failed": (seen(condition("Failed")), Leave()),
    "the task was deleted": (seen(deleted=True), Leave()),
    "the hub has cancelled the task": (seen(spec={"cancel": True}), Rest()),
    "people have not approved": (seen(approval="Manual"), Report(change=CourierReport(), reason="WaitingForApproval")),
    "it has said so": (seen(approval="Manual", courier={"reason": "WaitingForApproval"}), Rest()),
    "people have approved": (seen(approval="Manual", spec={"approved": True}), LookAtFolder()),
    "people have approved its series": (by_approval(), LookAtApproval(name="breast-s1")),
    "the Approval covers the task": (by_approval(read_approval=ApprovalView(COVERS)), LookAtFolder()),
    "the Approval is gone": (by_approval(read_approval=ApprovalView()), NOT_APPROVED),
    "the Approval is withdrawn": (
        by_approval(read_approval=ApprovalView(a_series(LONG_SERIES, withdrawnBy="bob"))),
        NOT_APPROVED,
    ),
    "the Approval is over": (
        by_approval(read_approval=ApprovalView(COVERS), now=NOW + timedelta(days=1)),
        NOT_APPROVED,
    ),
    "the task does not count for the Approval": (by_approval(read_approval=ApprovalView(a_series())), NOT_APPROVED),
    "too many count for the Approval": (
        by_approval(read_approval=ApprovalView(a_series(LONG_SERIES, more=("a/1",)))),
        NOT_APPROVED,
    ),
    "another assignment of this attempt counts": (
        by_approval(read_approval=ApprovalView(COVERS), seed=8),
        NOT_APPROVED,
    ),
    "the Approval has other terms": (
        by_approval(read_approval=ApprovalView(a_series(OTHER_TERMS)), parameters={"epochs": "6"}),
        NOT_APPROVED,
    ),
    "the Approval is another series'": (
        by_approval(read_approval=ApprovalView(a_series(NO_SERIES)), model=None),
        NOT_APPROVED,
    ),
    # Fetching
    "it does not know the folder": (based(), LookAtFolder()),
    "the base is missing": (based(folder=FolderView()), OpenGrants(assignment=BASED, text=GRANTS)),
    "the hub has granted nothing yet": (ungranted(folder=FolderView()), Rest()),
    "the grants are for an update": (based(folder=FolderView(), grants=grants(put=PUTS)), Rest()),
    "the grants are for the base": (
        based(folder=FolderView(), grants=grants(get=GET)),
        Fetch(assignment=BASED, grant=GET, input=inputs(BASED)[0]),
    ),
    "the hub has renewed the grants": (
        based(folder=FolderView(), grants=grants(get=GET, text="older")),
        OpenGrants(assignment=BASED, text=GRANTS),
    ),
    "the hub has taken the grants back": (ungranted(folder=FolderView(), grants=grants(get=GET)), Rest()),
    "a part of the base is here": (
        based(folder=FolderView(frozenset({"in/.statistics.safetensors.partial"}))),
        OpenGrants(assignment=BASED, text=GRANTS),
    ),
    "the base is here": (based(folder=HERE), REPORT_READY),
    "the round has no base": (seen(folder=FolderView()), REPORT_READY),
    # Fetching what it is compared with
    "the base of a comparison is missing": (
        compared(*MODELS[1:], grants=ALL_GRANTED),
        Fetch(assignment=COMPARED, grant=GET, input=inputs(COMPARED)[0]),
    ),
    "a reference is missing": (
        compared(MODELS[0], MODELS[2], grants=ALL_GRANTED),
        Fetch(assignment=COMPARED, grant=GETS[0], input=inputs(COMPARED)[1]),
    ),
    "the last reference is missing": (
        compared(*MODELS[:2], grants=ALL_GRANTED),
        Fetch(assignment=COMPARED, grant=GETS[1], input=inputs(COMPARED)[2]),
    ),
    "the grants are for the base alone": (compared(MODELS[0], grants=grants(get=GET)), Rest()),
    "all models are here": (compared(*MODELS), REPORT_READY),
    # Delivering
    "the model of a delivery is missing": (
        delivery(grants=grants(get=GET)),
        Fetch(assignment=DELIVERY, grant=GET, input=inputs(DELIVERY)[0]),
    ),
    "the model of a delivery is here": (delivery(*MODELS[:1]), Deliver(assignment=DELIVERY)),
    "the models claim has the model": (
        delivery(*MODELS[:1], delivered=True),
        Report(change=CourierReport(delivery="Done")),
    ),
    "the site operator knows it": (delivery(courier={"delivery": "Done"}), Rest()),
    # Sending
    "training has left nothing": (seen(folder=HERE, courier=READY), AwaitUpdate(requeue_after=POLL_SECONDS)),
    "training has left an update": (seen(folder=TRAINED, courier=READY), SEAL),
    "a restarted courier finds what it sealed": (seen(folder=TRAINED, courier=UPLOAD), SEAL),
    "the update is sealed": (
        seen(folder=TRAINED, courier=READY, sealed=SEALED),
        Report(change=CourierReport(upload=Upload(bytes=107, md5=MD5))),
    ),
    "the hub knows its length": (
        seen(folder=TRAINED, courier=UPLOAD, sealed=SEALED),
        OpenGrants(assignment=ASSIGNMENT, text=GRANTS),
    ),
    "there are no grants": (
        seen(folder=TRAINED, courier=UPLOAD, sealed=SEALED, spec={"grants": None}),
        Rest(),
    ),
    "the grants are older than the update": (
        seen(folder=TRAINED, courier=UPLOAD, sealed=SEALED, grants=grants(get=GET)),
        Rest(),
    ),
    "the grants are for another length": (
        seen(folder=TRAINED, courier=UPLOAD, sealed=SEALED, grants=grants(put=PUTS[:1])),
        Rest(),
    ),
    "the grants are for another ciphertext of this length": (
        seen(folder=TRAINED, courier=UPLOAD, sealed=SEALED, grants=grants(put=puts(MD5[0], "of another"))),
        Rest(),
    ),
    "an earlier hub grants by the length": (
        seen(folder=TRAINED, courier=UPLOAD, sealed=SEALED, grants=grants(put=PUTS_BY_LENGTH)),
        Send(puts=PUTS_BY_LENGTH),
    ),
    "an earlier courier has reported the length alone": (
        seen(folder=TRAINED, courier={**READY, "upload": {"bytes": 107}}, sealed=SEALED),
        Report(change=CourierReport(upload=Upload(bytes=107, md5=MD5))),
    ),
    "the grants fit": (
        seen(folder=TRAINED, courier=UPLOAD, sealed=SEALED, grants=grants(put=PUTS)),
        Send(puts=PUTS),
    ),
    "all is sent": (
        seen(folder=TRAINED, courier=UPLOAD, sealed=SEALED, grants=grants(put=PUTS), sent=True),
        Report(change=CourierReport(update=UPDATE)),
    ),
    "the hub knows that all is sent": (
        seen(folder=TRAINED, courier=SENT, sealed=SEALED, grants=grants(put=PUTS)),
        Rest(),
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_the_next_step_follows_from_what_the_courier_has_found(case: str) -> None:
    observation, step = STEPS[case]
    assert next_step(observation) == step


REFUSALS: dict[str, tuple[Observation, str]] = {
    "the hospital does no tasks": (seen(approval="Deny"), "Denied"),
    "the version is lower than the hospital accepts": (seen(lowest_version=LATEST + 1), "AssignmentVersionTooLow"),
    "another hub is pinned": (seen(hub_fingerprint="sha256:" + "0" * 64), "HubNotPinned"),
    "the keys are others": (seen(site_fingerprint="sha256:" + "0" * 64), "NotAddressee"),
    "the envelope is of another attempt": (seen(spec={"attempt": 2}), "Replayed"),
    "a delivery is for a site without a claim of models": (delivery(*MODELS[:1], takes_models=False), "NoModelsClaim"),
    "it cannot be read": (seen(envelope="{}"), "AssignmentUnreadable"),
    "its time is over": (seen(now=NOW + timedelta(hours=2)), "Expired"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_the_courier_itself_refuses_a_task_whatever_the_operator_accepted(case: str) -> None:
    observation, reason = REFUSALS[case]
    with pytest.raises(Refused) as refused:
        next_step(dataclasses.replace(observation, folder=observation.folder or TRAINED))
    assert refused.value.reason == reason


TROUBLES: dict[str, tuple[Trouble, Leave | TryAgain]] = {
    "the task is gone": (Trouble(kind="Gone"), Leave()),
    "something is refused": (
        Trouble(kind="Refused", reason="Altered"),
        TryAgain(reason="Altered", failures=3, requeue_after=REFUSED_SECONDS),
    ),
    "the store fails": (
        Trouble(kind="Store", reason="StoreTooSlow"),
        TryAgain(reason="StoreTooSlow", failures=4),
    ),
    "the models claim is full": (
        Trouble(kind="Models", reason="ModelsClaimFull"),
        TryAgain(reason="ModelsClaimFull", failures=4),
    ),
    "the volume fails": (Trouble(kind="Workspace"), TryAgain(reason="WorkspaceUnusable", failures=4)),
    "the API server fails": (Trouble(kind="Api"), TryAgain(reason="", failures=4)),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_an_error_becomes_a_reason_and_a_time_to_try_again(case: str) -> None:
    trouble, step = TROUBLES[case]
    assert after(trouble, 3) == step


@pytest.mark.parametrize(
    ("step", "failures"),
    [(Rest(), 0), (AwaitUpdate(requeue_after=POLL_SECONDS), 0), (REPORT_READY, 3), (SEAL, 3)],
)
def test_what_failed_before_training_does_not_count_after_it(step: Step, failures: int) -> None:
    assert failures_after(step, 3) == failures


def test_transfers_stop_when_nobody_wants_the_update_any_more() -> None:
    going, over = seen().task, seen(condition("Failed")).task
    assert [stops_transfers(task) for task in (going, over, seen(spec={"cancel": True}).task)] == [False, True, True]
    assert [on_object(task, followed=followed) for task in (going, over) for followed in (False, True)] == [
        "Follow",
        "Observe",
        "RemoveFolder",
        "Observe",
    ]


@pytest.mark.parametrize(
    ("before", "change", "reason", "wanted"),
    [
        ({}, CourierReport(input="Ready"), "", READY),
        ({"reason": "StoreUnreachable"}, CourierReport(input="Ready"), "", READY),
        (AWAY, CourierReport(input="Ready"), "", AWAY),
        (READY, CourierReport(), "StoreTooSlow", {**READY, "reason": "StoreTooSlow"}),
        ({**READY, "reason": "StoreTooSlow"}, CourierReport(upload=Upload(bytes=107, md5=MD5)), "", UPLOAD),
    ],
    ids=["progress", "progress clears", "a retry is none", "trouble", "sealed"],
)
def test_a_reason_stays_until_there_is_progress(
    before: dict[str, Any], change: CourierReport, reason: str, wanted: dict[str, Any]
) -> None:
    assert report(before, change, reason) == wanted


def test_the_input_has_the_name_that_training_reads() -> None:
    later = dataclasses.replace(BASED, initial=False)
    paths = [[wanted.path for wanted in inputs(each)] for each in (BASED, later, ASSIGNMENT)]
    assert paths == [["in/statistics.safetensors"], ["in/model.safetensors"], []]
    assert [each.path for each in missing_inputs(later, ("in/statistics.safetensors",))] == ["in/model.safetensors"]
    assert missing_inputs(later, ("in/model.safetensors",)) == ()


def test_a_turn_ends_after_its_slice_once_another_task_waits_and_never_in_the_past() -> None:
    assert turn_ends(since=100.0, now=101.0) == 100.0 + SLICE_SECONDS
    assert turn_ends(since=100.0, now=500.0) == 500.0


@pytest.mark.parametrize(
    ("finished", "after", "too_slow"), [(True, 7, False), (False, 8, False), (False, 7, True), (True, 8, False)]
)
def test_a_fetch_that_a_whole_turn_gave_nothing_is_too_slow(finished: bool, after: int, too_slow: bool) -> None:
    assert is_too_slow(finished=finished, before=7, after=after) is too_slow
