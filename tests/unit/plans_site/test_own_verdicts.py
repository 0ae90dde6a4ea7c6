"""A hospital's own verdicts stay at the hospital. If its Site allows it, the hub hears three words and nothing else."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.unit.plans_site.plans import training
from tests.worlds.site import JOB, a_pod, a_reference, a_round_task, a_site, a_task, ended, ready, seen, signed
from wardround.api.conditions import Condition
from wardround.api.roundtask import RoundTaskStatus
from wardround.api.sitetask import OwnVerdict, SiteTaskStatus
from wardround.plans.sitetask.hub import mirror
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import Observation, TellHub
from wardround.wire import codec
from wardround.wire.outcome import ToldOutcome

REFERENCES = (a_reference(1), a_reference(2))
COMPARISON = {"task": "Evaluate", "initial": False, "references": REFERENCES, "rows": "Validation"}
WORDS = ("Better", "Undecided")


def scored(verdicts: Any, **policy: Any) -> Observation:
    """A pod of a comparison, whose last container has ended with these verdicts in its termination message."""
    return compared(
        ended("prepare", 0), ended("train", 0), ended("check", 0, json.dumps({"verdicts": verdicts})), **policy
    )


def compared(*containers: dict[str, Any], **policy: Any) -> Observation:
    task = a_task(status=ready(), envelope=signed(**COMPARISON))
    return seen(task, job=JOB, pod=a_pod(*containers), site=a_site(**policy))


def sent(observation: Observation) -> Observation:
    """The courier has sent the update."""
    courier = {"input": "Ready", "update": {"manifest": "x"}}
    status = codec.dump(plan(observation).status) | {"courier": courier}
    return dataclasses.replace(observation, task=a_task(status=status, envelope=signed(**COMPARISON)))


def heard(observation: Observation) -> dict[str, Any]:
    """What the hub hears at this look."""
    (message,) = [each for each in plan(observation).actions if isinstance(each, TellHub)]
    status: dict[str, Any] = codec.dump(message.status)
    return status


def test_a_verdict_stands_on_the_sitetask_with_the_name_of_its_reference() -> None:
    assert plan(scored(WORDS)).status.verdicts == (
        OwnVerdict(reference="heart-1", outcome="Better"),
        OwnVerdict(reference="heart-2", outcome="Undecided"),
    )


def test_the_hub_hears_no_verdict_unless_the_site_tells_them() -> None:
    silent, telling = sent(scored(WORDS)), sent(scored(WORDS, tellVerdicts=True))
    assert "verdicts" not in heard(silent)
    assert heard(telling)["verdicts"] == list(WORDS)
    # It is the only difference: nothing else of what the hub hears depends on the policy or on the verdicts.
    answer = heard(telling)
    del answer["verdicts"]
    assert answer == heard(silent) == heard(sent(scored(["Worse", "Worse"])))


def test_too_few_people_is_for_the_hospitals_own_people_alone() -> None:
    observation = sent(scored(["TooFewPeople", "TooFewPeople"], tellVerdicts=True))
    assert [each.outcome for each in plan(observation).status.verdicts] == ["TooFewPeople"] * 2
    assert "verdicts" not in heard(observation)
    assert "TooFewPeople" not in json.dumps(heard(observation))
    # Not even one of two: the word that is missing would say it.
    assert "verdicts" not in heard(sent(scored(["Better", "TooFewPeople"], tellVerdicts=True)))


# An attacker who controls the pod writes the termination message of `check`. The site passes on only listed words.
HOSTILE: dict[str, Any] = {
    "a value of a patient": ["Better", "mean_radius of patient 17 is 12.3"],
    "a number": [1, 2],
    "a nested value": [{"outcome": "Better", "note": "patient 17"}, "Better"],
    "another spelling": ["better", "BETTER"],
    "a word with a tail": ["Better ", "Better\u200b"],
    "a longer list": ["Better"] * 40,
    "a shorter list": ["Better"],
    "a text": "Better",
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_verdict_carries_nothing_but_its_few_words(attack: str) -> None:
    observation = scored(HOSTILE[attack], tellVerdicts=True)
    assert plan(observation).status.verdicts == ()
    assert "verdicts" not in heard(sent(observation))


def test_only_the_check_that_succeeds_gives_a_verdict() -> None:
    """Researchers' code can write any termination message."""
    message = json.dumps({"verdicts": WORDS})
    for last in (ended("train", 0, message), ended("reference1", 0, message), ended("check", 1, message)):
        assert plan(compared(ended("prepare", 0), last, tellVerdicts=True)).status.verdicts == ()


def test_a_verdict_of_a_round_without_references_is_none() -> None:
    """A hub cannot make a Train round give verdicts."""
    message = json.dumps({"verdicts": ["Better"]})
    made = plan(training(ended("prepare", 0), ended("train", 0), ended("check", 0, message)))
    assert made.status.verdicts == ()


def test_a_policy_that_changes_does_not_concern_tasks_that_have_ended() -> None:
    """Else one change of the policy would tell the verdicts of all tasks that the site still keeps."""
    before = SiteTaskStatus(verdicts=(OwnVerdict(reference="heart-1", outcome="Worse"),))
    task = a_round_task(a_task())
    assert mirror(before, task, None, tells=True).verdicts == ("Worse",)
    complete = Condition(type="Complete", status="True", reason="Complete")
    outcomes: tuple[ToldOutcome, ...] | None
    for outcomes in (None, ("Worse",)):
        over = dataclasses.replace(task, status=RoundTaskStatus(conditions=(complete,), verdicts=outcomes))
        assert mirror(before, over, None, tells=True).verdicts == outcomes
        assert mirror(before, over, None, tells=False).verdicts == outcomes
