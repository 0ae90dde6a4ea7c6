"""Accepted tasks that lack an approval: which one an Approval covers first."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.unit.plans_site.approved import EVALUATE, TRAIN, an_approval
from tests.unit.plans_site.test_later_approval import DECISION, OTHER_TERMS, counts, look, rests_on, trained
from tests.worlds.site import NOW, a_pod, ended
from wardround.api.approval import Approval
from wardround.api.sitetask import SiteTask
from wardround.plans.approval import stands_for
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import CountTask, Observation, WakeTasks
from wardround.wire.assignment import Assignment


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
        assert stands_for(approval, of_round(name), NOW) is (name in covered), "the courier agrees"


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
