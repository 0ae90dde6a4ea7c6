"""What runs in a container of a simulated pod: our own verbs and training images, in this process, on its folders."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.players.containers import Container, inside, run_ours
from wardround.aggregate import main as aggregate
from wardround.aggregate import plan as aggregation_plan
from wardround.clock import Clock
from wardround.ports import OpenStore

# A training image: told its verb, it works on the folders below WARDROUND_ROOT and returns its exit code.
Image = Callable[[str], int]
OWN_IMAGE = Path(__file__).parents[2] / "examples" / "own-image" / "trainer.py"


@dataclass(frozen=True)
class Programs:
    """`images`: training images by reference. What a container prints is lost, as its pod is."""

    images: Mapping[str, Image]
    open_store: OpenStore
    clock: Clock

    async def run(self, container: Container) -> int:
        """The exit code."""
        if container.command == ["aggregate"]:
            return await self._aggregate(container)
        told = io.StringIO()
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            if container.ours:
                return run_ours(container)
            with inside(container):
                return self.images[container.image](container.command[-1])

    async def _aggregate(self, container: Container) -> int:
        plan = container.root / str(aggregate.PLAN).lstrip("/")
        answer = await aggregate.carry_out(plan, open_store=self.open_store, clock=self.clock)
        container.termination_log.write_bytes(aggregation_plan.spell(answer))
        with contextlib.redirect_stderr(io.StringIO()):
            return aggregate.end(answer)


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
