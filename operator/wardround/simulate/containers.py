"""Runs the containers of a training Job without Kubernetes: mounts become links, and our verbs run in this process.

The Job alone decides what a container finds and where, and the table of mounts decides that for the Job. One container
runs at a time. The network stays open: the gate probes the Job's targets, and no neighbours.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wardround.__main__ import VERBS
from wardround.manifests.closed import OUR_COMMAND
from wardround.network import addresses
from wardround.pod import gate
from wardround.ports import Object
from wardround.wire import mounts

NOWHERE = Path("/no-such-folder")


@dataclass(frozen=True)
class Container:
    """One container of a Job's pod. `root`: the folder that stands for its root file system. `words`: its command and
    arguments."""

    job: Object
    name: str
    image: str
    words: Sequence[str]
    environment: Mapping[str, str]
    root: Path

    @classmethod
    def make(cls, job: Object, spec: Object, root: Path, volume: Callable[[str], Path]) -> Container:
        """Link the container's mounts below `root`. `volume`: the folder of a volume, by name. The image's own files
        are not there."""
        for mount in spec.get("volumeMounts", ()):
            source = volume(mount["name"]) / mount.get("subPath", "")
            source.mkdir(parents=True, exist_ok=True)
            target = root / mount["mountPath"].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source, target_is_directory=True)
        environment = {each["name"]: each["value"].replace("$$", "$") for each in spec.get("env", ())}
        words = [*spec.get("command", ()), *spec.get("args", ())]
        made = cls(job, spec["name"], spec["image"], words, environment, root)
        made.folder.mkdir(parents=True, exist_ok=True)
        return made

    @property
    def folder(self) -> Path:
        """The folder that stands for `/wardround`, the root of the training contract."""
        return self.root / mounts.ROOT.lstrip("/")

    @property
    def command(self) -> list[str]:
        """The command without the launcher, which only our image has."""
        words = list(self.words)
        return words[words.index("--") + 1 :] if "--" in words else words

    @property
    def variables(self) -> dict[str, str]:
        """The container's environment, and the variables that say where its folders are on this machine."""
        places = {"WARDROUND_ROOT": str(self.folder), "WARDROUND_TERMINATION_LOG": str(self.termination_log)}
        return {**self.environment, **places}

    @property
    def ours(self) -> str:
        """The verb of our own image that the container runs; empty for a training image."""
        *command, verb = self.command
        return verb if tuple(command) == OUR_COMMAND else ""

    @property
    def termination_log(self) -> Path:
        return self.root / "termination-log"

    @property
    def message(self) -> str:
        """The termination message; empty without one."""
        return self.termination_log.read_text("utf-8") if self.termination_log.exists() else ""


def run_ours(container: Container) -> int:
    """Run our own verb in this process, and return its exit code."""
    with inside(container):
        return int(importlib.import_module(VERBS[container.ours]).main([]))


@contextlib.contextmanager
def inside(container: Container) -> Iterator[None]:
    """Give this process the container's environment, and restore its own at the end."""
    environment, sigterm = dict(os.environ), signal.getsignal(signal.SIGTERM)
    settings = addresses.INTERFACES, addresses.SETTINGS, gate.PAUSE_SECONDS
    os.environ.update(container.variables)
    addresses.INTERFACES = addresses.SETTINGS = NOWHERE
    gate.PAUSE_SECONDS = 0.0
    try:
        yield
    finally:
        addresses.INTERFACES, addresses.SETTINGS, gate.PAUSE_SECONDS = settings
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, sigterm)
        os.environ.clear()
        os.environ.update(environment)
