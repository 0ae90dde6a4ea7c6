"""What a Site says of IPv6 link-local after a training pod's gate has listened there."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.site import NOW
from wardround.api import conditions
from wardround.api.conditions import MESSAGE_LIMIT, Condition
from wardround.api.site import SiteStatus
from wardround.plans.link_local import COMMAND, CONDITION, plan
from wardround.plans.pod import Step
from wardround.pod.gate import NEIGHBOUR_PORTS, Finding
from wardround.wire.outcome import Outcome

APPROVED = conditions.set_condition((), "Ready", True, "Approved", "", now=NOW, generation=1)
READY = conditions.settled(APPROVED, "Approved", now=NOW, generation=1)
# All that can answer: everybody, and the site operator.
ANSWERS = [
    f"{name} over link-local ({way})"
    for name in ("neighbour", "site-operator")
    for way in ("ICMP", *(f"TCP {port}" for port in NEIGHBOUR_PORTS), "UDP 53")
]


def after(outcome: Outcome, before: SiteStatus | None = None, *, minutes: float = 0) -> SiteStatus:
    """What the Site says after a sidecar told this at the end of its pod, so many minutes after NOW."""
    reported, ended = NOW + timedelta(minutes=minutes, seconds=1), NOW + timedelta(minutes=minutes)
    watched = Step(name="isolation", finished=ended, exit_code=0, report=outcome)
    return plan(before or SiteStatus(conditions=READY), watched, generation=1, now=reported)


def link_local(status: SiteStatus) -> Condition:
    condition = conditions.find(status.conditions, CONDITION)
    assert condition is not None
    return condition


def test_the_message_about_an_answering_address_has_the_command_that_closes_it() -> None:
    condition = link_local(after(Finding("Open", tuple(ANSWERS)).outcome))
    assert (condition.status, condition.reason) == ("False", "LinkLocalOpen")
    assert COMMAND in condition.message
    assert len(condition.message) <= MESSAGE_LIMIT


@pytest.mark.parametrize(("heard", "status"), [("Silent", "Unknown"), ("Absent", "True")])
def test_silence_is_not_called_closed_and_takes_a_finding_back(heard: Any, status: str) -> None:
    opened = after(Finding("Open", ("neighbour over link-local (ICMP)",)).outcome)
    assert link_local(after(Finding(heard).outcome, opened, minutes=1)).status == status


def test_the_finding_of_an_older_pod_does_not_replace_that_of_a_newer_pod() -> None:
    """A site operator that starts looks at all tasks again, in any order."""
    silent, opened = Finding("Silent").outcome, Finding("Open", ("neighbour over link-local (ICMP)",)).outcome
    newest = after(opened, after(silent), minutes=5)
    assert after(silent, newest) == newest
    assert after(opened, newest, minutes=5) == newest


def test_the_command_is_the_one_of_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    rules = text.partition("nft -f - <<'EOF'\n")[2].partition("EOF\n")[0]
    assert words(COMMAND.removeprefix("nft '").removesuffix("'")) == words(rules)


def words(rules: str) -> list[str]:
    return re.split(r"[;\s]+", rules.strip())


def test_a_finding_leaves_the_site_ready_and_settled() -> None:
    """By kstatus such an object is Current: it looks at Ready, Reconciling and Stalled alone."""
    status = after(Finding("Open", ("neighbour over link-local (ICMP)",)).outcome)
    assert [each for each in status.conditions if each.type != CONDITION] == list(READY)


def test_a_pod_that_says_nothing_of_link_local_changes_nothing() -> None:
    before = SiteStatus(conditions=READY)
    assert after(Outcome(), before) == before
    assert after(Finding("Silent").outcome, before) != before
