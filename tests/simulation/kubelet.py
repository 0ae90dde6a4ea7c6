"""The Job controller and the kubelet of a cluster in memory: makes a Job's pod, runs its containers here, tells status.

Mounts are folders of the machine, by links. A container is a program of this process (see `programs`); its time passes
while it runs, and it sees what its volumeMounts say. One pod a Job: none is evicted, none is made a second time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.players.pods import container_status, pod_of, terminated
from tests.simulation.apiserver import Follower, Place, Server
from tests.simulation.programs import Programs
from wardround.api.times import to_seconds
from wardround.kube.errors import NotFound
from wardround.ports import Object
from wardround.simulate.containers import Container

logger = logging.getLogger(__name__)
# Virtual seconds that a container takes to start, and to run.
START_SECONDS, RUN_SECONDS = 0.5, 1.0
# Told of a pod that is over, before its containers are gone.
GONE_SECONDS = 0.5
Watched = Callable[[Container], None]


@dataclass(frozen=True)
class Node:
    """One cluster's only node. `claims`: folder of the volumes, by namespace and claim. `watched` sees each container
    that has ended, and its files, before they are gone."""

    server: Server
    claims: Path
    pods: Path
    programs: Programs
    watched: Watched = lambda _: None

    async def run(self) -> None:
        """For ever."""
        running: dict[str, asyncio.Task[None]] = {}
        jobs = Follower("Job", None, "", "")
        self.server.follow(jobs)
        async with asyncio.TaskGroup() as group:
            while True:
                await jobs.events.get()
                live = {job["metadata"]["uid"]: job for job in self.server.select("Job", None)}
                for uid in running.keys() - live.keys():
                    running.pop(uid).cancel()
                for uid in live.keys() - running.keys():
                    running[uid] = group.create_task(self._run(live[uid]))

    async def _run(self, job: Object) -> None:
        """Runs a Job to its end. A user who deletes the Job stops it."""
        pod = Pod(self.server, job, self.pods / job["metadata"]["uid"])
        place = Place("Job", job["metadata"]["namespace"], job["metadata"]["name"])
        try:
            pod.create()
            succeeded = await self._containers(pod)
            await asyncio.sleep(GONE_SECONDS)
            self._end(place, succeeded)
        except NotFound:
            logger.info("%s was deleted", place)
            return
        finally:
            shutil.rmtree(pod.folder, ignore_errors=True)
        if (seconds := job["spec"].get("ttlSecondsAfterFinished")) is not None:
            await asyncio.sleep(seconds)
            with contextlib.suppress(NotFound):
                self.server.remove(place, uid=job["metadata"]["uid"])

    async def _containers(self, pod: Pod) -> bool:
        """Whether all ended well. One after the other: the last list has one container too."""
        spec = pod.spec
        for kind, each in [*(("init", each) for each in spec.get("initContainers", ())), ("", spec["containers"][0])]:
            await asyncio.sleep(START_SECONDS)
            pod.tell(kind, each["name"], {"running": {"startedAt": to_seconds(self.server.clock())}})
            if each.get("restartPolicy") == "Always":
                continue  # a sidecar runs beside the others
            container = self._container(pod, each)
            started = self.server.clock()
            await asyncio.sleep(RUN_SECONDS)
            code = await self.programs.run(container)
            self.watched(container)
            times = to_seconds(started), to_seconds(self.server.clock())
            ended = terminated(code, container.message, *times)
            last = code != 0 or not kind
            pod.tell(kind, each["name"], ended, "Running" if not last else "Failed" if code else "Succeeded")
            if code != 0:
                return False
        return True

    def _container(self, pod: Pod, spec: Object) -> Container:
        volumes = {each["name"]: each for each in pod.spec["volumes"]}
        root = pod.folder / "containers" / spec["name"]
        return Container.make(pod.job, spec, root, lambda name: self._volume(pod, volumes[name]))

    def _volume(self, pod: Pod, volume: Object) -> Path:
        if claim := volume.get("persistentVolumeClaim"):
            return self.claims / str(pod.namespace) / str(claim["claimName"])
        folder = pod.folder / "volumes" / str(volume["name"])
        if (secret := volume.get("secret")) and not folder.exists():
            folder.mkdir(parents=True)
            item = self.server.read(Place("Secret", pod.namespace, secret["secretName"]))
            for name, value in item.get("data", {}).items():
                (folder / name).write_bytes(base64.b64decode(value))
        return folder

    def _end(self, place: Place, succeeded: bool) -> None:
        now = to_seconds(self.server.clock())
        kind, count = ("Complete", "succeeded") if succeeded else ("Failed", "failed")
        reason = {} if succeeded else {"reason": "BackoffLimitExceeded"}
        condition = {"type": kind, "status": "True", "lastTransitionTime": now, **reason}
        self.server.change(place, {"status": {"conditions": [condition], count: 1}}, subresource="status")


class Pod:
    """A Job's pod, as it stands at the API server."""

    def __init__(self, server: Server, job: Object, folder: Path) -> None:
        self.job = job
        self.folder = folder
        self._server = server
        self._taken = ""
        self._statuses: dict[str, dict[str, Any]] = {"init": {}, "": {}}

    @property
    def namespace(self) -> str:
        return str(self.job["metadata"]["namespace"])

    @property
    def spec(self) -> Object:
        spec: Object = self.job["spec"]["template"]["spec"]
        return spec

    @property
    def _place(self) -> Place:
        # Another Job of this name may come before the pod of the first one is gone.
        meta = self.job["metadata"]
        return Place("Pod", self.namespace, f"{meta['name']}-{meta['uid'].rpartition('-')[2]}")

    def create(self) -> None:
        self._server.create(pod_of(self.job, self._place.name))
        self._taken = to_seconds(self._server.clock())

    def tell(self, kind: str, name: str, state: Object, phase: str = "Running") -> None:
        """A container's state. `kind`: init, or nothing for the pod's last."""
        self._statuses[kind][name] = container_status(name, state)
        lists = {"initContainerStatuses": self._statuses["init"], "containerStatuses": self._statuses[""]}
        states = {key: list(each.values()) for key, each in lists.items() if each}
        status = {"phase": phase, "startTime": self._taken, **states}
        self._server.change(self._place, {"status": status}, subresource="status")
