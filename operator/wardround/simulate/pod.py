"""Runs the pod of a training Job in this process, container by container. Decides nothing about the task."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardround.plans.pod import Pod, Step
from wardround.simulate.containers import Container, inside, run_ours
from wardround.simulate.trainers import Trainer
from wardround.wire import outcome
from wardround.wire.mounts import REFERENCES

# The volumes of a pod that end with it.
OWN_VOLUMES = ("memory", "initial", "out", "scratch", *REFERENCES)


@dataclass(frozen=True)
class Ended:
    """A container that has ended. `output`: what it printed, which a real hospital keeps to itself."""

    container: Container
    exit_code: int
    output: str

    @property
    def verb(self) -> str:
        return self.container.command[-1]

    @property
    def step(self) -> Step:
        """The container as the site operator reads it from the pod's status."""
        report = outcome.read(self.container.message)
        return Step(name=self.container.name, exit_code=self.exit_code, report=report)


# Sees each container at its end, when its files are still there.
Watch = Callable[[Ended], None]


def run(container: Container, trainer: Trainer) -> Ended:
    """Run our own verb, or the trainer, as the container's program."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        if container.ours:
            code = run_ours(container)
        else:
            with inside(container):
                code = trainer(container.command[-1])
    return Ended(container, code, output.getvalue())


def run_pod(
    job: Mapping[str, Any], claims: Mapping[str, Path], folder: Path, trainer: Trainer, watch: Watch
) -> tuple[Ended, ...]:
    """Run the containers in order, until one fails. `claims`: folders of the volumes that outlive the pod, by name.
    `folder`: an empty folder for the others."""
    spec = job["spec"]["template"]["spec"]
    volumes = {**{name: folder / "volumes" / name for name in OWN_VOLUMES}, **claims}
    ended: list[Ended] = []
    for each in (*spec["initContainers"], *spec["containers"]):
        if each.get("restartPolicy") == "Always":
            continue  # the sidecar probes the network during training; here the network is open
        container = Container.make(dict(job), each, folder / "containers" / each["name"], volumes.__getitem__)
        ended.append(run(container, trainer))
        watch(ended[-1])
        if ended[-1].exit_code != 0:
            break
    return tuple(ended)


def as_pod(name: str, namespace: str, ended: tuple[Ended, ...]) -> Pod:
    """The pod as the site operator reads it once it has ended."""
    return Pod(
        name=name,
        namespace=namespace,
        phase="Failed" if ended[-1].exit_code else "Succeeded",
        reason="",
        disrupted=False,
        unschedulable="",
        steps={each.container.name: each.step for each in ended},
    )
