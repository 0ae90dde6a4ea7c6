"""The builder of an image cannot know the launcher's path: it contains a UID that nobody chooses or can foresee."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import site_task
from tests.integration.site.conftest import NAMESPACE, PARTICIPANT, Site, eventually
from tests.integration.site.hub import Object
from tests.integration.site.play import enrolled, job_of
from wardround.kube.resources import RESOURCES
from wardround.wire.mounts import LAUNCHER_FOLDER, Places

OPERATOR = account(NAMESPACE, "site-operator")
# The builder of an image has put a program there, at the path that contains this UID.
CHOSEN = "6f1d7a52-0c1e-4f0e-9a55-8f6f3f5d2c11"


def launchers(job: Object) -> set[str]:
    """The program with which the containers of code and `check` begin."""
    spec = job["spec"]["template"]["spec"]
    return {each["command"][0] for each in (*spec["initContainers"], *spec["containers"])} - {"python"}


async def test_the_path_has_the_uid_of_the_sitetask_which_the_hub_does_not_know(site: Site) -> None:
    """All that the hub has signed or sees of the task, a builder of images may know too."""
    await enrolled(site)
    name = site.hub.ask()["metadata"]["name"]
    job = await eventually("the Job", lambda: job_of(site, name))
    own = str(site.task(name)["metadata"]["uid"])
    assert launchers(job) == {f"{Places(own, '').fill(LAUNCHER_FOLDER)}/launch"}
    there = site.api.get("RoundTask", name, PARTICIPANT)
    signed = base64.b64decode(json.loads(there["spec"]["assignment"])["payload"]).decode()
    assert own not in signed
    assert own not in json.dumps([there, site.api.get("Participant", PARTICIPANT, PARTICIPANT)])


def created(api: Api, task: Object) -> None:
    api.create(task, user=OPERATOR)


def applied(api: Api, task: Object) -> None:
    api.apply(task, user=OPERATOR)


def replaced(api: Api, task: Object) -> None:
    api.call("PUT", RESOURCES["SiteTask"].path(NAMESPACE, task["metadata"]["name"]), task, user=OPERATOR)


def restored(api: Api, task: Object) -> None:
    """As from a backup, in the place of a deleted one."""
    api.create(site_task(name=task["metadata"]["name"]), user=OPERATOR)
    api.delete("SiteTask", task["metadata"]["name"], NAMESPACE)
    api.create({**task, "metadata": {**task["metadata"], "resourceVersion": ""}}, user=OPERATOR)


def changed(api: Api, task: Object) -> None:
    name = task["metadata"]["name"]
    api.create(site_task(name=name), user=OPERATOR)
    api.patch("SiteTask", name, {"metadata": {"uid": CHOSEN}}, NAMESPACE, user=OPERATOR)


@pytest.mark.parametrize("write", [created, applied, replaced, restored, changed])
def test_nobody_chooses_the_uid_of_a_sitetask(api: Api, write: Callable[[Api, Object], None]) -> None:
    """Not even the site operator, which makes SiteTasks: the API server draws each UID."""
    name = f"chosen-{write.__name__}"
    task = site_task(name=name)
    task["metadata"]["uid"] = CHOSEN
    with suppress(Refused):
        write(api, task)
    tasks = api.call("GET", RESOURCES["SiteTask"].path(NAMESPACE))["items"]
    drawn = [each["metadata"]["uid"] for each in tasks if each["metadata"]["name"] == name]
    assert len(drawn) == (write not in (applied, replaced))
    assert CHOSEN not in drawn
    assert {uuid.UUID(each).version for each in drawn} <= {4}


def test_the_next_sitetask_of_the_same_name_has_another_uid(api: Api) -> None:
    """An equal object gets another UID, so nothing about it foretells the path."""
    drawn = []
    for _ in range(3):
        drawn.append(api.create(site_task(name="again"), user=OPERATOR)["metadata"]["uid"])
        api.delete("SiteTask", "again", NAMESPACE)
    assert len(set(drawn)) == 3
