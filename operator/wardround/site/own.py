"""The Site itself: observe, plan, write. Keeps the link to the hub alive, and reports this site to the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from wardround.api import dataset, names, participant, roundtask
from wardround.api import site as sites
from wardround.api.participant import Participant
from wardround.api.site import Site
from wardround.clock import Clock
from wardround.kube.errors import ApiError
from wardround.kube.events import Reporter
from wardround.plans import site as site_plan
from wardround.plans.sitetask.state import is_final
from wardround.ports import Api
from wardround.site.held import HeldTasks
from wardround.site.link import HubLink

CONNECTED_SECONDS = 300.0
DISCONNECTED_SECONDS = 5.0
logger = logging.getLogger(__name__)


class WakeTask(Protocol):
    def __call__(self, name: str, /, *, behind: bool = False) -> None: ...


class SiteReconciler:
    """`wake_task`: look at this task, or `behind` all others. `hub_changed`: there is another client for the hub."""

    def __init__(
        self,
        own: Api,
        reporter: Reporter,
        link: HubLink,
        held: HeldTasks,
        *,
        wake_task: WakeTask,
        hub_changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._own = own
        self._reporter = reporter
        self._link = link
        self._held = held
        self._wake_task = wake_task
        self._hub_changed = hub_changed
        self._was_connected = False
        self._generation: int | None = None
        self.participant: Participant | None = None

    async def reconcile(self) -> float | None:
        """Raises ApiError of the own cluster. Returns in how many seconds to look again."""
        item = await self._own.get_if_exists("Site", names.SITE)
        if item is None:
            logger.warning(
                "there is no Site %s in namespace %s: install the site chart", names.SITE, self._own.namespace
            )
            return None
        site = sites.parse(item)
        if self._generation not in (None, site.metadata.generation):
            # What the hospital agrees to, and how much runs at a time, is asked of the Site: not for what is over.
            await self._wake_tasks(over=False)
        self._generation = site.metadata.generation
        if await self._link.refresh(site.spec.hub):
            self._hub_changed()
        # As it was when the hub was asked: a heartbeat that comes later says nothing of the Participant.
        link = self._link.state
        whole = link.state != "Connected" or await self._ask_hub(site)
        tasks = await self._held.count()
        status = site_plan.plan(site_plan.Seen(site, link, self.participant, tasks), self._clock())
        await self._reporter.write(item, site.status, status)
        return CONNECTED_SECONDS if self._link.connected and whole else DISCONNECTED_SECONDS

    async def _ask_hub(self, site: Site) -> bool:
        """Token, Participant and tasks; whether all of it is known now.

        A hub that fails here is the heartbeat's to tell, and one that answers nonsense stops nothing but this: what the
        Site says of itself must not depend on it.
        """
        try:
            await self._link.renew_token(site.spec.hub, self._clock())
            await self._exchange(site)
            await self._resume()
        except (ApiError, LookupError, TypeError, ValueError) as failure:
            self._was_connected = False
            logger.warning("at the hub: %s: %s", type(failure).__name__, failure)
            return False
        return True

    async def _exchange(self, site: Site) -> None:
        """Reads the Participant and publishes this site's part of it."""
        client = self._link.client
        if client is None:
            return
        item = await client.get_if_exists("Participant", site.spec.hub.participant_namespace)
        if item is None:
            self.participant = None
            return
        self.participant = participant.parse(item)
        datasets = [dataset.parse(each) for each in await self._own.list("Dataset")]
        before = (item.get("status") or {}).get("site")
        report = site_plan.report(site, datasets)
        await client.apply_status(item, {} if before is None else {"site": before}, {"site": report})

    async def _resume(self) -> None:
        """After a time without the hub: what has happened there meanwhile, without waiting for a watch to notice."""
        if self._was_connected or self._link.client is None:
            return
        waiting = [
            (item["metadata"]["creationTimestamp"], item["metadata"]["name"])
            async for item in self._link.client.each("RoundTask")
            if not is_final(roundtask.parse(item))
        ]
        # Oldest first: what was issued before too much else was taken is refused.
        for _, name in sorted(waiting):
            self._wake_task(name)
        await self._wake_tasks(over=True)
        self._was_connected = True

    async def _wake_tasks(self, *, over: bool) -> None:
        """All that are under way, and, behind them, those that are `over`."""
        for task in await self._held.every():
            if over or not task.final:
                self._wake_task(task.name, behind=task.final)

    def disconnected(self) -> None:
        self._was_connected = False
