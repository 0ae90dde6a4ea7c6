"""What runs in a container of a simulated pod: our own verbs and training images, in this process, on its folders."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wardround.aggregate import main as aggregate
from wardround.aggregate import plan as aggregation_plan
from wardround.clock import Clock
from wardround.ports import OpenStore, Store
from wardround.simulate import pod
from wardround.simulate.containers import Container
from wardround.simulate.trainers import Trainer, script

OWN_IMAGE = Path(__file__).parents[2] / "examples" / "own-image" / "trainer.py"
# examples/own-image: numpy alone.
own_image = script(OWN_IMAGE)


@dataclass(frozen=True)
class Programs:
    """`images`: training images by reference. What a container prints is lost, as its pod is."""

    images: Mapping[str, Trainer]
    open_store: OpenStore[Store]
    clock: Clock

    async def run(self, container: Container) -> int:
        """The exit code."""
        if container.command == ["aggregate"]:
            return await self._aggregate(container)
        return pod.run(container, self.images.get(container.image, _no_program)).exit_code

    async def _aggregate(self, container: Container) -> int:
        plan = container.root / str(aggregate.PLAN).lstrip("/")
        scratch = container.root / str(aggregate.SCRATCH).lstrip("/")
        answer = await aggregate.carry_out(plan, scratch, open_store=self.open_store, clock=self.clock)
        container.termination_log.write_bytes(aggregation_plan.spell(answer))
        with contextlib.redirect_stderr(io.StringIO()):
            return aggregate.end(answer)


def _no_program(verb: str) -> int:
    """Only our own image runs in a container whose image is not in `images`."""
    raise KeyError(verb)
