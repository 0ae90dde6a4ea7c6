"""A hospital of the simulation: takes a task as a site operator does, runs its pod, and seals its update.

It uses the site's own decisions, Job, containers and courier. There is no API server and no hub connection.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from wardround.api import conditions, names, participant, site
from wardround.api import dataset as dataset_api
from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.api.participant import Participant
from wardround.api.roundtask import RoundTask, RoundTaskStatus
from wardround.api.site import Site
from wardround.api.sitetask import SiteTask, SiteTaskSpec
from wardround.api.task import Failure, Upload
from wardround.clock import RandomBytes
from wardround.courier import fetch, send
from wardround.courier.keys import Identity
from wardround.courier.turn import Turn
from wardround.courier.workspace import TaskFolder, Workspace
from wardround.documents.assignments import fetch as urls
from wardround.documents.assignments import uploads
from wardround.documents.keys import Model
from wardround.manifests import training
from wardround.plans import dataset as dataset_plan
from wardround.plans.assignment import ReceivedAssignment, Terms, base_digest, decide
from wardround.plans.courier.step import inputs
from wardround.plans.courier.types import Fetch, Input
from wardround.plans.site import report as site_report
from wardround.plans.sitetask import failure as failures
from wardround.plans.sitetask.job import training_job
from wardround.plans.sitetask.types import Control, ObservedDataset
from wardround.sealing import untrusted
from wardround.sealing.keys import load_verification_key
from wardround.simulate.errors import SimulationError
from wardround.simulate.pod import Ended, Watch, as_pod, run_pod
from wardround.simulate.repeats import STATE, WORKSPACE
from wardround.simulate.store import ORIGIN, SIGNER, MemoryStore
from wardround.simulate.trainers import Trainer
from wardround.simulate.wait import wait_for
from wardround.wire.assignment import Assignment
from wardround.wire.isolation import LEAST_SECONDS, IsolationTarget
from wardround.wire.outcome import Outcome
from wardround.wire.training import LiveRounds

NAMESPACE = "simulation"
OPERATOR_IMAGE = "simulation.invalid/operator@sha256:" + "0" * 64
# `prepare` proves that the network is closed. Here it is open, but nothing listens on this port.
CLOSED = Control((IsolationTarget("nobody", "127.0.0.1", 1, "TCP"),), proven=True, seconds=LEAST_SECONDS)
# The simulation removes the claims at its end, so no pod removes folders of earlier rounds.
LIVE = LiveRounds((), (), "1970-01-01T00:00:00Z")
URL_SECONDS = 3600
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
    """What comes with a task. `max_samples`: what the hospital may claim. `models`: those that its code reads, the base
    before the references."""

    hub_fingerprint: str
    max_samples: int | None
    models: tuple[Model, ...]
    means: Means
    now: datetime


@dataclass(frozen=True)
class Hospital:
    """`datasets`, `schemas`: specs of its Datasets and DataSchemas by name, unparsed as in the API. `policy`: of its
    Site. `data`: the folder that stands for the claim of its Datasets. `claims`: the folder of its other claims."""

    name: str
    identity: Identity
    datasets: Mapping[str, Mapping[str, Any]]
    schemas: Mapping[str, Mapping[str, Any]]
    policy: Mapping[str, Any]
    labels: Mapping[str, str]
    federations: tuple[str, ...]
    data: Path
    claims: Path

    def site(self, hub_fingerprint: str) -> Site:
        """Its Site, with the keys that its courier publishes."""
        hub = {"participantNamespace": self.name, "fingerprint": hub_fingerprint}
        spec = {"hub": hub, "store": {"origin": ORIGIN}, "policy": self.policy}
        metadata = {"name": "site", "namespace": NAMESPACE}
        return site.parse({"metadata": metadata, "spec": spec, "status": {"courier": self._published}})

    def participant(self, hub_fingerprint: str, now: datetime) -> Participant:
        """Its Participant at the hub: enrolled, approved, with what the site publishes.

        Raises SimulationError for a Dataset that the hospital could not offer.
        """
        offered = [self._dataset(name, spec, now) for name, spec in self.datasets.items()]
        report = site_report.report(self.site(hub_fingerprint), offered)
        spec = {
            "keyFingerprint": self.identity.fingerprint,
            "allowedFederations": [{"namespace": each} for each in self.federations],
        }
        metadata = {"name": self.name, "namespace": self.name, "labels": self.labels}
        return participant.parse({"metadata": metadata, "spec": spec, "status": {"site": report}})

    def work(self, task: RoundTask, order: Order) -> SimulatedTask:
        """Do the whole task: decide about it, fetch the base, run the pod, seal and send the update."""
        own = self.site(order.hub_fingerprint)
        acceptance = decide(self._received(task, order), self._terms(own))
        assignment = acceptance.assignment
        if acceptance.outcome != "Accepted" or assignment is None:
            refused = _set((), "Accepted", False, acceptance.reason, order.now)
            return SimulatedTask(RoundTaskStatus(conditions=refused), acceptance.message)
        uid = task.metadata.uid
        folder, pod = Workspace(self.claims / WORKSPACE).task(uid), self.claims / "pods" / uid
        folder.make()
        try:
            for wanted, model in zip(inputs(assignment), order.models, strict=True):
                self._fetch(task, assignment, wanted, model, folder, order)
            return self._train(own, task, assignment, folder, pod, order)
        finally:
            folder.remove()
            shutil.rmtree(pod, ignore_errors=True)

    def _train(
        self, own: Site, task: RoundTask, assignment: Assignment, folder: TaskFolder, pod: Path, order: Order
    ) -> SimulatedTask:
        job = self._job(own, task, assignment, order.max_samples)
        volumes = {"dataset": self.data, "workspace": self.claims / WORKSPACE, "state": self.claims / STATE}
        ended = run_pod(job, volumes, pod, order.means.trainer, order.means.watch)
        outcomes = {each.verb: each.step.report for each in ended if each.container.ours and each.step.report}
        accepted = _set((), "Accepted", True, "Accepted", order.now)
        if failure := _failure(job, assignment, ended, order.now):
            failed = _set(accepted, "Failed", True, failure.reason, order.now)
            status = RoundTaskStatus(conditions=failed, failure=replace(failure, message=None))
            return SimulatedTask(status, _explained(failure, ended[-1]), outcomes)
        sealed = wait_for(
            send.seal(assignment, folder, self.identity.signing, base_digest(assignment, task.spec.hub_key))
        )
        location = names.update_location(assignment.round_uid, assignment.attempt, self.name)
        puts = uploads(location, sealed.view.bytes, SIGNER, order.now, URL_SECONDS)
        wait_for(send.send(puts, order.means.store, folder))
        sent = RoundTaskStatus(
            conditions=_set(accepted, "Sent", True, "Sent", order.now),
            upload=Upload(bytes=sealed.view.bytes),
            update=sealed.view.update,
        )
        return SimulatedTask(sent, outcomes=outcomes)

    @cached_property
    def _published(self) -> Mapping[str, Any]:
        return self.identity.published()

    def _dataset(self, name: str, spec: Mapping[str, Any], now: datetime) -> dataset_api.Dataset:
        parsed = dataset_api.parse({"metadata": {"name": name}, "spec": spec})
        status = dataset_plan.plan(spec, self._schema(name), parsed.status, None, generation=1, now=now)
        ready = conditions.find(status.conditions, "Ready")
        if ready is not None and ready.status == "False":
            raise SimulationError(f"{self.name}: Dataset {name} is not Ready: {ready.reason}: {ready.message}.")
        return replace(parsed, status=status)

    def _schema(self, dataset: str) -> Mapping[str, Any]:
        """The spec of the DataSchema of a Dataset."""
        return self.schemas[self.datasets[dataset]["schemaName"]]

    def _received(self, task: RoundTask, order: Order) -> ReceivedAssignment:
        return ReceivedAssignment(
            envelope=task.spec.assignment,
            hub_key=task.spec.hub_key,
            hub_fingerprint=order.hub_fingerprint,
            round_ref=task.spec.round_ref,
            attempt=task.spec.attempt,
            site_fingerprint=self._published["fingerprint"],
            now=order.now,
        )

    def _terms(self, own: Site) -> Terms:
        """The simulation hands a task over only once, so there are no earlier tasks to compare it with."""
        return Terms(
            participant=self.name,
            policy=own.spec.policy,
            schemas={name: self._schema(name) for name in self.datasets},
            taken=0,
            accepted=(),
            approved=False,
        )

    def _fetch(
        self,
        task: RoundTask,
        assignment: Assignment,
        wanted: Input,
        model: Model,
        folder: TaskFolder,
        order: Order,
    ) -> None:
        grant = urls(model, SIGNER, order.now, URL_SECONDS)
        step = Fetch(assignment=assignment, grant=grant, input=wanted)
        hub_key = load_verification_key(untrusted.decode(task.spec.hub_key, "HubNotPinned"))

        async def run() -> None:
            await fetch.fetch(
                step,
                hub_key=hub_key,
                key=self.identity.decryption,
                store=order.means.store,
                turn=Turn(),
                folder=folder,
            )

        wait_for(run())

    def _job(self, own: Site, task: RoundTask, assignment: Assignment, max_samples: int | None) -> Mapping[str, Any]:
        metadata = Meta(name=task.metadata.name, namespace=NAMESPACE, uid=task.metadata.uid)
        spec = SiteTaskSpec.copied(task.spec, task.metadata.uid)
        name = assignment.dataset_name
        return training.build(
            training_job(
                own,
                SiteTask(metadata=metadata, spec=spec),
                assignment,
                ObservedDataset(spec=self.datasets[name], schema=self._schema(name)),
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
