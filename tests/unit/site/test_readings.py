"""A Dataset's reading: the site operator takes no pod of an earlier Job for the pod of the Job that runs."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.players.hub import DATASET
from tests.simulation.apiserver import Place, Server
from tests.simulation.client import Client
from tests.simulation.virtual import VirtualLoop, play
from tests.worlds.site import FINGERPRINT, SCHEMA
from wardround.api import names
from wardround.clock import system_draw
from wardround.kube.events import Reporter
from wardround.plans.sitetask.types import Control
from wardround.ports import Object
from wardround.site.context import PodContext
from wardround.site.link import HubLink, connect
from wardround.site.readings import DatasetReconciler

HERE = "hospital-a"
V1 = "wardround.io/v1alpha1"
IMAGE = "registry.example/wardround/operator@sha256:" + "a" * 64
MISSING = {"reason": "ColumnMissing", "class": "Site", "message": "the data has no column radius"}


class Proven:
    async def take(self, **_: object) -> Control:
        return Control((), proven=True, seconds=0.25)


class World:
    """The reconciler in front of an API server in memory. The hub is away."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.server = Server("https://site.example", loop.clock)
        token = self.server.token("site-operator", 1e6)
        own = Client(self.server, lambda: token, HERE, lambda: 0.001)
        link = HubLink(own, lambda: None, partial(connect, draw=system_draw))
        reporter = Reporter(own, "x/y", "test", loop.clock)
        self.reconciler = DatasetReconciler(
            PodContext(
                own=own,
                reporter=reporter,
                link=link,
                controls=Proven(),
                operator_image=IMAGE,
                clock=loop.clock,
            )
        )
        self._create("v1", "Namespace", HERE, namespace="")
        policy = {"datasets": [{"name": "breast", "federations": ["breast-cancer"]}]}
        hub = {"participantNamespace": "site-a", "fingerprint": FINGERPRINT}
        self._create(
            V1,
            "Site",
            names.SITE,
            spec={"hub": hub, "store": {"origin": "https://store"}, "policy": policy, "workload": {}},
        )
        self._create(V1, "DataSchema", DATASET["schemaName"], spec=SCHEMA)
        self._create(V1, "Dataset", "breast", spec=DATASET)

    @property
    def dataset(self) -> Object:
        return self.server.read(Place("Dataset", HERE, "breast"))

    @property
    def jobs(self) -> list[Object]:
        return list(self.server.select("Job", HERE))

    def ends(self, job: Object, outcome: Object) -> None:
        """The pod of a Job is over."""
        metadata = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        labels = job["spec"]["template"]["metadata"]["labels"]
        self._create("v1", "Pod", f"pod-{metadata['uid']}", spec={}, labels=labels, ownerReferences=[owner])
        state = {"terminated": {"exitCode": 65, "message": json.dumps(outcome)}}
        status = {"phase": "Failed", "containerStatuses": [{"name": "prepare", "state": state}]}
        self.server.change(Place("Pod", HERE, f"pod-{metadata['uid']}"), {"status": status}, subresource="status")

    def _create(self, version: str, kind: str, name: str, namespace: str = HERE, **fields: Any) -> None:
        labels, owners = fields.pop("labels", {}), fields.pop("ownerReferences", [])
        metadata = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owners}
        self.server.create({"apiVersion": version, "kind": kind, "metadata": metadata, **fields})


@pytest.mark.parametrize("generation", ["abc", "", "-1", "1.0", "9" * 5000])
def test_a_job_whose_generation_is_no_number_says_nothing_and_goes(generation: str) -> None:
    """An account that may write Jobs could otherwise end the readings of this Dataset for ever."""

    async def run(loop: VirtualLoop) -> None:
        world = World(loop)
        await world.reconciler.reconcile("breast")
        [odd] = world.jobs
        annotated = {"metadata": {"annotations": {names.GENERATION: generation}}}
        world.server.change(Place("Job", HERE, odd["metadata"]["name"]), annotated)
        world.ends(odd, MISSING)
        await world.reconciler.reconcile("breast")
        assert "reading" not in world.dataset["status"]
        assert world.jobs == []
        await world.reconciler.reconcile("breast")
        [next_job] = world.jobs
        assert next_job["metadata"]["annotations"][names.GENERATION] == "1"

    play(run)


def test_the_pod_of_an_earlier_job_is_not_the_pod_of_the_job_that_runs() -> None:
    """Kubernetes removes a Job's pods some time after the Job."""

    async def run(loop: VirtualLoop) -> None:
        world = World(loop)
        await world.reconciler.reconcile("breast")
        [first] = world.jobs
        world.ends(first, MISSING)
        await world.reconciler.reconcile("breast")
        assert world.dataset["status"]["reading"]["reason"] == "ColumnMissing"
        assert world.jobs == []
        # Longer than the kind takes in status.reading.request.
        asks = {"metadata": {"annotations": {names.READ: "now" * 100}}}
        world.server.change(Place("Dataset", HERE, "breast"), asks)
        await world.reconciler.reconcile("breast")
        [second] = world.jobs
        await world.reconciler.reconcile("breast")
        assert world.jobs == [second]
        assert "request" not in world.dataset["status"]["reading"]
        world.ends(second, MISSING)
        await world.reconciler.reconcile("breast")
        await world.reconciler.reconcile("breast")
        assert world.dataset["status"]["reading"]["request"] == ("now" * 100)[:256]
        assert world.jobs == []

    play(run)
