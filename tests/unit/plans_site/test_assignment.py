"""Whether a site takes an assignment."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from tests.worlds.site import (
    ASSIGNMENT,
    FINGERPRINT,
    HUB,
    HUB_DER,
    IMAGE,
    IMAGE_DIGEST,
    NOW,
    SCHEMA,
    a_reference,
    a_site,
    signed,
)
from wardround.api import names
from wardround.api.meta import RoundRef
from wardround.plans.assignment import AHEAD, REMEMBERED, Acceptance, ReceivedAssignment, Terms, decide, verify
from wardround.reasons.registry import COURIER, REASONS
from wardround.sealing import envelope
from wardround.sealing.assignments import sign_assignment
from wardround.sealing.envelope import sign_envelope
from wardround.sealing.keys import dump_verification_key, generate_signing_key, hub_fingerprint
from wardround.sealing.refused import Refused
from wardround.wire import codec
from wardround.wire.assignment import (
    AssignedBase,
    AssignedPushed,
    AssignedReference,
    Assignment,
    Exchange,
    Quorum,
    Resources,
)
from wardround.wire.canonical import encode
from wardround.wire.versions import LATEST, critical, write

RECEIVED = ReceivedAssignment(
    envelope=signed(),
    hub_key=encode(HUB_DER),
    hub_fingerprint=hub_fingerprint(HUB_DER),
    round_ref=RoundRef(namespace="breast-cancer", name="train-1", uid="round-uid"),
    attempt=1,
    site_fingerprint=FINGERPRINT,
    now=NOW,
)
# Listed, and not there yet.
LUNG = {"name": "lung", "federations": ["lung-cancer"]}
POLICY = a_site(datasets=[{"name": "breast", "federations": ["skin-cancer", "breast-cancer"]}, LUNG]).spec.policy
SCHEMAS = {"breast": SCHEMA}
PUSHED = AssignedPushed(digest="sha256:" + "e" * 64, requested_by="wanda")
TASK = names.task_name("train-1", "round-uid", 1)
TERMS = Terms(
    participant="site-a", task_name=TASK, policy=POLICY, schemas=SCHEMAS, taken=0, accepted=(), approved=False
)


def decided(received: dict[str, Any] | None = None, **terms: Any) -> Acceptance:
    return decide(dataclasses.replace(RECEIVED, **(received or {})), dataclasses.replace(TERMS, **terms))


def asked(namespace: str = "breast-cancer", **changes: Any) -> dict[str, Any]:
    """An assignment of a round in this namespace, in the RoundTask of that round."""
    envelope = signed(round_namespace=namespace, **changes)
    return {"envelope": envelope, "round_ref": dataclasses.replace(RECEIVED.round_ref, namespace=namespace)}


def test_an_assignment_that_the_policy_allows_is_accepted() -> None:
    assert decided() == Acceptance("Accepted", "Accepted", ASSIGNMENT)


def test_an_assignment_signed_by_another_key_is_refused_although_it_brings_that_key() -> None:
    other = generate_signing_key()
    received = {
        "envelope": sign_assignment(ASSIGNMENT, other),
        "hub_key": encode(dump_verification_key(other.public_key())),
    }
    assert decided(received).reason == "HubNotPinned"


def test_an_assignment_signed_by_another_key_under_the_pinned_one_is_refused() -> None:
    assert decided({"envelope": sign_assignment(ASSIGNMENT, generate_signing_key())}).reason == "AssignmentUnreadable"


@pytest.mark.parametrize("envelope", ["", "{}", "not json", signed()[:-2], signed().replace("A", "B", 1)])
def test_an_altered_envelope_is_refused(envelope: str) -> None:
    assert decided({"envelope": envelope}).reason == "AssignmentUnreadable"


@pytest.mark.parametrize("key", ["", "!", "QUJD"])
def test_a_hub_key_that_is_none_is_refused(key: str) -> None:
    assert decided({"hub_key": key}).reason == "HubNotPinned"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"participant": "site-b"}, "NotAddressee"),
        ({"site_fingerprint": "sha256:" + "0" * 64}, "NotAddressee"),
        ({"round_uid": "another-round"}, "Replayed"),
        ({"attempt": 2}, "Replayed"),
        ({"expires": "2026-11-24T12:00:00Z"}, "Expired"),
        ({"task": "Extract", "initial": False}, "TaskNotAllowed"),
        # Its image and command would not be looked at, and yet run as `init`.
        ({"task": "Statistics", "image": f"other@{IMAGE_DIGEST}", "command": ("sh", "-c")}, "AssignmentUnreadable"),
        ({"task": "Evaluate"}, "AssignmentUnreadable"),
        ({"resources": dataclasses.replace(ASSIGNMENT.resources, nodes=2)}, "TaskNotAllowed"),
        ({"threads": 0}, "TaskNotAllowed"),
        ({"threads": 257}, "TaskNotAllowed"),
        ({"initial": True, "compression": "Int8"}, "TaskNotAllowed"),
        ({"task": "Evaluate", "initial": False, "compression": "BFloat16"}, "TaskNotAllowed"),
        ({"image": "registry.example/trainer:latest"}, "ImageNotByDigest"),
        ({"image": f"registry.example/other@{IMAGE_DIGEST}"}, "ImageNotAllowed"),
        ({"image_digest": "sha256:" + "c" * 64}, "ImageNotByDigest"),
        ({"command": ("python", "-c", "print(open('/wardround/data/train.parquet'))")}, "CommandNotAllowed"),
        ({"command": ("python", "-m")}, "CommandNotAllowed"),
        ({"command": ("python", "-m", "wardround_trainer", "train")}, "CommandNotAllowed"),
        ({"command": ("python -m wardround_trainer",)}, "CommandNotAllowed"),
        ({"command": ()}, "CommandNotAllowed"),
        ({"task": "Evaluate", "initial": False, "command": ("sh", "-c")}, "CommandNotAllowed"),
        ({"resources": dataclasses.replace(ASSIGNMENT.resources, local_sockets=True)}, "LocalSocketsNotAllowed"),
        ({"parameters": {"epochs": "5", "steps": "1"}}, "ParametersNotAllowed"),
        ({"parameters": {"batchSize": "1"}}, "ParametersNotAllowed"),
        ({"task": "Evaluate", "initial": False, "parameters": {"code": "1"}}, "ParametersNotAllowed"),
        ({"quorum": dataclasses.replace(ASSIGNMENT.quorum, min=1)}, "QuorumTooSmall"),
        ({"release": "Readers"}, "ReleaseNotAllowed"),
        ({"release": "Everybody"}, "AssignmentUnreadable"),
        ({"pushed": (PUSHED,)}, "PushedModelNotAllowed"),
        ({"task": "Statistics", "initial": False, "pushed": (PUSHED,)}, "PushedModelNotAllowed"),
        ({"namespace": "another-federation"}, "DatasetNotAllowed"),
        ({"namespace": ""}, "AssignmentUnreadable"),
        ({"dataset_name": "breast", "namespace": "lung-cancer"}, "DatasetNotAllowed"),
        ({"dataset_name": "lung", "namespace": "lung-cancer"}, "DatasetNotFound"),
        # Whether there is one is not for who may not use it, and neither is what else the policy says.
        ({"dataset_name": "lung"}, "DatasetNotAllowed"),
        ({"dataset_name": "nothing-of-the-kind"}, "DatasetNotAllowed"),
        ({"dataset_name": "lung", "image": "trainer:latest", "parameters": {"steps": "1"}}, "DatasetNotAllowed"),
    ],
)
def test_the_site_refuses_an_assignment_that_its_policy_does_not_allow_with_the_reason(
    changes: dict[str, Any], reason: str
) -> None:
    decision = decided(asked(**changes))
    assert (decision.outcome, decision.reason) == ("Refused", reason)
    assert decision.message


@pytest.mark.parametrize(
    "other", [{"round_namespace": "skin-cancer"}, {"round_name": "train-2"}, {"round_uid": "another-round"}]
)
def test_an_assignment_of_another_round_than_the_one_that_people_read_is_refused(other: dict[str, str]) -> None:
    assert decided({"envelope": signed(**other)}).reason == "Replayed"


@pytest.mark.parametrize("release", ["Participants", "Readers"])
def test_a_site_that_allows_readers_takes_rounds_of_both_kinds(release: str) -> None:
    policy = dataclasses.replace(POLICY, release="Readers")
    assert decided({"envelope": signed(release=release)}, policy=policy).outcome == "Accepted"


def test_a_site_takes_pushed_weights_only_if_its_policy_says_so_and_hears_who_pushed_them() -> None:
    envelope = signed(pushed=(PUSHED,))
    policy = dataclasses.replace(POLICY, pushed_models=True)
    assert decided({"envelope": envelope}, policy=policy).outcome == "Accepted"
    refused = decided({"envelope": envelope})
    assert f'weights {PUSHED.digest} pushed by "wanda"' in refused.message
    assert "set policy.pushedModels to true" in refused.message


def compared(*references: AssignedReference) -> str:
    return signed(task="Evaluate", initial=False, references=references)


def test_a_comparison_of_models_that_the_policy_allows_is_accepted() -> None:
    for references in ((a_reference(),), (a_reference(1), a_reference(2))):
        assert decided({"envelope": compared(*references)}).outcome == "Accepted"


OTHER_IMAGE = f"registry.example/other@{IMAGE_DIGEST}"


@pytest.mark.parametrize(
    ("change", "reason", "asked"),
    [
        ({"image": "registry.example/trainer:latest"}, "ImageNotByDigest", "registry.example/trainer:latest"),
        ({"image": ""}, "ImageNotByDigest", '""'),
        ({"image_digest": "sha256:" + "c" * 64}, "ImageNotByDigest", IMAGE),
        ({"image": OTHER_IMAGE}, "ImageNotAllowed", OTHER_IMAGE),
        ({"command": ("sh", "-c")}, "CommandNotAllowed", '["sh", "-c"]'),
        ({"command": ()}, "CommandNotAllowed", "[]"),
        ({"parameters": {"steps": "1"}}, "ParametersNotAllowed", "steps"),
        ({"state_round": "../../secrets"}, "AssignmentUnreadable", ""),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_each_reference_has_to_be_one_that_the_policy_allows(
    change: dict[str, Any], reason: str, asked: str, place: int
) -> None:
    references = [a_reference(1), a_reference(2)]
    references[place] = dataclasses.replace(references[place], **change)
    decision = decided({"envelope": compared(*references)})
    assert (decision.outcome, decision.reason) == ("Refused", reason)
    assert asked in decision.asked


@pytest.mark.parametrize(
    "changes",
    [
        {"references": (a_reference(),)},
        {"task": "Statistics", "initial": False, "references": (a_reference(),)},
        {"task": "Evaluate", "initial": False, "references": (a_reference(1), a_reference(2), a_reference(3))},
    ],
    ids=["Train", "Statistics", "three"],
)
def test_references_that_no_pod_can_have_are_unreadable(changes: dict[str, Any]) -> None:
    decision = decided({"envelope": signed(**changes)})
    assert (decision.reason, decision.field) == ("AssignmentUnreadable", "references")


def test_an_attempt_that_was_taken_before_is_refused() -> None:
    assert decided(taken=1).reason == "Replayed"


def test_an_attempt_older_than_one_that_was_taken_is_refused() -> None:
    assert decided(taken=2).reason == "Replayed"


def test_a_later_attempt_is_taken() -> None:
    received = {"envelope": signed(attempt=2), "attempt": 2}
    assert decided(received, taken=1, task_name=names.task_name("train-1", "round-uid", 2)).outcome == "Accepted"


OTHER_NAMES = {
    "another round": names.task_name("harmless-1", "round-uid", 1),
    "another round of this name": names.task_name("train-1", "another", 1),
    "another attempt": names.task_name("train-1", "round-uid", 2),
    "no round": "train-1",
}


@pytest.mark.parametrize("case", OTHER_NAMES)
def test_a_task_has_the_name_that_follows_from_the_signed_round(case: str) -> None:
    """The hub signs the round's name, and not that of the RoundTask, by which people approve the task."""
    for approved in (False, True):
        acceptance = decided(task_name=OTHER_NAMES[case], approved=approved)
        assert (acceptance.outcome, acceptance.reason) == ("Refused", "Replayed")


