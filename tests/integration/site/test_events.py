"""Events of a site's objects at a real API server: each is written once, and none has a container's message."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from collections.abc import Callable

from tests.integration.site.conftest import NAMESPACE, Site, eventually
from tests.integration.site.hub import Object
from tests.integration.site.play import TIMES, condition, enrolled, job_of, run_pod
from tests.players.pods import container_status, terminated
from wardround.site.operator import CONTROLLER

SECRET = "patient 4711"
Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def events(site: Site, kind: str, name: str) -> list[Object]:
    items = site.api.call("GET", f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")["items"]
    return [each for each in items if (each["regarding"]["kind"], each["regarding"]["name"]) == (kind, name)]


def event_written(site: Site, kind: str, name: str, reason: str) -> Callable[[], list[Object]]:
    return lambda: [each for each in events(site, kind, name) if each["reason"] == reason]


async def test_a_failed_task_writes_each_event_once_without_the_containers_message(
    site: Site, kubectl: Kubectl
) -> None:
    await enrolled(site)
    name = site.hub.ask()["metadata"]["name"]
    job = await eventually("the Job", lambda: job_of(site, name))
    run_pod(site.api, job)
    failed = {"reason": "ColumnMissing", "class": "Site", "message": f"no column for {SECRET}"}
    prepare = container_status("prepare", terminated(65, json.dumps(failed), *TIMES))
    site.api.patch_status("Pod", job["metadata"]["name"], {"initContainerStatuses": [prepare]}, NAMESPACE)

    (warning,) = await eventually("the Event of the failure", event_written(site, "SiteTask", name, "ColumnMissing"))
    task = site.task(name)
    assert SECRET in condition(task, "Failed")["message"], "for the site's people"
    assert warning["regarding"]["uid"] == task["metadata"]["uid"]
    assert (warning["type"], warning["reportingController"]) == ("Warning", CONTROLLER)
    await eventually("the Event of the Dataset", event_written(site, "Dataset", "breast", "ColumnMissing"))
    assert SECRET not in json.dumps(events(site, "SiteTask", name) + events(site, "Dataset", "breast"))
    assert set(Counter(each["reason"] for each in events(site, "SiteTask", name)).values()) == {1}

    shown = await asyncio.to_thread(kubectl, "describe", "sitetask", name, "-n", NAMESPACE)
    assert shown.returncode == 0, shown.stderr
    (line,) = [each for each in shown.stdout.splitlines() if "Warning" in each]
    assert "ColumnMissing" in line
    assert "The data file has no column for a field of the Dataset or of its DataSchema." in line


async def test_a_restarted_operator_writes_no_event_about_a_ready_site(site: Site) -> None:
    """Each test here starts another operator on the Site of the one before."""
    await enrolled(site)
    # The operator of an earlier test has written the Event Approved.
    await eventually("the Event of the Site", event_written(site, "Site", "site", "Approved"))
    before = events(site, "Site", "site")
    await asyncio.sleep(3)
    assert condition(site.api.get("Site", "site", NAMESPACE), "Ready")["status"] == "True"
    assert events(site, "Site", "site") == before
