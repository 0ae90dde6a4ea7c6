"""An assignment that the site has taken before comes again, after the site has forgotten its SiteTask."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, eventually
from tests.integration.site.hub import HUB_OPERATOR, Object
from tests.integration.site.play import condition, enrolled

REMEMBERED = 3


def site_tasks(site: Site) -> set[str]:
    items = site.api.call("GET", f"/apis/wardround.io/v1alpha1/namespaces/{NAMESPACE}/sitetasks")["items"]
    return {each["metadata"]["name"] for each in items}


async def taken_and_ended(site: Site) -> Object:
    task = site.hub.ask()
    name = task["metadata"]["name"]

    def reached(kind: str) -> bool:
        return bool(condition(site.api.get("RoundTask", name, PARTICIPANT), kind)["status"] == "True")

    await eventually("the task is accepted", lambda: reached("Accepted"))
    site.hub.cancel(name)
    await eventually("both sides know that it has ended", lambda: reached("Failed"))
    return task


async def test_a_site_refuses_a_forgotten_assignment_after_a_restart(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wardround.plans.assignment.REMEMBERED", REMEMBERED)
    monkeypatch.setattr("wardround.plans.sitetask.memory.KEPT", REMEMBERED)
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
    site.api.call("DELETE", f"/apis/wardround.io/v1alpha1/namespaces/{PARTICIPANT}/roundtasks/{name}")
    # A task has the name that follows from the signed round.
    for again, reason in ((name, "AssignmentTooOld"), (name.replace("train-1", "train-2"), "Replayed")):
        site.api.create({**old, "metadata": {"name": again, "namespace": PARTICIPANT}}, user=HUB_OPERATOR)

        def refused(again: str = again, reason: str = reason) -> bool:
            accepted = condition(site.api.get("RoundTask", again, PARTICIPANT), "Accepted")
            return (accepted["status"], accepted["reason"]) == ("False", reason)

        await eventually("it is refused", refused)