def test_the_name_of_a_task_may_cut_the_name_of_its_round() -> None:
    name = "a-round-with-a-name-of-more-than-forty-characters"
    received = {"envelope": signed(round_name=name), "round_ref": dataclasses.replace(RECEIVED.round_ref, name=name)}
    assert decided(received, task_name=names.task_name(name, "round-uid", 1)).outcome == "Accepted"


def test_a_statistics_round_needs_no_image() -> None:
    assert (
        decided({"envelope": signed(task="Statistics", initial=False, image="", image_digest="")}).outcome == "Accepted"
    )


def test_a_statistics_round_runs_no_command_of_the_round() -> None:
    statistics = signed(task="Statistics", initial=False, image="", image_digest="", command=("sh", "-c"))
    assert decided({"envelope": statistics}).outcome == "Accepted"


def test_a_command_that_the_site_lists_is_accepted_and_no_other() -> None:
    policy = a_site(commands=[["python", "-m", "ours"], ["julia", "train.jl"]]).spec.policy
    assert decided({"envelope": signed(command=("julia", "train.jl"))}, policy=policy).outcome == "Accepted"
    assert decided(policy=policy).reason == "CommandNotAllowed"
    assert decided(policy=a_site(commands=[]).spec.policy).reason == "CommandNotAllowed"


