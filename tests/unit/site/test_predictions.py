"""The site operator makes one Job for a Prediction, and writes how its pod ended. It asks no hub."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tests.integration.api.objects import prediction
from tests.players.hub import DATA_SCHEMA, DATASET
from tests.simulation.apiserver import Place, Server
from tests.simulation.client import Client
from tests.simulation.virtual import VirtualLoop, play
from tests.worlds.site import FINGERPRINT
from wardround.api import names
from wardround.clock import system_draw
from wardround.kube.events import Reporter
from wardround.plans.prediction import STALLED_SECONDS
from wardround.plans.sitetask.types import Control
from wardround.ports import Object
from wardround.site.context import PodContext
from wardround.site.link import HubLink, connect
from wardround.site.predictions import PredictionController, PredictionReconciler

HERE = "hospital-a"
V1 = "wardround.io/v1alpha1"
IMAGE = "registry.example/wardround/operator@sha256:" + "a" * 64
PREDICTED = {"version": "v3", "digest": "sha256:" + "a" * 64, "answered": 40, "outside": 2, "notes": ["one."]}


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
        self.reconciler = PredictionReconciler(
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
        self._create(
            V1,
            "Site",
            names.SITE,
            spec={
                "hub": {"participantNamespace": "site-a", "fingerprint": FINGERPRINT},
                "store": {"origin": "https://store"},
                "policy": {"datasets": [{"name": "breast", "federations": ["breast-cancer"]}]},
                "workload": {"modelsClaimName": "models"},
                "predictions": {"rowsClaimNames": ["new-cases"], "answersClaimNames": ["answers"]},
            },
        )
        self.server.create(prediction(HERE))

    def apply_dataset(self) -> None:
        self._create(V1, "DataSchema", DATASET["schemaName"], spec=DATA_SCHEMA)
        self._create(V1, "Dataset", "breast", spec=DATASET)

    async def look(self) -> float | None:
        return await self.reconciler.reconcile("new-cases")

    @property
    def asked(self) -> Object:
        return self.server.read(Place("Prediction", HERE, "new-cases"))

    @property
    def jobs(self) -> list[Object]:
        return list(self.server.select("Job", HERE))

    def true(self) -> dict[str, str]:
        """Reasons of the conditions that are True."""
        return {each["type"]: each["reason"] for each in self.asked["status"]["conditions"] if each["status"] == "True"}

    def ends(self, job: Object, outcome: Object, code: int = 0) -> None:
        """The pod of a Job is over."""
        metadata = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        labels = job["spec"]["template"]["metadata"]["labels"]
        self._create("v1", "Pod", "pod", spec={}, labels=labels, ownerReferences=[owner])
        state = {"terminated": {"exitCode": code, "message": json.dumps(outcome)}}
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "predict", "state": state}],
        }
        self.server.change(Place("Pod", HERE, "pod"), {"status": status}, subresource="status")

    def _create(self, version: str, kind: str, name: str, namespace: str = HERE, **fields: Any) -> None:
        labels, owners = fields.pop("labels", {}), fields.pop("ownerReferences", [])
        metadata = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owners}
        self.server.create({"apiVersion": version, "kind": kind, "metadata": metadata, **fields})


def test_a_prediction_waits_for_its_dataset_and_then_has_one_job_and_an_end() -> None:
    async def run(loop: VirtualLoop) -> None:
        world = World(loop)
        assert await world.look() == STALLED_SECONDS
        assert (world.true(), world.jobs) == ({"Stalled": "NoDataset"}, [])
        world.apply_dataset()
        await world.look()
        await world.look()
        [job] = world.jobs
        assert job["metadata"]["name"] == names.prediction_name(world.asked["metadata"]["uid"])
        assert world.true() == {"Reconciling": "Predicting"}
        world.ends(job, {"prediction": PREDICTED})
        assert await world.look() is None
        assert world.true() == {"Complete": "Predicted"}
        assert world.asked["status"]["answer"] == PREDICTED
        # The Job may go. Nothing makes another one.
        world.server.remove(Place("Job", HERE, job["metadata"]["name"]))
        assert await world.look() is None
        assert world.jobs == []

    play(run)


def test_a_refusal_of_the_pod_is_the_end() -> None:
    async def run(loop: VirtualLoop) -> None:
        world = World(loop)
        world.apply_dataset()
        await world.look()
        [job] = world.jobs
        world.ends(job, {"reason": "AnswerExists", "class": "Site", "message": "the claim has a file"}, 65)
        assert await world.look() is None
        assert world.true() == {"Failed": "AnswerExists", "Stalled": "AnswerExists"}
        assert "answer" not in world.asked["status"]

    play(run)


def test_a_job_wakes_the_prediction_that_owns_it_alone() -> None:
    async def run(loop: VirtualLoop) -> None:
        world = World(loop)
        world.apply_dataset()
        await world.look()
        controller = PredictionController(world.reconciler)
        [job] = world.jobs
        assert [wake.key.name for wake in controller.keys("Job", job)] == ["new-cases"]
        task = {"metadata": {"name": "x", "namespace": HERE, "ownerReferences": [{"kind": "SiteTask", "name": "x"}]}}
        assert list(controller.keys("Job", task)) == []
        assert [wake.key.name for wake in controller.keys("Prediction", world.asked)] == ["new-cases"]

    play(run)
