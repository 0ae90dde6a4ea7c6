"""An assignment that the site has taken before comes again, after the site has forgotten its SiteTask."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.site.conftest import PARTICIPANT, Site, eventually
from tests.integration.site.hub import HUB_OPERATOR
from tests.integration.site.play import condition, enrolled, forgets_after, site_tasks, taken_and_ended

REMEMBERED = 3


async def test_a_site_refuses_a_forgotten_assignment_after_a_restart(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgets_after(monkeypatch, REMEMBERED)
    await enrolled(site)
    old = await taken_and_ended(site)
    name = old["metadata"]["name"]
    await asyncio.sleep(1)  # creation times are whole seconds: in one second, the names decide which task is older
    for _ in range(REMEMBERED - 1):
        await taken_and_ended(site)
    assert name in site_tasks(site)
    await taken_and_ended(site)
    await eventually("the oldest is forgotten", lambda: name not in site_tasks(site))
    await site.restart()
    site.hub.delete(name)
    # A task has the name that follows from the signed round.
    for again, reason in ((name, "AssignmentTooOld"), (name.replace("train-1", "train-2"), "Replayed")):
        site.api.create({**old, "metadata": {"name": again, "namespace": PARTICIPANT}}, user=HUB_OPERATOR)

        def refused(again: str = again, reason: str = reason) -> bool:
            accepted = condition(site.api.get("RoundTask", again, PARTICIPANT), "Accepted")
            return (accepted["status"], accepted["reason"]) == ("False", reason)

        await eventually("it is refused", refused)