def test_a_statistics_round_is_given_no_parameters_and_refused_for_none() -> None:
    statistics = {"task": "Statistics", "initial": False, "image": "", "image_digest": ""}
    assert decided({"envelope": signed(**statistics, parameters={"steps": "1"})}).outcome == "Accepted"
    assert decided({"envelope": signed(**statistics, dataset_name="lung")}).reason == "DatasetNotAllowed"


def test_no_dataset_is_used_before_a_hospital_lists_it() -> None:
    policy = a_site(datasets=None).spec.policy
    assert policy.datasets == ()
    assert decided(policy=policy).reason == "DatasetNotAllowed"


def test_a_hospital_that_lists_steps_has_chosen_to_allow_them() -> None:
    envelope = signed(parameters={"steps": "1000"})
    for minimum, outcome in (("1000", "Accepted"), ("1001", "Refused")):
        policy = a_site(parameters=[{"name": "steps", "minimum": minimum}]).spec.policy
        assert decided({"envelope": envelope}, policy=policy).outcome == outcome
    # The whole list is the hospital's then.
    assert decided(policy=policy).reason == "ParametersNotAllowed"


def test_a_hospital_that_allows_local_sockets_takes_rounds_with_them_and_without() -> None:
    local = dataclasses.replace(ASSIGNMENT.resources, local_sockets=True)
    policy = a_site(localSockets=True).spec.policy
    assert not a_site().spec.policy.local_sockets
    assert decided({"envelope": signed(resources=local)}, policy=policy).outcome == "Accepted"
    assert decided(policy=policy).outcome == "Accepted"


