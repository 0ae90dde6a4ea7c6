"""Reconciles an Approval: writes its conditions, and wakes the tasks that may depend on it. plans/approval decides."""

from __future__ import annotations

from wardround.api import approval
from wardround.clock import Clock
from wardround.kube.events import Reporter
from wardround.plans import approval as approvals
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
        # By name: the object, and whether it was over. The count of a task changes neither.
        self._seen: dict[str, tuple[str, int, bool]] = {}

    async def reconcile(self, name: str) -> float | None:
        """Returns `requeue_after`. Raises ApiError."""
        item = await self._own.get_if_exists(approval.KIND, name)
        if item is None:
            if self._seen.pop(name, None) is not None:
                await self._wake_tasks()
            return None
        seen, now = approval.parse(item), self._clock()
        meta = seen.metadata
        state = (meta.uid, meta.generation, approvals.is_over(seen, now))
        if self._seen.get(name) != state:
            await self._wake_tasks()
            self._seen[name] = state
        await self._reporter.write(item, seen.status, approvals.status(seen, now))
        return approvals.seconds_left(seen, now)

    async def _wake_tasks(self) -> None:
        for task in await self._held.every():
            if not task.final:
                self._wake_task(task.name)
