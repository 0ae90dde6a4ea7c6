"""Plays a pod's containers without Kubernetes: the mounts of its Job as links, its environment, our own programs.

What a container may see and where comes from its Job alone, and so from the table of mounts. One runs at a time, in
this process. There is no network to be closed: the gate asks what the Job names, and no neighbours.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wardround.__main__ import VERBS
from wardround.manifests.training import OUR_COMMAND
from wardround.network import addresses
from wardround.pod import gate
from wardround.ports import Object
from wardround.wire import mounts

NOWHERE = Path("/no-such-folder")


@dataclass(frozen=True)
class Container:
    """`root` is its file system as far as it has mounts; `words` its command and arguments."""

    job: Object
    name: str
    image: str
    words: Sequence[str]
    environment: Mapping[str, str]
    root: Path

    @classmethod
    def make(cls, job: Object, spec: Object, root: Path, volume: Callable[[str], Path]) -> Container:
        """With its mounts in place. `volume`: the folder of a volume, by name. An image's own folders are not there."""
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
        """Below which its code finds what the training contract names."""
        return self.root / mounts.ROOT.lstrip("/")

    @property
    def command(self) -> list[str]:
        """Without the launcher: there is none outside our image."""
        words = list(self.words)
        return words[words.index("--") + 1 :] if "--" in words else words

    @property
    def variables(self) -> dict[str, str]:
        """Its environment, with where its folders are here."""
        places = {"WARDROUND_ROOT": str(self.folder), "WARDROUND_TERMINATION_LOG": str(self.termination_log)}
        return {**self.environment, **places}

    @property
    def ours(self) -> str:
        """Our own verb that it runs, or nothing."""
        *command, verb = self.command
        return verb if tuple(command) == OUR_COMMAND else ""

    @property
    def termination_log(self) -> Path:
        return self.root / "termination-log"

    @property
    def message(self) -> str:
        return self.termination_log.read_text("utf-8") if self.termination_log.exists() else ""


def run_ours(container: Container) -> int:
    """The exit code of our own verb."""
    with inside(container):
        return int(importlib.import_module(VERBS[container.ours]).main([]))


@contextlib.contextmanager
def inside(container: Container) -> Iterator[None]:
    """What this process takes for its own is the container's, until it ends."""
    before, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    links = addresses.INTERFACES, addresses.SETTINGS, gate.PAUSE_SECONDS
    os.environ.update(container.variables)
    addresses.INTERFACES = addresses.SETTINGS = NOWHERE
    gate.PAUSE_SECONDS = 0.0
    try:
        yield
    finally:
        addresses.INTERFACES, addresses.SETTINGS, gate.PAUSE_SECONDS = links
        signal.signal(signal.SIGTERM, handler)
        os.environ.clear()
        os.environ.update(before)
