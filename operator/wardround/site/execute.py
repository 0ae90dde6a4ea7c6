"""Carries out a task's plan, action by action. Each action may be repeated: after a crash the plan is made again."""

from __future__ import annotations

import dataclasses
import logging
from functools import singledispatchmethod

from wardround.api import approval, dataset, sitetask
from wardround.api.sitetask import SiteTask, SiteTaskStatus
from wardround.api.task import manifest
from wardround.kube.errors import ApiError, Conflict, Forbidden, Invalid
from wardround.plans.sitetask import arrival
from wardround.plans.sitetask import plan as plans
from wardround.plans.sitetask.arrival import Arrival, ArrivalPlan
from wardround.plans.sitetask.types import (
    Action,
    Change,
    CountTask,
    CreateJob,
    DeleteJob,
    DeleteTask,
    LeaveAlone,
    Mirror,
    Plan,
    RefuseReplay,
    TakeTask,
    TellDataset,
    TellHub,
    TellSite,
    WakeTasks,
    WriteStatus,
)
from wardround.ports import Object
from wardround.site.context import TaskContext
from wardround.site.observe import TaskObjects
from wardround.wire import codec

logger = logging.getLogger(__name__)


class Execution:
    """One task's actions. `live` is what the plan was made from."""

    def __init__(self, context: TaskContext, live: TaskObjects) -> None:
        self._context = context
        self._live = live
        self._seen = live.seen
        self._name = live.seen.task.metadata.name
        # As this execution last wrote it.
        self._task = live.seen.task

    async def run(self, planned: Plan) -> None:
        """In order. Raises whatever an action raises. After a change of other objects has failed, the status first says
        so, and the hub hears of it."""
        for action in planned.actions:
            try:
                await self.perform(action)
            except Exception as failure:
                if isinstance(action, Change):
                    refused = isinstance(failure, Forbidden | Invalid)
                    for each in plans.interrupted(self._seen, planned, action, _words(failure), refused=refused):
                        await self.perform(each)
                raise

    @singledispatchmethod
    async def perform(self, action: Action) -> None:
        raise TypeError(f"no way to perform {action}")

    @perform.register
    async def _refuse_replay(self, action: RefuseReplay) -> None:
        there, client = self._seen.round_task, self._context.link.client
        if there is not None and self._live.round_task is not None and client is not None:
            await client.apply_status(self._live.round_task, codec.dump(there.status), codec.dump(action.status))

    @perform.register
    async def _tell_dataset(self, action: TellDataset) -> None:
        item = self._live.datasets[action.name]
        await self._context.reporter.write(item, dataset.parse(item).status, action.status)

    @perform.register
    async def _tell_site(self, action: TellSite) -> None:
        await self._context.reporter.write(self._live.site, self._seen.site.status, action.status)

    @perform.register
    async def _count_task(self, action: CountTask) -> None:
        item = self._live.approvals[action.name]
        await self._context.reporter.write(item, approval.parse(item).status, action.status)

    @perform.register
    async def _write_status(self, action: WriteStatus) -> None:
        before, self._task = self._task, dataclasses.replace(self._task, status=action.status)
        # The courier alone writes its part of the status. The next look sees what it has written meanwhile.
        statuses = (_without_courier(each.status) for each in (before, self._task))
        try:
            written = await self._context.reporter.write(self._live.task, *statuses)
        except Conflict:
            raise
        except Exception:
            self._context.held.reread()
            raise
        if written is None:
            return
        self._written(written)
        self._context.held.put(self._task)
        _log(before, action.status)

    @perform.register
    async def _wake(self, action: WakeTasks) -> None:
        for name in action.names:
            self._context.wake(name)

    @perform.register
    async def _mirror(self, action: Mirror) -> None:
        change = {"grants": action.grants, **({"cancel": True} if action.cancel else {})}
        body = {"metadata": {"uid": self._task.metadata.uid}, "spec": change}
        self._written(await self._context.own.patch("SiteTask", self._name, body))

    @perform.register
    async def _create_job(self, action: CreateJob) -> None:
        await self._context.own.create(action.job)
        self._context.held.put(self._task, holds_job=True)

    @perform.register
    async def _delete_job(self, action: DeleteJob) -> None:
        await self._context.own.delete("Job", action.name, uid=action.uid)
        self._context.held.put(self._task, holds_job=False)

    @perform.register
    async def _delete_task(self, action: DeleteTask) -> None:
        await self._context.own.delete("SiteTask", action.name, uid=action.uid)
        self._context.held.drop(action.name)

    @perform.register
    async def _tell_hub(self, action: TellHub) -> None:
        there, client = self._seen.round_task, self._context.link.client
        if there is None or self._live.round_task is None or client is None:
            return
        await client.apply_status(self._live.round_task, codec.dump(there.status), codec.dump(action.status))
        if action.last:
            self._context.hub_heard.pop(self._name, None)
        else:
            self._context.hub_heard[self._name] = self._seen.now

    def _written(self, item: Object) -> None:
        """The next write expects this version."""
        self._live.task["metadata"]["resourceVersion"] = item["metadata"]["resourceVersion"]


async def arrive(context: TaskContext, seen: Arrival, item: Object, planned: ArrivalPlan) -> Object | None:
    """Carries out what is planned for a RoundTask without a SiteTask; returns the SiteTask if it was made. `item`: the
    RoundTask as read. Raises ApiError."""
    for action in planned.actions:
        if isinstance(action, LeaveAlone):
            await _leave_alone(context, seen, item, action)
            continue
        try:
            return await _take(context, action)
        except (Forbidden, Invalid) as refused:
            for each in arrival.not_admitted(seen, str(refused)):
                await _leave_alone(context, seen, item, each)
            raise
    return None


async def _take(context: TaskContext, action: TakeTask) -> Object:
    wanted = manifest(sitetask.KIND, action.name, context.own.namespace, action.labels, action.spec)
    made = await context.own.create(wanted)
    context.held.put(sitetask.parse(made), holds_job=False)
    return made


async def _leave_alone(context: TaskContext, seen: Arrival, item: Object, action: LeaveAlone) -> None:
    client = context.link.client
    if client is None:
        return
    logger.warning("task %s: %s", seen.round_task.metadata.name, action.words)
    await client.apply_status(item, codec.dump(seen.round_task.status), codec.dump(action.status))


def _without_courier(status: SiteTaskStatus) -> SiteTaskStatus:
    return dataclasses.replace(status, courier=None)


def _words(failure: Exception) -> str:
    return str(failure) if isinstance(failure, ApiError) else f"{type(failure).__name__}: {failure}"


def _log(task: SiteTask, status: SiteTaskStatus) -> None:
    """What has become true of a task."""
    before = {each.type: each for each in task.status.conditions}
    for each in status.conditions:
        old = before.get(each.type)
        if each.status == "True" and each.type != "Stalled" and (old is None or old.reason != each.reason):
            logger.info("task %s: %s %s %s", task.metadata.name, each.type, each.reason, each.message)
