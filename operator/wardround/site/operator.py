"""The site operator's process: watches two API servers, works off keys, beats the heart; wiring only."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial

from wardround.clock import Clock, Draw, system_clock, system_draw
from wardround.kube.client import Client
from wardround.kube.controller import Key, Manager, Source
from wardround.kube.errors import ApiError
from wardround.kube.events import Reporter
from wardround.kube.health import PORT, health
from wardround.kube.lease import heartbeat
from wardround.kube.operator import Watcher
from wardround.kube.process import run_until_terminated
from wardround.kube.queue import WorkQueue
from wardround.ports import Api, Object, Watch
from wardround.site.approvals import ApprovalReconciler
from wardround.site.context import TaskContext
from wardround.site.control import Controls, TakesControl
from wardround.site.controllers import (
    ApprovalController,
    DataSchemaController,
    DatasetController,
    SiteController,
    TaskController,
    site_key,
    task_key,
)
from wardround.site.held import HeldTasks
from wardround.site.link import Connect, HubLink, connect
from wardround.site.predictions import PredictionController, PredictionReconciler
from wardround.site.readings import DatasetReconciler
from wardround.site.reconcile import TaskReconciler
from wardround.site.site_object import SiteReconciler

HEARTBEAT_SECONDS = 10.0
LEASE = "site"
CONTROLLER = "wardround.io/site-operator"


class SiteOperator:
    """Two queues: tasks, and the site's own objects; one worker each, so that no two plans see the same free place."""

    def __init__(
        self,
        own: Api,
        operator_image: str,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        *,
        watch: Watch,
        connect: Connect,
        controls: TakesControl,
        clock: Clock,
        draw: Draw,
    ) -> None:
        self._own_client = own
        self._watch = watch
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds
        self._tasks: WorkQueue[Key] = WorkQueue(draw=draw)
        self._rest: WorkQueue[Key] = WorkQueue(draw=draw)
        self._hub_changed = asyncio.Event()
        self._link = HubLink(own, self._link_changed, connect)
        self._reporter = Reporter(own, CONTROLLER, os.uname().nodename, clock)
        held = HeldTasks(own, full_changed=self._wake_site)
        self._site = SiteReconciler(
            own,
            self._reporter,
            self._link,
            held,
            wake_task=self._wake_task,
            hub_changed=self._hub_changed.set,
            clock=clock,
        )
        context = TaskContext(
            own=own,
            reporter=self._reporter,
            link=self._link,
            controls=controls,
            operator_image=operator_image,
            clock=clock,
            held=held,
            participant=lambda: self._site.participant,
            wake=self._wake_task,
        )
        datasets = DatasetReconciler(context)
        # The table of the kinds that the site operator looks after, by queue.
        self._managers = (
            Manager(
                (
                    DatasetController(datasets),
                    DataSchemaController(datasets),
                    PredictionController(PredictionReconciler(context)),
                    SiteController(self._site, own.namespace),
                    ApprovalController(ApprovalReconciler(own, self._reporter, held, self._wake_task, clock)),
                ),
                self._rest,
                1,
            ),
            Manager((TaskController(TaskReconciler(context), own.namespace),), self._tasks, 1),
        )
        self._watcher = watch(own, self._kinds(Source.OWN), self._changed, namespaces=(own.namespace,))

    @property
    def missing(self) -> str:
        return self._watcher.missing

    async def run(self) -> None:
        """Runs without end."""
        self._wake_site()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watcher.run(), name="own watch")
                group.create_task(self._follow_hub(), name="hub")
                group.create_task(self._reporter.run(), name="events")
                for manager in self._managers:
                    group.create_task(manager.run())
        finally:
            await self._link.close()

    def _kinds(self, source: Source) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind for each in self._managers for kind in each.kinds(source)))

    def _changed(self, kind: str, item: Object) -> None:
        for manager in self._managers:
            manager.changed(kind, item)

    def _wake_task(self, name: str, /, *, behind: bool = False) -> None:
        self._tasks.add(task_key(self._own_client.namespace, name), behind=behind)

    def _wake_site(self) -> None:
        self._rest.add(site_key(self._own_client.namespace))

    def _link_changed(self) -> None:
        if not self._link.connected:
            self._site.disconnected()
        self._wake_site()

    async def _follow_hub(self) -> None:
        """Watch and heartbeat for the client that there is, anew when there is another."""
        while True:
            await self._hub_changed.wait()
            self._hub_changed.clear()
            client = self._link.client
            if client is None:
                continue
            watcher = self._watch(client, self._kinds(Source.HUB), self._changed, namespaces=(client.namespace,))
            heard = partial(self._heard, client)
            beat = heartbeat(client, LEASE, "site-operator", heard, self._clock, self._heartbeat_seconds)
            running = [asyncio.create_task(each) for each in (watcher.run(), beat, self._hub_changed.wait())]
            try:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in running:
                    task.cancel()
                await asyncio.wait(running)
            for task in done:
                task.result()

    def _heard(self, client: Api, failure: ApiError | None) -> None:
        # The last one at a hub that was left says nothing of the hub that there is now.
        if client is self._link.client:
            self._link.heartbeat(failure)


def real_operator(own: Api, operator_image: str, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> SiteOperator:
    """On real API servers, in real time."""
    return SiteOperator(
        own,
        operator_image,
        heartbeat_seconds,
        watch=partial(Watcher, clock=system_clock, draw=system_draw),
        connect=partial(connect, draw=system_draw),
        controls=Controls(),
        clock=system_clock,
        draw=system_draw,
    )


async def run(own: Client, operator_image: str, port: int = PORT) -> None:
    operator = real_operator(own, operator_image)
    async with own, health(lambda: operator.missing, port):
        await operator.run()


def main(argv: Sequence[str]) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    image = os.environ.get("WARDROUND_OPERATOR_IMAGE", "")
    if "@sha256:" not in image:
        print(
            "The site operator cannot start: the variable WARDROUND_OPERATOR_IMAGE of its pod does not name an "
            "image by digest (repo@sha256:...). The hospital's administrator has to write Wardround's image by "
            "digest into `image` in the values of the site chart, which sets this variable, and to run `helm "
            "upgrade`.",
            file=sys.stderr,
        )
        return 1
    run_until_terminated(run(Client.in_cluster(draw=system_draw), image))
    return 0
