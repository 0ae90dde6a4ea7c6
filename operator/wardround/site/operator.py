"""The site operator's process: watches two API servers, works off keys, beats the heart; wiring only."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial

from wardround.api.names import ROLE, ROLE_TRAINING, SITE
from wardround.clock import Clock, Draw, system_clock, system_draw
from wardround.kube.client import Client
from wardround.kube.errors import ApiError
from wardround.kube.events import Reporter
from wardround.kube.health import PORT, health
from wardround.kube.lease import heartbeat
from wardround.kube.operator import Watcher
from wardround.kube.process import run_until_terminated
from wardround.kube.queue import WorkQueue
from wardround.ports import Api, Object, Watch
from wardround.site.context import Context
from wardround.site.control import Controls, TakesControl
from wardround.site.held import HeldTasks
from wardround.site.link import Connect, HubLink, connect
from wardround.site.own import SiteReconciler
from wardround.site.reconcile import TaskReconciler

JOB_NAME = "batch.kubernetes.io/job-name"
HEARTBEAT_SECONDS = 10.0
LEASE = "site"
CONTROLLER = "wardround.io/site-operator"
Key = tuple[str, str]  # kind (Site, Dataset), name


class Operator:
    """Two queues: tasks, and the site's own objects; one worker each, so that no two plans see the same free place."""

    def __init__(
        self,
        own: Api,
        operator_image: str,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        *,
        watch: Watch = Watcher,
        connect: Connect = connect,
        controls: TakesControl | None = None,
        clock: Clock = system_clock,
        draw: Draw = system_draw,
    ) -> None:
        self._own_client = own
        self._watch = watch
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds
        self._tasks: WorkQueue[str] = WorkQueue(draw=draw)
        self._rest: WorkQueue[Key] = WorkQueue(draw=draw)
        self._hub_changed = asyncio.Event()
        self._link = HubLink(own, self._link_changed, connect)
        self._reporter = Reporter(own, CONTROLLER, os.uname().nodename, clock)
        held = HeldTasks(own, full_changed=lambda: self._rest.add(("Site", SITE)))
        self._site = SiteReconciler(
            own,
            self._reporter,
            self._link,
            held,
            wake_task=self._tasks.add,
            hub_changed=self._hub_changed.set,
            clock=clock,
        )
        self._reconciler = TaskReconciler(
            Context(
                own,
                self._reporter,
                self._link,
                held,
                controls or Controls(),
                operator_image=operator_image,
                participant=lambda: self._site.participant,
                wake=self._tasks.add,
                clock=clock,
            )
        )
        self._watcher = watch(
            own, ("Site", "SiteTask", "Dataset", "Job", "Pod"), self._seen, namespaces=(own.namespace,)
        )

    @property
    def missing(self) -> str:
        return self._watcher.missing

    async def run(self) -> None:
        """For ever."""
        self._rest.add(("Site", SITE))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watcher.run(), name="own watch")
                group.create_task(self._follow_hub(), name="hub")
                group.create_task(self._reporter.run(), name="events")
                group.create_task(self._tasks.work(self._reconciler.reconcile), name="tasks")
                group.create_task(self._rest.work(self._reconcile), name="site and datasets")
        finally:
            await self._link.close()

    async def _reconcile(self, key: Key) -> float | None:
        kind, name = key
        if kind == "Site":
            return await self._site.reconcile()
        await self._site.reconcile_dataset(name)
        return None

    def _seen(self, kind: str, item: Object) -> None:
        meta = item["metadata"]
        labels = meta.get("labels") or {}
        match kind:
            case "Site":
                self._rest.add(("Site", SITE))
            case "Dataset":
                self._rest.add(("Dataset", meta["name"]))
                self._rest.add(("Site", SITE))
            case "SiteTask" | "RoundTask":
                self._tasks.add(meta["name"], behind=_is_over(item))
            case "Participant":
                self._rest.add(("Site", SITE))
            case "Job" if labels.get(ROLE) == ROLE_TRAINING:
                self._tasks.add(meta["name"])
            case "Pod" if labels.get(ROLE) == ROLE_TRAINING and JOB_NAME in labels:
                self._tasks.add(labels[JOB_NAME])

    def _link_changed(self) -> None:
        if not self._link.connected:
            self._site.disconnected()
        self._rest.add(("Site", SITE))

    async def _follow_hub(self) -> None:
        """Watch and heartbeat for the client that there is, anew when there is another."""
        while True:
            await self._hub_changed.wait()
            self._hub_changed.clear()
            client = self._link.client
            if client is None:
                continue
            watcher = self._watch(client, ("RoundTask", "Participant"), self._seen, namespaces=(client.namespace,))
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


def _is_over(item: Object) -> bool:
    """Whether a task has ended: what is left to do about it keeps no other task waiting."""
    found = (item.get("status") or {}).get("conditions") or ()
    return any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in found)


async def run(own: Client, operator_image: str, port: int = PORT) -> None:
    operator = Operator(own, operator_image)
    async with own, health(lambda: operator.missing, port):
        await operator.run()


def main(argv: Sequence[str]) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    image = os.environ.get("WARDROUND_OPERATOR_IMAGE", "")
    if "@sha256:" not in image:
        print("WARDROUND_OPERATOR_IMAGE must name our own image as repo@sha256:...", file=sys.stderr)
        return 1
    run_until_terminated(run(Client.in_cluster(), image))
    return 0
