"""Looks at an Approval: wakes tasks, and writes its status. Observe, plan, carry out; decides nothing."""

from __future__ import annotations

from wardround.api import approval
from wardround.clock import Clock
from wardround.kube.events import Reporter
from wardround.plans.site import approval as plans
from wardround.plans.site.approval import Observation, Remembered
from wardround.ports import Api
from wardround.site.held import HeldTasks
from wardround.site.site_object import WakeTask


class ApprovalReconciler:
    """All Approvals of the site."""

    def __init__(self, own: Api, reporter: Reporter, held: HeldTasks, wake_task: WakeTask, clock: Clock) -> None:
        self._own = own
        self._reporter = reporter
        self._held = held
        self._wake_task = wake_task
        self._clock = clock
        self._remembered: dict[str, Remembered] = {}

    async def reconcile(self, name: str) -> float | None:
        """Returns `requeue_after`. Raises ApiError."""
        item = await self._own.get_if_exists(approval.KIND, name)
        observed = approval.parse(item) if item is not None else None
        seen = Observation(
            approval=observed,
            before=self._remembered.get(name),
            held=await self._held.every(),
            now=self._clock(),
        )
        planned = plans.plan(seen)
        for task in planned.wake.names:
            self._wake_task(task)
        if planned.remembered is None:
            self._remembered.pop(name, None)
        else:
            self._remembered[name] = planned.remembered
        if item is not None and observed is not None and planned.status is not None:
            await self._reporter.write(item, observed.status, planned.status)
        return planned.requeue_after
