"""What runs in a container of a simulated pod: our own verbs and training images, in this process, on its folders.

The environment and the folders are the container's; so the code is the very code that the images start. One runs at a
time. There is no network to be closed: the gate asks a port of this machine that is closed, and no neighbours.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wardround.__main__ import VERBS
from wardround.aggregate import main as aggregate
from wardround.aggregate import plan as aggregation_plan
from wardround.clock import Clock
from wardround.manifests.training import OUR_COMMAND
from wardround.network import addresses
from wardround.pod import gate
from wardround.ports import Object, OpenStore

NOWHERE = Path("/no-such-folder")
# A training image: told its verb, it works on the folders below WARDROUND_ROOT and returns its exit code.
Image = Callable[[str], int]
OWN_IMAGE = Path(__file__).parents[2] / "examples" / "own-image" / "trainer.py"


@dataclass(frozen=True)
class Container:
    """`root` is its file system as far as it has mounts; `words` its command and arguments."""

    job: Object
    name: str
    image: str
    words: Sequence[str]
    environment: Mapping[str, str]
    root: Path

    @property
    def termination_log(self) -> Path:
        return self.root / "termination-log"

    @property
    def message(self) -> str:
        return self.termination_log.read_text("utf-8") if self.termination_log.exists() else ""


@dataclass(frozen=True)
class Programs:
    """`images`: training images by reference. What a container prints is lost, as its pod is."""

    images: Mapping[str, Image]
    open_store: OpenStore
    clock: Clock

    async def run(self, container: Container) -> int:
        """The exit code."""
        words = list(container.words)
        if "--" in words:  # behind the launcher
            words = words[words.index("--") + 1 :]
        if words == ["aggregate"]:
            return await self._aggregate(container)
        told = io.StringIO()
        with _inside(container), contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            if tuple(words[:-1]) == OUR_COMMAND:
                return int(importlib.import_module(VERBS[words[-1]]).main([]))
            return self.images[container.image](words[-1])

    async def _aggregate(self, container: Container) -> int:
        plan = container.root / str(aggregate.PLAN).lstrip("/")
        answer = await aggregate.carry_out(plan, open_store=self.open_store, clock=self.clock)
        container.termination_log.write_bytes(aggregation_plan.spell(answer))
        with contextlib.redirect_stderr(io.StringIO()):
            return aggregate.end(answer)


@contextlib.contextmanager
def _inside(container: Container) -> Iterator[None]:
    """What this process takes for its own is the container's, until it ends."""
    before, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    found = addresses.INTERFACES, addresses.SETTINGS, gate.PAUSE_SECONDS
    os.environ.update(container.environment)
    os.environ["WARDROUND_ROOT"] = str(container.root / "wardround")
    os.environ["WARDROUND_TERMINATION_LOG"] = str(container.termination_log)
    addresses.INTERFACES = addresses.SETTINGS = NOWHERE
    gate.PAUSE_SECONDS = 0.0
    try:
        yield
    finally:
        addresses.INTERFACES, addresses.SETTINGS, gate.PAUSE_SECONDS = found
        signal.signal(signal.SIGTERM, handler)
        os.environ.clear()
        os.environ.update(before)


def own_image(verb: str) -> int:
    """examples/own-image: numpy alone."""
    arguments = sys.argv
    sys.argv = [str(OWN_IMAGE), verb]
    try:
        runpy.run_path(str(OWN_IMAGE), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.argv = arguments
    return 0


def reference_image(verb: str) -> int:
    """wardround_trainer. Its training needs torch, which only the trainer image has."""
    from wardround_trainer.__main__ import main

    return main([verb])
