"""If an API server refuses what the site says of a task, the site still ends the task and stops its pod."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from tests.unit.plans_site.plans import REPLAYED
from tests.worlds.site import JOB, a_pod, a_task, condition, ended, ready, running, seen
from wardround.kube.errors import ApiError, Forbidden, Invalid
from wardround.plans.sitetask.plan import plan
from wardround.plans.sitetask.types import Observation, TellSite
from wardround.ports import Object
from wardround.site.execute import Execution
from wardround.site.observe import TaskObjects


class Refuses:
    """A hub, or a reporter, that refuses one kind of status."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.deleted: list[str] = []

    async def apply_status(self, observed: Object, before: object, after: object) -> None:
        raise Forbidden("patch RoundTask status", "403")

    async def write(self, item: Object, before: object, after: object) -> Object | None:
        if item["kind"] == "Site":
            raise Invalid("patch Site status", "422 this cluster's kinds are older")
        self.written.append(item["kind"])
        return item

    async def delete(self, kind: str, name: str, **_: Any) -> None:
        self.deleted.append(kind)


def carried_out(observation: Observation) -> Refuses:
    other = Refuses()
    held = SimpleNamespace(put=lambda *_, **__: None, reread=lambda: None, drop=lambda _: None)
    context: Any = SimpleNamespace(
        link=SimpleNamespace(client=other), reporter=other, own=other, held=held, hub_heard={}, wake=lambda _: None
    )
    item = {"kind": "SiteTask", "metadata": {"resourceVersion": "1"}}
    hub: Mapping[str, Any] = {"kind": "RoundTask", "metadata": {}}
    live = TaskObjects(seen=observation, site={"kind": "Site"}, task=item, round_task=dict(hub), datasets={})
    with suppress(ApiError):
        asyncio.run(Execution(context, live).run(plan(observation)))
    return other


def test_a_task_without_its_round_task_ends_even_if_the_hub_refuses_the_status_of_the_new_one() -> None:
    assert carried_out(seen(a_task(status=ready()), job=JOB, round_task=REPLAYED)).written == ["SiteTask"]


HEARD = ended("isolation", 0, '{"linkLocal": {"heard": "Silent", "answers": []}}')
OPEN = a_pod(ended("prepare", 0, '{"rows": 290}'), running("train"), HEARD)


def test_the_job_of_an_open_pod_is_deleted_though_the_site_status_is_refused() -> None:
    observation = seen(a_task(status=ready(condition("Failed", reason="NetworkOpen"))), job=JOB, pod=OPEN)
    assert any(isinstance(each, TellSite) for each in plan(observation).actions), "else this shows nothing"
    assert carried_out(observation).deleted == ["Job"]
