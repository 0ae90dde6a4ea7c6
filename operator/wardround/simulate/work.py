"""What a hospital of the simulation does with a task: decides about it, runs its pod, and sends the update.

It uses the site's own decisions, Job and containers. There is no API server and no hub connection.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from wardround.api import conditions
from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.api.sitetask import SiteTask, SiteTaskSpec
from wardround.api.task import Failure, TaskSpec, Upload
from wardround.clock import RandomBytes
from wardround.courier.workspace import Workspace
from wardround.manifests import training
from wardround.plans.assignment import Terms, base_digest, decide
from wardround.plans.sitetask import failure as failures
from wardround.plans.sitetask.job import training_job
from wardround.plans.sitetask.types import Control, ObservedDataset
from wardround.sealing import untrusted
from wardround.simulate.courier import Courier
from wardround.simulate.hospital import NAMESPACE, Hospital
from wardround.simulate.pod import Ended, Watch, as_pod, run_pod
from wardround.simulate.repeats import STATE, WORKSPACE
from wardround.simulate.store import MemoryStore
from wardround.simulate.trainers import Trainer
from wardround.simulate.wait import wait_for
from wardround.wire.assignment import Assignment
from wardround.wire.isolation import LEAST_SECONDS, IsolationTarget
from wardround.wire.outcome import Outcome
from wardround.wire.training import LiveRounds

OPERATOR_IMAGE = "simulation.invalid/operator@sha256:" + "0" * 64
# `prepare` proves that the network is closed. Here it is open, but nothing listens on this port.
CLOSED = Control((IsolationTarget("nobody", "127.0.0.1", 1, "TCP"),), proven=True, seconds=LEAST_SECONDS)
# The simulation removes the claims at its end, so no pod removes folders of earlier rounds.
LIVE = LiveRounds((), (), "1970-01-01T00:00:00Z")
# Lines of a training program's output that a message about its failure shows.
LAST_LINES = 12


@dataclass(frozen=True)
class Means:
    """What all hospitals of one simulation share. `least_cell`: the least `min_cell` that the hub accepts."""

    store: MemoryStore
    trainer: Trainer
    watch: Watch
    least_cell: int
    random_bytes: RandomBytes


@dataclass(frozen=True)
class SimulatedTask:
    """What a hospital made of a task. `status`: of its RoundTask. `explanation`: why it failed, for the person who runs
    the simulation; a hub does not get it. `outcomes`: reports of our own containers, by verb."""

    status: RoundTaskStatus
    explanation: str = ""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """What comes with a task. `max_samples`: what the hospital may claim. `grant`: gets what the courier reports
    of a ciphertext, and returns the task's spec with grants for it."""

    max_samples: int | None
    grant: Callable[[Upload], TaskSpec]
    means: Means
    now: datetime


@dataclass(frozen=True)
class Workplace:
    """`data`: the folder that stands for the claim of the hospital's Datasets. `claims`: the folder of its other
    claims."""

    hospital: Hospital
    data: Path
    claims: Path

    def work(self, task: RoundTask, order: Order) -> SimulatedTask:
        """Do the whole task: decide about it, fetch the base, run the pod, seal and send the update."""
        acceptance = decide(self.hospital.received(task.spec, order.now), self._terms(task))
        assignment = acceptance.assignment
        if acceptance.outcome != "Accepted" or assignment is None:
            refused = _set((), "Accepted", False, acceptance.reason, order.now)
            return SimulatedTask(RoundTaskStatus(conditions=refused), acceptance.message)
        uid = task.metadata.uid
        folder, pod = Workspace(self.claims / WORKSPACE).task(uid), self.claims / "pods" / uid
        courier = Courier(self.hospital.identity, assignment, folder)
        folder.make()
        try:
            hub_key = untrusted.decode(task.spec.hub_key, "HubNotPinned")
            wait_for(courier.fetch(self.hospital.grants(task.spec), hub_key, order.means.store))
            return self._train(task, courier, pod, order)
        finally:
            folder.remove()
            shutil.rmtree(pod, ignore_errors=True)

    def _train(self, task: RoundTask, courier: Courier, pod: Path, order: Order) -> SimulatedTask:
        assignment = courier.assignment
        job = self._job(task, assignment, order.max_samples)
        volumes = {"dataset": self.data, "workspace": self.claims / WORKSPACE, "state": self.claims / STATE}
        ended = run_pod(job, volumes, pod, order.means.trainer, order.means.watch)
        outcomes = {each.verb: each.step.report for each in ended if each.container.ours and each.step.report}
        accepted = _set((), "Accepted", True, "Accepted", order.now)
        if failure := _failure(job, assignment, ended, order.now):
            failed = _set(accepted, "Failed", True, failure.reason, order.now)
            status = RoundTaskStatus(conditions=failed, failure=replace(failure, message=None))
            return SimulatedTask(status, _explained(failure, ended[-1]), outcomes)
        sealed = wait_for(courier.seal(base_digest(assignment, task.spec.hub_key)))
        grants = self.hospital.grants(order.grant(sealed.view.upload))
        wait_for(courier.send(sealed, grants, order.means.store))
        sent = RoundTaskStatus(
            conditions=_set(accepted, "Sent", True, "Sent", order.now),
            upload=sealed.view.upload,
            update=sealed.view.update,
        )
        return SimulatedTask(sent, outcomes=outcomes)

    def _terms(self, task: RoundTask) -> Terms:
        """The simulation hands a task over only once, so there are no earlier tasks to compare it with."""
        hospital = self.hospital
        return Terms(
            participant=hospital.name,
            task_name=task.metadata.name,
            policy=hospital.site.spec.policy,
            schemas={name: hospital.schema(name) for name in hospital.datasets},
            taken=0,
            accepted=(),
            approved=False,
        )

    def _job(self, task: RoundTask, assignment: Assignment, max_samples: int | None) -> Mapping[str, Any]:
        metadata = Meta(name=task.metadata.name, namespace=NAMESPACE, uid=task.metadata.uid)
        spec = SiteTaskSpec.copied(task.spec, task.metadata.uid)
        hospital, name = self.hospital, assignment.dataset_name
        return training.build(
            training_job(
                hospital.site,
                SiteTask(metadata=metadata, spec=spec),
                assignment,
                ObservedDataset(spec=hospital.datasets[name], schema=hospital.schema(name)),
                control=CLOSED,
                max_samples=max_samples,
                live=LIVE,
                operator_image=OPERATOR_IMAGE,
            )
        )


def _failure(job: Mapping[str, Any], assignment: Assignment, ended: tuple[Ended, ...], now: datetime) -> Failure | None:
    pod = as_pod(job["metadata"]["name"], NAMESPACE, ended)
    ours = frozenset(each.container.name for each in ended if each.container.ours)
    return failures.failure(None, pod, ours=ours, train_seconds=assignment.train_seconds, now=now)


def _explained(failure: Failure, last: Ended) -> str:
    """Our own containers say why they fail. Of a training program, there is the exit code and what it printed."""
    if last.container.ours:
        return f"{last.verb}: {failure.reason}: {failure.message}"
    lines = last.output.rstrip().splitlines()[-LAST_LINES:]
    return "\n    ".join([f"{last.verb}: {failure.reason}: exit code {last.exit_code}", *lines])


def _set(before: Conditions, kind: str, status: bool, reason: str, now: datetime) -> Conditions:
    return conditions.set_condition(before, kind, status, reason, now=now, generation=1)
