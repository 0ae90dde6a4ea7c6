"""Reconciles the Site itself: observe, plan, execute. It reports this site to the hub. Decides nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Protocol

from wardround.api import dataset, names, participant, roundtask
from wardround.api import site as sites
from wardround.api.participant import Participant
from wardround.api.site import Site
from wardround.clock import Clock
from wardround.kube.errors import ApiError
from wardround.kube.events import Reporter
from wardround.plans.site import plan as plans
from wardround.plans.site.types import (
    Action,
    AtHub,
    Observation,
    OpenTask,
    Plan,
    Publish,
    RenewToken,
    Resume,
    WakeTasks,
    WriteStatus,
)
from wardround.plans.sitetask.state import is_final
from wardround.ports import Api, Object
from wardround.site.held import HeldTasks
from wardround.site.link import HubLink

# A hub may also answer nonsense.
HUB_FAILURES = (ApiError, LookupError, TypeError, ValueError)
logger = logging.getLogger(__name__)


class WakeTask(Protocol):
    def __call__(self, name: str, /, *, behind: bool = False) -> None: ...


@dataclass
class Memory:
    """What this process remembers between two looks at the Site. `generation`: of the Site. `participant`: this site at
    its hub. `resumed`: since the site last lost its hub, it has looked at all tasks again."""

    generation: int | None = None
    participant: Participant | None = None
    resumed: bool = False


@dataclass(frozen=True)
class HubAnswers:
    """What the hub has answered at this look. `open_tasks`: None if the site did not ask for them."""

    participant: Object | None
    open_tasks: tuple[OpenTask, ...] | None


@dataclass(frozen=True)
class SiteObjects:
    """The objects as read, beside what the plan sees of them."""

    seen: Observation
    site: Object
    participant: Object | None


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
        self._own = own
        self._reporter = reporter
        self._link = link
        self._held = held
        self._wake_task = wake_task
        self._hub_changed = hub_changed
        self._clock = clock
        self._memory = Memory()

    @property
    def participant(self) -> Participant | None:
        """This site at its hub, as last read."""
        return self._memory.participant

    def disconnected(self) -> None:
        self._memory.resumed = False

    async def reconcile(self) -> float | None:
        """Raises ApiError of the own cluster. Returns `requeue_after`."""
        item = await self._own.get_if_exists("Site", names.SITE)
        if item is None:
            logger.warning(
                "there is no Site %s in namespace %s: install the site chart", names.SITE, self._own.namespace
            )
            return None
        live = await self._observe(item)
        planned = plans.plan(live.seen)
        self._memory.generation = live.seen.site.metadata.generation
        return await self._execute(live, planned)

    async def _observe(self, item: Object) -> SiteObjects:
        site = sites.parse(item)
        if await self._link.refresh(site.spec.hub):
            # Watch and heartbeat move to the new client now, because the former one is closed.
            self._hub_changed()
        # As it was when the hub was asked: a later heartbeat says nothing of the Participant.
        link = self._link.state
        hub = await self._ask_hub(site) if link.state == "Connected" else None
        seen = Observation(
            site=site,
            link=link,
            hub_reached=hub is not None,
            participant=self._memory.participant,
            open_tasks=hub.open_tasks if hub else None,
            datasets=[dataset.parse(each) for each in await self._own.list("Dataset")] if hub else (),
            held=await self._held.every(),
            seen_generation=self._memory.generation,
            token=self._link.token_life(),
            now=self._clock(),
        )
        return SiteObjects(seen, item, hub.participant if hub else None)

    async def _ask_hub(self, site: Site) -> HubAnswers | None:
        """None if the hub fails. The Site's own status must not depend on the hub's answers."""
        client = self._link.client
        if client is None:
            return None
        try:
            item = await client.get_if_exists("Participant", site.spec.hub.participant_namespace)
            known = None if item is None else participant.parse(item)
            open_tasks = None if self._memory.resumed else await _open_tasks(client)
        except HUB_FAILURES as failure:
            self._hub_failed(failure)
            return None
        self._memory.participant = known
        return HubAnswers(item, open_tasks)

    async def _execute(self, live: SiteObjects, planned: Plan) -> float:
        """In order. After the hub has failed, its other actions wait for the next look, which comes soon."""
        hub_failed = False
        for action in planned.actions:
            if not isinstance(action, AtHub):
                await self._perform(action, live)
            elif not hub_failed:
                try:
                    await self._perform(action, live)
                except HUB_FAILURES as failure:
                    self._hub_failed(failure)
                    hub_failed = True
        return plans.DISCONNECTED_SECONDS if hub_failed else planned.requeue_after

    def _hub_failed(self, failure: Exception) -> None:
        """Only logs it, because the heartbeat tells people of a hub that fails."""
        self._memory.resumed = False
        logger.warning("at the hub: %s: %s", type(failure).__name__, failure)

    @singledispatchmethod
    async def _perform(self, action: Action, live: SiteObjects) -> None:
        raise TypeError(f"no way to perform {action}")

    @_perform.register
    async def _renew_token(self, _: RenewToken, live: SiteObjects) -> None:
        await self._link.renew_token(live.seen.site.spec.hub)

    @_perform.register
    async def _publish(self, action: Publish, live: SiteObjects) -> None:
        client, item = self._link.client, live.participant
        if client is None or item is None:
            return
        before = (item.get("status") or {}).get("site")
        await client.apply_status(item, {} if before is None else {"site": before}, {"site": action.report})

    @_perform.register
    async def _resume(self, action: Resume, live: SiteObjects) -> None:
        await self._wake(action.wake, live)
        self._memory.resumed = self._link.connected

    @_perform.register
    async def _wake(self, action: WakeTasks, _: SiteObjects) -> None:
        for name in action.names:
            self._wake_task(name)
        for name in action.behind:
            self._wake_task(name, behind=True)

    @_perform.register
    async def _write_status(self, action: WriteStatus, live: SiteObjects) -> None:
        await self._reporter.write(live.site, live.seen.site.status, action.status)


async def _open_tasks(client: Api) -> tuple[OpenTask, ...]:
    """A few RoundTasks at a time: each may weigh a megabyte."""
    return tuple(
        [
            OpenTask(item["metadata"]["creationTimestamp"], item["metadata"]["name"])
            async for item in client.each("RoundTask")
            if not is_final(roundtask.parse(item))
        ]
    )