def test_people_at_the_site_see_what_they_are_asked_to_allow() -> None:
    message = decided({"envelope": signed(command=("sh", "-c", "echo\n"))}).message
    assert '["sh", "-c", "echo\\n"]' in message
    assert "policy.commands" in message
    assert (
        "registry.example/other"
        in decided({"envelope": signed(image=f"registry.example/other@{IMAGE_DIGEST}")}).message
    )
    assert len(decided({"envelope": signed(command=("x" * 256,) * 16)}).message) < 1024
    message = decided({"envelope": signed(parameters={"batchSize": "1", "steps": "\n"})}).message
    assert '"batchSize": "1", which is below the minimum "16"; ' in message
    assert '"steps": "\\n", which is not listed' in message
    assert len(decided({"envelope": signed(parameters={f"{n}" * 63: "x" * 1024 for n in range(9)})}).message) < 1024
    message = decided(asked("skin")).message
    assert '{"name": "breast", "federations": ["skin-cancer", "breast-cancer", "skin"]}' in message
    assert "policy.datasets" in message


@pytest.mark.parametrize("reason", [name for name in REASONS if REASONS[name].failure_class == "Site"])
def test_a_refusal_says_who_acts_and_how(reason: str) -> None:
    message = Acceptance("Refused", reason, ASSIGNMENT).message
    assert all(owner.lower() in message.lower() for owner in REASONS[reason].owner.split(" or "))


