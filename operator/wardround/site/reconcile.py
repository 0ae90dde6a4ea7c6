"""Reconciles one task of the site: observe, plan, execute. Level-triggered and idempotent; decides nothing."""

from __future__ import annotations

from wardround.api import names, roundtask
from wardround.plans.sitetask import arrival
from wardround.plans.sitetask import plan as plans
from wardround.plans.sitetask.arrival import Arrival
from wardround.ports import Object
from wardround.site.context import TaskContext
from wardround.site.execute import Execution, arrive
from wardround.site.observe import HubView, at_hub, observe


class TaskReconciler:
    """All tasks of the site, one at a time."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context

    async def reconcile(self, name: str) -> float | None:
        """Returns `requeue_after`.

        Raises ApiError, to be tried again: of the own cluster, or of a hub that the site could not see or tell. The
        site does before what it can do without the hub.
        """
        hub = await at_hub(self._context, name)
        requeue_after = await self._reconcile(name, hub)
        if hub.failure is not None:
            raise hub.failure
        return requeue_after

    async def _reconcile(self, name: str, hub: HubView) -> float | None:
        context = self._context
        site = await context.own.get_if_exists("Site", names.SITE)
        if site is None:
            context.hub_heard.pop(name, None)
            return None
        item, requeue_after = await context.own.get_if_exists("SiteTask", name), None
        if item is None:
            context.held.drop(name)
            item, requeue_after = await self._arrive(hub)
        if item is None:
            context.hub_heard.pop(name, None)
            return requeue_after
        live = await observe(context, site, item, hub)
        planned = plans.plan(live.seen)
        await Execution(context, live).run(planned)
        return planned.requeue_after

    async def _arrive(self, hub: HubView) -> tuple[Object | None, float | None]:
        """The SiteTask of a RoundTask that had none, or `requeue_after`."""
        if hub.task is None:
            return None, None
        context = self._context
        seen = Arrival(round_task=roundtask.parse(hub.task), held=await context.held.count(), now=context.clock())
        planned = arrival.plan(seen)
        return await arrive(context, seen, hub.task, planned), planned.requeue_after
