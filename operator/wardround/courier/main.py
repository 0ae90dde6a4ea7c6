"""The courier's process: watches SiteTasks and runs one TaskRunner each; wiring only. No Kopf, no numpy: 64 MB."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from wardround import ports
from wardround.api import sitetask
from wardround.clock import Clock, Draw, system_clock, system_draw
from wardround.courier import keys
from wardround.courier.keys import Identity
from wardround.courier.models import ModelsVolume
from wardround.courier.settings import Settings
from wardround.courier.task import Means, TaskRunner
from wardround.courier.turn import Turn
from wardround.courier.workspace import Workspace
from wardround.kube.client import Client, backoff, failed_in_a_row
from wardround.kube.errors import ApiError, Conflict
from wardround.kube.health import PORT, health
from wardround.kube.process import run_until_terminated
from wardround.plans.courier.step import on_object
from wardround.ports import Api, Object, OpenStore
from wardround.sealing.refused import Refused
from wardround.store.transfer import StoreClient
from wardround.threads import beside

logger = logging.getLogger(__name__)


class Courier:
    """All tasks of one site."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._running: dict[str, tuple[TaskRunner, asyncio.Task[None]]] = {}
        self.listed = False

    @property
    def missing(self) -> str:
        return "" if self.listed else "the first list of SiteTasks"

    async def follow_tasks(self) -> None:
        """Runs without end. Raises ApiError."""
        async for event, item in self._means.client.watch("SiteTask"):
            if event == "LISTED":
                await self._sweep()
            elif event == "DELETED":
                await self._drop(item["metadata"]["uid"])
            elif event != "LISTING":
                await self._take(item)

    async def follow_site(self) -> None:
        """Runs without end: a Site that somebody deletes and makes again gets the keys again. Raises ApiError."""
        async for event, item in self._means.client.watch("Site"):
            published = (item.get("status") or {}).get("courier")
            if event in ("ADDED", "MODIFIED") and published != self._means.identity.published():
                await self._publish()

    async def _publish(self) -> None:
        while True:
            try:
                await keys.publish(self._means.client, self._means.identity)
            except Conflict:
                continue  # the site operator wrote in between
            return

    async def _take(self, item: Object) -> None:
        uid = item["metadata"]["uid"]
        match on_object(sitetask.parse(item), followed=uid in self._running):
            case "Observe":
                self._running[uid][0].observe(item)
            case "RemoveFolder":
                await beside(self._means.workspace.task(uid).remove)
            case "Follow":
                runner = TaskRunner(self._means, item)
                task = asyncio.create_task(runner.run(), name=f"task {runner.name}")
                self._running[uid] = (runner, task)
                task.add_done_callback(lambda done: self._ended(uid, done))

    def _ended(self, uid: str, done: asyncio.Task[None]) -> None:
        self._running.pop(uid, None)
        if not done.cancelled() and (failure := done.exception()) is not None:
            # A fault of this program. The next event of the object, or a restart, tries again.
            logger.error("%s broke off", done.get_name(), exc_info=failure)

    async def _drop(self, uid: str) -> None:
        if uid in self._running:
            self._running[uid][0].leave()  # and removes the folder
        else:
            await beside(self._means.workspace.task(uid).remove)

    async def _sweep(self) -> None:
        """After a list, which does not name the tasks that were deleted since the last list."""
        for uid, (runner, _) in list(self._running.items()):
            item = await self._means.client.get_if_exists("SiteTask", runner.name)
            if item is None or item["metadata"]["uid"] != uid:
                await self._drop(uid)
        # Nothing is taken up meanwhile: this is called between two events.
        for uid in await beside(self._means.workspace.remove_all_but, frozenset(self._running)):
            logger.info("removed the folder of task %s, which was deleted", uid)
        self.listed = True


async def for_ever(follow: Callable[[], Awaitable[None]], draw: Draw) -> None:
    """Starts `follow` again after each error of the API server: a courier that exits would lose all transfers under
    way."""
    failures = 0
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            await follow()
        except ApiError as failure:
            failures = failed_in_a_row(failures, loop.time() - started)
            logger.warning("%s; trying again", failure)
            await asyncio.sleep(backoff(failures, draw=draw))


class Process:
    """A courier from its start: first it makes or reads the site's keys, then it follows tasks."""

    def __init__(
        self,
        settings: Settings,
        client: Api,
        *,
        open_store: OpenStore[ports.Store],
        clock: Clock,
        draw: Draw,
    ) -> None:
        self._settings = settings
        self._client = client
        self._open_store = open_store
        self._clock = clock
        self._draw = draw
        self._courier: Courier | None = None

    @property
    def missing(self) -> str:
        """What readiness still waits for."""
        return self._courier.missing if self._courier else "the site's keys"

    async def run(self) -> None:
        """Runs without end. Raises StoreError or SystemExit where only people can help."""
        pins, draw = self._settings.pins, self._draw
        identity = await _identity(self._client, draw)
        async with self._open_store(pins.store_origin, pins.store_ca, pins.proxy_url) as store:
            workspace = Workspace(self._settings.workspace)
            models = ModelsVolume(self._settings.models) if self._settings.models else None
            means = Means(self._client, identity, pins, store, workspace, models, Turn(), self._clock, draw)
            self._courier = courier = Courier(means)
            async with asyncio.TaskGroup() as group:
                group.create_task(for_ever(courier.follow_site, draw))
                group.create_task(for_ever(courier.follow_tasks, draw))


async def run(settings: Settings, client: Client, port: int = PORT) -> None:
    """Runs without end. Raises StoreError or SystemExit where only people can help."""
    open_store = partial(StoreClient, draw=system_draw)
    process = Process(settings, client, open_store=open_store, clock=system_clock, draw=system_draw)
    async with client, health(lambda: process.missing, port):
        await process.run()


async def _identity(client: Api, draw: Draw) -> Identity:
    failures = 0
    while True:
        try:
            return await keys.load_or_create(client)
        except ApiError as failure:
            failures += 1
            logger.warning("the site's keys: %s", failure)
            await asyncio.sleep(backoff(failures, draw=draw))
        except Refused:
            raise SystemExit(
                "The courier cannot start, because the Secret courier-keys does not hold its keys. The hospital's "
                "administrator restores the Secret from a backup. Without a backup, remove the data of the Secret: "
                "the courier then makes new keys, and the hub's administrator has to approve them."
            ) from None


def main(argv: Sequence[str]) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    run_until_terminated(run(Settings.from_environment(), Client.in_cluster(draw=system_draw)))
    return 0