STEER = "\x1b[2J\r\nrefused: nothing"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("roundUID", {"round_uid": STEER}),
        ("roundNamespace", {"round_namespace": STEER}),
        ("roundName", {"round_name": STEER}),
        ("task", {"task": STEER}),
        ("participant", {"participant": STEER}),
        ("siteFingerprint", {"site_fingerprint": STEER}),
        ("suite", {"suite": STEER}),
        ("image", {"image": STEER}),
        ("imageDigest", {"image_digest": STEER}),
        ("command[1]", {"command": ("sh", STEER)}),
        ("datasetName", {"dataset_name": STEER}),
        ("datasetName", {"dataset_name": "breast\n"}),
        ("datasetName", {"dataset_name": "b" * 64}),
        ("parameters", {"parameters": {STEER: "1"}}),
        ("parameters.epochs", {"parameters": {"epochs": "\u202e5"}}),
        ("exchange.frozen[0]", {"exchange": dataclasses.replace(ASSIGNMENT.exchange, frozen=(STEER,))}),
        ("metrics[0]", {"metrics": (STEER,)}),
        ("roster[1]", {"roster": ("site-a", STEER)}),
        ("quorum.required[0]", {"quorum": dataclasses.replace(ASSIGNMENT.quorum, required=(STEER,))}),
        ("quorum.onShortfall", {"quorum": dataclasses.replace(ASSIGNMENT.quorum, on_shortfall=STEER)}),
    ],
)
def test_no_text_that_the_hub_signs_steers_a_terminal_at_the_site(field: str, changes: dict[str, Any]) -> None:
    """Site operator and courier both open it so."""
    decision = decided({"envelope": signed(**changes)})
    assert (decision.reason, decision.field, decision.assignment) == ("AssignmentUnreadable", field, None)
    assert f" {field} " in decision.message
    with pytest.raises(Refused, match="AssignmentUnreadable") as refused:
        verify(dataclasses.replace(RECEIVED, envelope=signed(**changes)))
    assert (decision.message + str(refused.value)).isprintable()


def test_every_text_of_an_assignment_says_what_it_may_be() -> None:
    """Times are parsed, a state's round is compared with a UID's form, and a manifest is an envelope."""
    parts = {
        f"{part.__name__}.{each.json}": repr(each.annotation)
        for part in (Assignment, AssignedBase, Exchange, Quorum, Resources)
        for each in codec.attributes(part)
    }
    free = {name for name, annotation in parts.items() if "str" in annotation and "Text(" not in annotation}
    assert free - {"Assignment.base"} == {
        "Assignment.issued",
        "Assignment.expires",
        "Assignment.stateRound",
        "AssignedBase.manifest",
    }


@pytest.mark.parametrize("lowest", [LATEST + 1, LATEST + 100])
def test_a_hub_that_writes_a_lower_version_than_the_site_allows_is_refused(lowest: int) -> None:
    """A valid signature, a policy that allows the task and an approval do not help."""
    policy = dataclasses.replace(POLICY, lowest_assignment_version=lowest)
    decision = decided(policy=policy, approved=True)
    assert (decision.outcome, decision.reason) == ("Refused", "AssignmentVersionTooLow")
    assert "The hub's administrator: If the hub is older than the site, upgrade the hub." in decision.message
    assert decided(policy=dataclasses.replace(POLICY, lowest_assignment_version=LATEST)).outcome == "Accepted"


@pytest.mark.parametrize("version", [1, 2])
def test_an_assignment_of_a_version_with_metrics_in_clear_is_not_understood(version: int) -> None:
    listed = [] if version == 1 else ["schema"]
    decision = decided({"envelope": resigned(version=version, critical=listed)})
    assert (decision.outcome, decision.reason, decision.field) == ("Refused", "AssignmentNotUnderstood", "version")


@pytest.mark.parametrize("rows", ["", "Train", "validation", "Test\n", None])
def test_rows_that_there_are_not_are_unreadable(rows: Any) -> None:
    decision = decided({"envelope": resigned(rows=rows)})
    assert (decision.reason, decision.field) == ("AssignmentUnreadable", "rows")


