"""Nobody approves a model within limits that the counted tasks have used up: such an Approval would cover nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cli.site_tasks import OWN, stored
from tests.unit.plans_site.test_later_approval import trained
from tests.unit.plans_site.test_sweep_approval import member
from tests.worlds.site import NOW
from wardround.api.approval import MOST_TASKS
from wardround.api.sitetask import SiteTask
from wardround.cli import approvals, approved_sweeps, reviews
from wardround.cli.approvals import Reviewed
from wardround.cli.cluster import Object
from wardround.cli.errors import CommandError
from wardround.wire import codec

OPTIONS: dict[str, Any] = {"rounds": None, "evaluations": None, "until": None}


def approve(known: Reviewed, **given: Any) -> Object:
    return approvals.approve_model(known, **OPTIONS | given, author="carla", now=NOW)


def of_the_model(*, rounds: int = 0, evaluations: int = 0, tasks: Sequence[SiteTask] = (), **spec: Any) -> Reviewed:
    """A task of the model, of which an Approval has counted so many. `tasks`: that the site holds."""
    made = stored(approve(approvals.reviewed(OWN, ())))
    made["spec"] |= spec
    keys = [f"round-{number}/1/{'0' * 64}" for number in range(max(rounds, evaluations))]
    counts = {"roundTasks": keys[:rounds], "evaluationTasks": keys[:evaluations]}
    listed = {**made, "status": {"rounds": rounds, "evaluations": evaluations, **counts}}
    return approvals.with_tasks(approvals.reviewed(OWN, [listed]), [OWN, *map(codec.dump, tasks)])


@pytest.mark.parametrize("spec", [{}, {"withdrawnBy": "carla"}], ids=["used up", "withdrawn"])
def test_an_approval_that_would_cover_no_further_round_is_not_made(spec: dict[str, Any]) -> None:
    known = of_the_model(rounds=3, **spec)
    for rounds in (1, 3):
        with pytest.raises(CommandError) as refused:
            approve(known, rounds=rounds)
        assert str(refused.value) == (
            "Nothing is approved. The Approval would cover no further Train and Statistics task: 3 Train and "
            f"Statistics tasks with these terms count already, and the limit is {rounds}. Give --rounds 4 or more, or "
            "--rounds 0 to approve none of these tasks."
        )
    assert approve(known, rounds=4)["spec"]["maxRounds"] == 4
    assert approve(known, rounds=0, evaluations=2)["spec"]["maxEvaluations"] == 2
    assert approve(known)["spec"]["maxRounds"] == 8, "the default is enough"


def test_the_default_limits_may_be_used_up_too_and_evaluations_have_a_limit_of_their_own() -> None:
    known = of_the_model(rounds=9, evaluations=4)
    with pytest.raises(CommandError, match=r"the limit is 8\. Give --rounds 10 or more.*the limit is 4\. Give --eval"):
        approve(known)
    with pytest.raises(CommandError, match=r"^Nothing is approved\. The Approval would cover no further Evaluate task"):
        approve(known, rounds=10)
    approve(known, rounds=10, evaluations=5)


def test_the_review_shows_what_counts_and_no_command_that_approves_nothing() -> None:
    known = of_the_model(rounds=3)
    text = "\n".join(reviews.review(known, NOW, rounds=3))
    assert "3 Train and Statistics tasks and 0 Evaluate tasks with these terms count against these limits" in text
    assert "Give --rounds 4 or more" in text
    assert "To approve the model:" not in text
    enough = "\n".join(reviews.review(known, NOW))
    assert "To approve the model: " in enough
    assert "Give --rounds" not in enough
    assert "count against these limits" not in "\n".join(reviews.review(of_the_model(), NOW))


def test_tasks_that_the_site_accepted_while_it_asked_nobody_count_too() -> None:
    sent = trained(replace(member(0), round_uid="earlier"), "earlier", sent=True)
    with pytest.raises(CommandError, match="1 Train and Statistics tasks with these terms count already"):
        approve(of_the_model(tasks=[sent]), rounds=1)
    other = trained(replace(member(1), round_uid="earlier"), "earlier", sent=True)
    approve(of_the_model(tasks=[other]), rounds=1)


def test_an_accepted_task_that_waits_for_an_approval_leaves_room_for_itself() -> None:
    """The site has accepted it before policy.approval was Manual, and the courier holds its update back."""
    waits = trained(replace(member(0), round_uid="earlier"), "earlier")
    approve(of_the_model(tasks=[waits]), rounds=1)


def test_an_approval_has_a_largest_number_and_the_text_says_so() -> None:
    with pytest.raises(CommandError, match=r"no room for more than 2048 of them\. So approve each task alone"):
        approve(of_the_model(rounds=MOST_TASKS), rounds=MOST_TASKS)


def test_a_sweep_is_not_approved_within_limits_that_are_used_up() -> None:
    waiting = codec.dump(trained(member(1), "other"))
    waiting["status"] = {}
    known = of_the_model(rounds=5)
    chosen = approved_sweeps.sweep(known, [OWN, waiting])

    def approve_all(**given: Any) -> Object:
        return approved_sweeps.approve_sweep(known, chosen, **OPTIONS | given, author="carla", now=NOW)

    with pytest.raises(CommandError, match=r"the limit is 5\. Give --rounds 6 or more"):
        approve_all(rounds=5)
    text = "\n".join(approved_sweeps.review(known, chosen, rounds=5, now=NOW))
    assert "Give --rounds 6 or more" in text
    assert "To approve these models:" not in text
    assert approve_all(rounds=6)["spec"]["maxRounds"] == 6
