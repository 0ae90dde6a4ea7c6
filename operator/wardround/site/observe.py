"""Gathers what a task's plan is made from, live but for the records of other tasks. Decides nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wardround.api import approval, names, roundtask, sitetask
from wardround.api import site as sites
from wardround.api.dataset import DatasetStatus
from wardround.api.sitetask import SiteTask
from wardround.kube.errors import ApiError
from wardround.plans.pod import Job, Pod, parse_job, parse_pod
from wardround.plans.sitetask.lookups import needs_approvals, needs_control
from wardround.plans.sitetask.types import Control, Observation, ObservedDataset
from wardround.ports import Api, Object
from wardround.site.context import PodContext, TaskContext
from wardround.wire import codec


@dataclass(frozen=True)
class HubView:
    """What the hub has of a task, if the site `reached` it; `failure`: why it did not, though the link is up."""

    reached: bool
    task: Object | None = None
    failure: ApiError | None = None


@dataclass(frozen=True)
class TaskObjects:
    """The objects as read, beside what the plan sees of them."""

    seen: Observation
    site: Object
    task: Object
    round_task: Object | None
    datasets: Mapping[str, Object]
    approvals: Mapping[str, Object] = field(default_factory=dict)


async def at_hub(context: TaskContext, name: str) -> HubView:
    """While the link to the hub is down the site does not ask: it looks at all tasks once the hub is back."""
    client = context.link.client
    if client is None or not context.link.connected:
        return HubView(reached=False)
    try:
        return HubView(reached=True, task=await client.get_if_exists("RoundTask", name))
    except ApiError as failure:
        return HubView(reached=False, failure=failure)


async def observe(context: TaskContext, site_item: Object, item: Object, hub: HubView) -> TaskObjects:
    """Everything about one SiteTask. Raises ApiError."""
    site, task = sites.parse(site_item), sitetask.parse(item)
    name = task.metadata.name
    datasets, schemas = [
        {each["metadata"]["name"]: each for each in await context.own.list(kind)} for kind in ("Dataset", "DataSchema")
    ]
    job = await _job(context.own, task)
    context.held.put(task, holds_job=job is not None and not job.finished)
    participant = context.participant()
    listed = await context.own.list("Approval") if needs_approvals(task, site.spec.policy.approval) else []
    approvals = {each["metadata"]["name"]: each for each in listed}
    seen = Observation(
        site=site,
        task=task,
        round_task=roundtask.parse(hub.task) if hub.task else None,
        hub_reached=hub.reached,
        hub_heard=context.hub_heard.get(name),
        others=await context.held.others(name),
        datasets={key: _dataset(each, schemas) for key, each in datasets.items()},
        job=job,
        pod=await newest_pod(context.own, task.metadata.uid) if job else None,
        control=await take_control(context, site) if needs_control(task, job) else None,
        max_samples=participant.spec.max_samples if participant else None,
        operator_image=context.operator_image,
        approvals=tuple(approval.parse(each) for each in approvals.values()),
        now=context.clock(),
    )
    return TaskObjects(
        seen=seen, site=site_item, task=item, round_task=hub.task, datasets=datasets, approvals=approvals
    )


def _dataset(item: Object, schemas: Mapping[str, Object]) -> ObservedDataset:
    spec = item["spec"]
    schema = schemas.get(spec["schemaName"])
    return ObservedDataset(
        spec=spec,
        schema=schema["spec"] if schema else None,
        status=codec.parse(DatasetStatus, item.get("status") or {}),
        generation=item["metadata"]["generation"],
    )


async def _job(own: Api, task: SiteTask) -> Job | None:
    item = await own.get_if_exists("Job", task.metadata.name)
    return parse_job(item) if item is not None and _is_owned(item, task) else None


def _is_owned(job: Mapping[str, Any], task: SiteTask) -> bool:
    """The Job may belong to an older SiteTask of the same name: then the garbage collector is about to remove it."""
    return any(owner["uid"] == task.metadata.uid for owner in job["metadata"].get("ownerReferences", ()))


async def newest_pod(own: Api, uid: str, *, job_uid: str = "") -> Pod | None:
    """The newest pod of a SiteTask or Dataset with this UID.

    `job_uid`: only of this Job, because pods of an earlier one may still be there.
    """
    items = [
        each
        for each in await own.list("Pod", labels=f"{names.TASK_UID}={uid}")
        if not job_uid or any(owner["uid"] == job_uid for owner in each["metadata"].get("ownerReferences", ()))
    ]
    newest = max(items, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)
    return parse_pod(newest) if newest else None


async def take_control(context: PodContext, site: sites.Site) -> Control:
    """The positive control of the isolation gate, with the addresses that the site operator knows."""
    node, pod = await _addresses(context.own)
    client = context.link.client
    hub = client.server if client else ""
    return await context.controls.take(hub=hub, store=site.spec.store.origin, node=node, own=pod)


async def _addresses(own: Api) -> tuple[Sequence[str], Sequence[str]]:
    """The addresses of this pod's node and of this pod. There are none outside of a cluster."""
    pod = await own.get_if_exists("Pod", os.environ.get("HOSTNAME", "none"))
    if pod is None:
        return (), ()
    status = pod["status"]
    return [each["ip"] for each in status.get("hostIPs", ())], [each["ip"] for each in status.get("podIPs", ())]
