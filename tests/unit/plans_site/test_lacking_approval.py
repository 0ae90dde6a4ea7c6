"""Accepted tasks that lack an approval: which one an Approval covers first, and what people read about the others."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from lab.topology import ROOT
from tests.unit.plans_site.approved import EVALUATE, MANUAL, TRAIN, an_approval, key_of
from tests.unit.plans_site.test_later_approval import DECISION, OTHER_TERMS, counts, look, rests_on, trained
from tests.worlds.site import NOW, a_pod, a_site, ended, running, seen, tell_hub_action
from wardround.api.approval import Approval
from wardround.api.sitetask import SiteTask, TaskDecision
from wardround.api.times import to_seconds
from wardround.cli import approvals, explain, reviews
from wardround.plans.approval import LACKING, stands_for
from wardround.plans.assignment import LOCAL_SOCKETS
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import CountTask, Observation, WakeTasks
from wardround.wire import codec
from wardround.wire.assignment import Assignment

ROUND_TASK_STATUS = ROOT / "charts/hub/policies/roundtask-status.yaml"
USED_UP = "Approval breast-s1 does not cover the task: the site has accepted as many rounds as the Approval allows."


def of_round(uid: str) -> Assignment:
    return dataclasses.replace(TRAIN, round_uid=uid)


def made(name: str, created: str, task: Assignment | None = None, **spec: Any) -> SiteTask:
    """A task with a round of its own, made at this minute."""
    known = trained(task or of_round(name), name, **spec)
    return dataclasses.replace(
        known, metadata=dataclasses.replace(known.metadata, creation_timestamp=f"2026-11-24T11:{created}:00Z")
    )


def looked_at(tasks: tuple[SiteTask, ...], approval: Approval) -> tuple[set[str], Approval]:
    """The names of the tasks that rest on the Approval after one look at each, in this order, and the Approval then."""
    known = {each.metadata.name: each for each in tasks}
    for name, task in list(known.items()):
        others = tuple(each for each in known.values() if each.metadata.name != name)
        planned = plan(look(task, approval, others=others))
        for each in planned.actions:
            if isinstance(each, CountTask):
                approval = dataclasses.replace(approval, status=each.status)
        known[name] = dataclasses.replace(task, status=planned.status)
    return {name for name, each in known.items() if each.status.decision == DECISION}, approval


THREE = (made("b", "10"), made("a", "20"), made("c", "20"))


@pytest.mark.parametrize("order", permutations(THREE), ids=lambda order: "".join(each.metadata.name for each in order))
@pytest.mark.parametrize(("most", "covered"), [(1, {"b"}), (2, {"b", "a"}), (3, {"b", "a", "c"})])
def test_the_oldest_tasks_rest_on_the_approval_in_whichever_order_they_are_looked_at(
    order: tuple[SiteTask, ...], most: int, covered: set[str]
) -> None:
    """The name decides between tasks of the same age."""
    resting, approval = looked_at(order, an_approval(maxRounds=most))
    assert resting == covered
    assert approval.status.rounds == most
    for name in "abc":
        task = of_round(name)
        assert stands_for(approval, task, key_of(task), NOW) is (name in covered), "the courier agrees"


def test_a_task_that_has_sent_counts_however_young_it_is() -> None:
    assert rests_on(look(made("a", "10"), an_approval(maxRounds=1), others=(made("b", "20", sent=True),))) is None


def test_a_task_that_the_site_has_not_accepted_comes_after_those_that_it_has() -> None:
    old = made("a", "10")
    new = dataclasses.replace(old, status=dataclasses.replace(old.status, conditions=(), courier=None))
    planned = plan(look(new, an_approval(maxRounds=1), others=(made("b", "20"),)))
    assert not [each for each in planned.actions if isinstance(each, CountTask)]


def test_tasks_of_other_terms_and_evaluations_take_no_round() -> None:
    others = (made("a", "10", OTHER_TERMS), made("b", "10", EVALUATE))
    assert rests_on(look(made("c", "20"), an_approval(maxRounds=1), others=others)) == DECISION


def test_a_task_that_gets_a_decision_wakes_those_that_lack_one() -> None:
    """It no longer counts if a person has approved it alone."""
    second = made("b", "20")
    planned = plan(look(made("a", "10", approved=True, decidedBy="bob"), an_approval(maxRounds=1), others=(second,)))
    [woken] = [each for each in planned.actions if isinstance(each, WakeTasks)]
    assert woken.names == ("b",)
    first = made("a", "10", approved=True, decidedBy="bob")
    assert rests_on(look(second, an_approval(maxRounds=1), others=(first,))) == DECISION


# A task that ends


def ends(**changes: Any) -> Observation:
    return dataclasses.replace(look(trained(), an_approval()), **changes)


ENDS = {
    "its pod fails": ends(pod=a_pod(ended("train", 1, ""))),
    "the hub has deleted it": ends(round_task=None),
    "its time is over": ends(now=NOW + timedelta(days=20)),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_task_that_ends_in_the_look_that_finds_an_approval_does_not_count(case: str) -> None:
    assert plan(ENDS[case]).status.failure is not None or case == "the hub has deleted it"
    assert any(each.type == "Failed" for each in plan(ENDS[case]).status.conditions)
    assert (counts(ENDS[case]), rests_on(ENDS[case])) == ([], None)


# What people read


def accepted_message(observation: Observation) -> str:
    [condition] = [each for each in plan(observation).status.conditions if each.type == "Accepted"]
    assert condition.status == "True"
    return condition.message


def explained(observation: Observation) -> str:
    task = dataclasses.replace(observation.task, status=plan(observation).status)
    return explain.text(explain.explain_task({**codec.dump(task), "kind": "SiteTask"}, None, NOW))


def overfull() -> Observation:
    """Another version has counted more tasks than the Approval allows, so the courier waits."""
    approval = an_approval(maxRounds=1, status={"rounds": 2, "roundTasks": ["a/1", key_of(TRAIN)]})
    task = trained()
    return look(dataclasses.replace(task, status=dataclasses.replace(task.status, decision=DECISION)), approval)


LACK: dict[str, tuple[Observation, str]] = {
    "nobody has approved the model": (look(trained()), ""),
    "the rounds are used": (look(trained(), an_approval(maxRounds=0)), USED_UP),
    "an older task goes first": (look(made("b", "20"), an_approval(maxRounds=1), others=(made("a", "10"),)), USED_UP),
    "too many tasks are counted": (overfull(), USED_UP),
    "the terms are others": (
        look(trained(OTHER_TERMS), an_approval()),
        "the hub now asks for other terms (parameters).",
    ),
    "the Approval is withdrawn": (
        look(trained(), an_approval(withdrawnBy="bob")),
        "a person has withdrawn this Approval",
    ),
    "its time is over": (look(trained(), an_approval(until=to_seconds(NOW))), "or its time is over."),
    "the model is denied": (
        look(trained(), an_approval(), an_approval(name="denial", verdict="Deny")),
        "No Approval covers the task, because Approval denial denies its model.",
    ),
}


@pytest.mark.parametrize("case", LACK)
@pytest.mark.parametrize("stage", ["training", "checked"])
def test_people_read_why_an_accepted_task_waits_and_which_command_approves_it(case: str, stage: str) -> None:
    observation, why = LACK[case]
    pod = a_pod() if stage == "training" else a_pod(ended("check", 0))
    observation = dataclasses.replace(observation, pod=pod)
    meta, message = observation.task.metadata, accepted_message(observation)
    assert why in message
    assert LACKING in message
    commands = [
        f"kubectl wardround review sitetask/{meta.name} -n hospital-a",
        f"kubectl wardround approve sitetask/{meta.name} -n hospital-a --uid {meta.uid}",
    ]
    text = explained(observation)
    assert "WaitingForApproval" in text
    assert why in text
    for command in commands:
        assert command in message
        assert text.count(command) == 1
    action = tell_hub_action(plan(observation))
    assert action is not None
    [at_hub] = [each for each in action.status.conditions if each.type == "Accepted"]
    assert at_hub.message.endswith(LACKING), "the hub hears the sentence, and no name of the hospital's"
    assert "breast-s1" not in at_hub.message


def before_training() -> SiteTask:
    """The courier has fetched nothing yet, or the pod trains."""
    known = trained()
    kept = tuple(each for each in known.status.conditions if each.type != "Trained")
    return dataclasses.replace(known, status=dataclasses.replace(known.status, conditions=kept))


def reviewed(observation: Observation) -> str:
    """What `review` shows after a look."""
    task = dataclasses.replace(observation.task, status=plan(observation).status)
    return "\n".join(reviews.review(approvals.reviewed({**codec.dump(task), "kind": "SiteTask"}, ()), NOW))


# How far the task is when the policy changes, and until when people may decide.
STAGES: dict[str, tuple[Observation, str]] = {
    "before training": (
        look(before_training()),
        "Decide before 2026-11-24T12:14:00Z: the site operator then ends the task",
    ),
    "training": (
        dataclasses.replace(look(before_training()), pod=a_pod(ended("prepare", 0), running("train"))),
        "The training pod has started, and goes on meanwhile. Decide at the latest 600 seconds after training",
    ),
    "trained": (look(trained()), "Decide before 2026-11-24T12:09:00Z: the site operator then ends the task"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_review_says_that_an_accepted_task_waits_for_people_and_until_when(stage: str) -> None:
    observation, until = STAGES[stage]
    assert until in reviewed(observation)
    assert " is accepted, and waits until a person approves it, because policy.approval" in reviewed(observation)
    for approved in (
        dataclasses.replace(observation, approvals=(an_approval(),)),
        dataclasses.replace(observation, site=a_site()),
    ):
        text = reviewed(approved)
        assert "is accepted, and has not ended." in text
        assert "Decide" not in text


def test_explain_on_the_hub_says_that_an_accepted_task_waits_for_people_while_it_trains() -> None:
    observation = dataclasses.replace(look(trained()), pod=a_pod())
    action = tell_hub_action(plan(observation))
    assert action is not None
    assert observation.round_task is not None
    task = dataclasses.replace(observation.round_task, status=action.status)
    text = explain.text(explain.explain_task({**codec.dump(task), "kind": "RoundTask"}, None, NOW))
    assert "WaitingForApproval: The task waits until a person" in text
    assert f"kubectl wardround review sitetask/{observation.task.metadata.name} -n SITE_NAMESPACE" in text


def test_the_hubs_admission_policy_admits_what_the_hub_hears_of_a_task_with_local_sockets() -> None:
    """It has room for one note. A longer message would refuse all that the site reports of the task."""
    sockets = dataclasses.replace(TRAIN, resources=dataclasses.replace(TRAIN.resources, local_sockets=True))
    [longest] = re.findall(r"condition\.message\.size\(\) <= (\d+)", ROUND_TASK_STATUS.read_text())
    heard = []
    for task in (trained(sockets), trained(sockets, approved=True, decidedBy="bob")):
        observation = dataclasses.replace(look(task), pod=a_pod())
        assert LOCAL_SOCKETS in accepted_message(observation)
        action = tell_hub_action(plan(observation))
        assert action is not None
        [accepted] = [each for each in action.status.conditions if each.type == "Accepted"]
        assert len(accepted.message) <= int(longest)
        heard.append(accepted.message)
    assert heard == [LACKING, LOCAL_SOCKETS]


COVERED: dict[str, Observation] = {
    "an Approval": look(trained(), an_approval()),
    "a person": look(trained(approved=True, decidedBy="bob")),
    "the policy": seen(trained(), site=a_site(approval="Policy", localSockets=True)),
    "the update is sent": seen(trained(sent=True), site=MANUAL),
}


@pytest.mark.parametrize("case", COVERED)
def test_nobody_is_asked_about_a_task_that_needs_no_approval(case: str) -> None:
    assert LACKING not in accepted_message(COVERED[case])


# A person denies it


def denied(decision: TaskDecision | None) -> SiteTask:
    """An accepted task that a person has denied after this decision, once the site operator has looked at it."""
    task = trained(denied=True, decidedBy="bob")
    task = dataclasses.replace(task, status=dataclasses.replace(task.status, decision=decision))
    return dataclasses.replace(task, status=plan(look(task, an_approval())).status)


DENIED: dict[str, tuple[TaskDecision | None, str, str, str]] = {
    "nobody had approved it": (None, "Denied", "A person at this hospital has denied this task.", "Deny: bob"),
    "a person had approved it": (
        dataclasses.replace(DECISION, by="bob", approval=None),
        "ApprovalEnded",
        "because a person at this hospital has withdrawn its approval.",
        "approval withdrawn: bob",
    ),
    "an Approval had covered it": (
        DECISION,
        "ApprovalEnded",
        "because a person at this hospital has denied it. Before, Approval breast-s1 covered the task.",
        "approval withdrawn: bob",
    ),
}


@pytest.mark.parametrize("case", DENIED)
def test_the_end_of_an_accepted_task_that_a_person_denies_says_whether_anybody_had_approved_it(case: str) -> None:
    decision, reason, words, shown = DENIED[case]
    task = denied(decision)
    failure = task.status.failure
    assert failure is not None
    assert (failure.reason, words in (failure.message or "")) == (reason, True)
    known = approvals.reviewed({**codec.dump(task), "kind": "SiteTask"}, ())
    text = "\n".join(reviews.review(known, NOW))
    assert f"has failed ({reason})" in text
    assert f"{shown}, " in text


def test_a_task_that_was_denied_though_nobody_had_approved_it_names_the_command_that_ends_the_denial() -> None:
    failure = denied(None).status.failure
    assert failure is not None
    assert f"`kubectl wardround approve sitetask/{trained().metadata.name} -n hospital-a`" in (failure.message or "")