def resigned(**changes: Any) -> str:
    """As a hub signs it that follows other rules than ours."""
    return sign_envelope({**write(ASSIGNMENT), **changes}, envelope.ASSIGNMENT, HUB.identity.key)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"critical": [*critical(LATEST), "seal"], "seal": "value"}, "seal"),
        ({"critical": [*critical(LATEST), "seal"]}, "seal"),
        ({"version": LATEST + 1}, "version"),
        ({"critical": ["\x1b[2J"]}, ""),
    ],
)
def test_operator_and_courier_refuse_a_critical_field_that_the_site_does_not_know(
    changes: dict[str, Any], field: str
) -> None:
    decision = decided({"envelope": resigned(**changes)})
    assert (decision.outcome, decision.reason, decision.field) == ("Refused", "AssignmentNotUnderstood", field)
    assert (f" The site does not know {field}. " in decision.message) == bool(field)
    assert "The hospital's administrator: If the hub is newer than the site, upgrade the site" in decision.message
    with pytest.raises(Refused, match="AssignmentNotUnderstood"):
        verify(dataclasses.replace(RECEIVED, envelope=resigned(**changes)))
    assert "AssignmentNotUnderstood" in COURIER


@pytest.mark.parametrize("listed", [[""], ["image"], ["seal", "seal"], None, "image", [1]])
def test_a_list_that_is_not_the_versions_is_unreadable(listed: Any) -> None:
    decision = decided({"envelope": resigned(critical=listed, seal="value")})
    assert (decision.outcome, decision.reason, decision.field) == ("Refused", "AssignmentUnreadable", "critical")


def test_a_field_that_is_not_critical_may_be_unknown() -> None:
    assert decided({"envelope": resigned(hint="value")}) == Acceptance("Accepted", "Accepted", ASSIGNMENT)


def test_an_assignment_older_than_all_that_the_site_remembers_is_refused() -> None:
    issued = NOW - timedelta(minutes=1)
    later = tuple((issued + timedelta(microseconds=number + 1), "another", 1) for number in range(REMEMBERED))
    older = (issued, "another", 7), (issued - timedelta(hours=1), "zz", 1)
    assert decided(accepted=later).reason == "AssignmentTooOld"
    assert decided(accepted=(*later[1:], *older)).outcome == "Accepted"
    assert decided(accepted=later, approved=True, policy=a_site(approval="Manual").spec.policy).outcome == "Refused"


def test_round_and_attempt_order_assignments_that_the_hub_issued_at_one_time() -> None:
    issued = NOW - timedelta(minutes=1)
    later = tuple((issued, "round-uid", attempt) for attempt in range(2, REMEMBERED + 2))
    assert decided(accepted=later).reason == "AssignmentTooOld"
    assert decided(accepted=(*later[1:], (issued, "round-uie", 1))).reason == "AssignmentTooOld"
    assert decided(accepted=(*later[1:], (issued, "round-uic", 9))).outcome == "Accepted"


def test_an_assignment_of_a_hub_whose_clock_is_ahead_waits_until_this_clock_gets_there() -> None:
    """Else what a hub issues before its clock is corrected would push out all that it issues afterwards."""
    ahead = signed(issued=(NOW + AHEAD + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    waiting = decided({"envelope": ahead})
    assert (waiting.outcome, waiting.reason) == ("Waiting", "ClockSkew")
    assert decided({"envelope": ahead, "now": NOW + timedelta(seconds=1)}).outcome == "Accepted"
    assert decided({"envelope": ahead}, policy=a_site(images=[]).spec.policy).reason == "ImageNotAllowed"


def test_deny_refuses_everything() -> None:
    assert decided(policy=a_site(approval="Deny").spec.policy).reason == "Denied"


def test_manual_waits_for_people_and_then_accepts() -> None:
    manual = a_site(approval="Manual").spec.policy
    assert decided(policy=manual) == Acceptance("Waiting", "WaitingForApproval", ASSIGNMENT)
    assert decided(policy=manual, approved=True).outcome == "Accepted"


def test_approval_does_not_overrule_the_policy() -> None:
    manual = a_site(approval="Manual", images=[]).spec.policy
    assert decided(policy=manual, approved=True).reason == "ImageNotAllowed"


def test_without_keys_the_site_waits_for_its_courier() -> None:
    assert decided({"site_fingerprint": ""}).outcome == "Waiting"
