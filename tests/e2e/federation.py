"""Installs Wardround on the lab's clusters for tests, like the demo, and runs rounds."""

import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from lab import demo_data, demo_rounds, images, install
from lab.demo_data import HOSPITALS, Hospital
from lab.images import Images
from lab.images_oci import ImageRef
from lab.install import HUB_NAMESPACE, SITE_NAMESPACE
from lab.topology import named
from tests.conditions import Condition, condition, is_true
from tests.e2e import carried, prepared
from tests.e2e.admission import is_admitted
from tests.e2e.clusters import Kubectl, eventually
from wardround.api.federatedround import DEFAULT_COMMAND
from wardround.api.site import DEFAULT_PARAMETERS, MOST_EVALUATIONS
from wardround.cli import explain, verbs
from wardround.cli.cluster import Cluster as Api
from wardround.wire import codec

Object = dict[str, Any]

NAMESPACE = "e2e"
DATASET = "breast"
LACKING, CHANGING = "lacks-a-column", "changing"  # made by the tests that need them
SCHEMA, REVERSED = "breast-v1", "breast-reversed"  # the second is made by the test that needs it
# The Datasets that hospitals allow to the demo's federation and to the tests' federation.
ALLOWED = {DATASET: [demo_rounds.NAMESPACE, NAMESPACE], LACKING: [NAMESPACE], CHANGING: [NAMESPACE]}
SITES = tuple(hospital.name for hospital in HOSPITALS)
# A small network and one epoch: the tests do not need a good model.
PARAMETERS = {"model": "mlp", "hidden": "4", "optimizer": "SGD", "learningRate": "0.01", "epochs": "1"}
# For rounds whose model does not matter: without training, the trainer does not load torch. By default, a hospital
# refuses such a round, because it measures the hub's model. These hospitals accept it.
UNTRAINED = {**PARAMETERS, "epochs": "0"}
# By default, a hospital refuses a round with `steps`. These hospitals accept this number: enough to stop the training
# midway, and few enough to wait for.
STEPS = 12_000
# Additions to a site's default policy.
POLICY: Object = {
    "dataSchemas": [SCHEMA, REVERSED],
    "release": "Readers",
    # Each run evaluates other models on the same rows, as often as developers run the tests.
    "maxEvaluations": MOST_EVALUATIONS,
    "commands": [list(DEFAULT_COMMAND), carried.COMMAND],
    "parameters": [
        *(each for each in codec.dump(DEFAULT_PARAMETERS) if each["name"] != "epochs"),
        {"name": "epochs", "minimum": "0", "maximum": "1000"},
        *({"name": each} for each in carried.PIECES),
        {"name": "steps", "minimum": str(STEPS)},
    ],
}
# The one hospital whose policy allows rounds with local sockets.
LOCAL_SOCKETS = "site-c"
# The one hospital whose policy takes models of the hub.
DELIVERED = "site-b"
# Tests run rounds at the same time, and these must not wait for each other.
WORKLOAD: Object = {"maxConcurrentTasks": 3}
ROUND_SECONDS = 400.0


@dataclass(frozen=True)
class Finished:
    """A round that is Complete or Failed, with the tasks of all its participants and attempts."""

    round: Object
    tasks: list[Object]

    @property
    def name(self) -> str:
        return str(self.round["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.round["metadata"]["uid"])

    @property
    def complete(self) -> bool:
        return is_true(self.round, "Complete")

    @property
    def over(self) -> bool:
        return self.complete or is_true(self.round, "Failed")

    @property
    def result(self) -> Object:
        result: Object = self.round["status"]["result"]
        return result

    @property
    def failed(self) -> Condition:
        failed = condition(self.round, "Failed")
        assert failed is not None, f"{self.name} has no condition Failed: {self.round['status']}"
        assert failed.status == "True", f"{self.name} has not failed: {self.round['status']}"
        return failed

    @property
    def metrics(self) -> dict[str, str]:
        return {each["name"]: each["value"] for each in self.result.get("metrics", [])}

    def attention(self, participant: str) -> Object:
        """What the round says of a participant; fails the test where it says nothing."""
        attention = self.round["status"].get("attention") or []
        [entry] = [each for each in attention if each["participant"] == participant] or [None]
        assert entry is not None, f"{self.name} says nothing of {participant}: {self.round['status']}"
        return dict(entry)

    def task(self, participant: str) -> Object:
        """A participant's latest task."""
        [*_, last] = sorted(
            (each for each in self.tasks if each["metadata"]["namespace"] == participant),
            key=lambda each: int(each["spec"]["attempt"]),
        )
        return last


@dataclass(frozen=True)
class Federation:
    """The hub and its approved hospitals. Each offers the Dataset `breast` and allows the default policy and POLICY."""

    images: Images
    # Hospitals list this image like the trainer's. The test that uses it imports it.
    prepared: ImageRef
    sites: tuple[str, ...] = SITES
    namespace: str = NAMESPACE
    hub_namespace: str = HUB_NAMESPACE
    site_namespace: str = SITE_NAMESPACE
    # Rounds stay for ever, so every test run needs unique names.
    suffix: str = field(default_factory=lambda: uuid.uuid4().hex[:6])

    def kubectl(self, cluster: str) -> Kubectl:
        return Kubectl(cluster)

    @cached_property
    def hub(self) -> Api:
        return Api(str(named("hub").kubeconfig))

    def name(self, base: str) -> str:
        return f"{base}-{self.suffix}"

    def manifest(self, name: str, task: str, **spec: Any) -> Object:
        """A FederatedRound of all sites. `name` gets this run's suffix. `spec` replaces fields of the default spec."""
        own: Object = {
            "datasetName": DATASET,
            "schemaName": SCHEMA,
            "participants": {"names": list(self.sites)},
            "quorum": {},
        }
        if task != "Statistics":
            own["image"] = self.images.trainer.reference
        if task == "Train":
            own["parameters"] = dict(PARAMETERS)
        if task == "Evaluate":
            own |= {"metrics": ["accuracy", "auc", "rows", "positives"], "rows": "Test"}
        own |= spec
        own["quorum"] = {"min": len(own["participants"].get("names", self.sites))} | own["quorum"]
        return {
            "apiVersion": "wardround.io/v1alpha1",
            "kind": "FederatedRound",
            "metadata": {"name": self.name(name), "namespace": self.namespace},
            "spec": {"task": task, **own},
        }

    def apply(self, *rounds: Object) -> None:
        self.kubectl("hub").apply(*rounds)

    def run_round(self, name: str, task: str, **spec: Any) -> Finished:
        """Apply a round and wait until it is Complete. Fails the test with an explanation if it fails."""
        return self.run_rounds(self.manifest(name, task, **spec))[0]

    def run_rounds(self, *rounds: Object) -> list[Finished]:
        self.apply(*rounds)
        return [self.completed(each["metadata"]["name"]) for each in rounds]

    def completed(self, name: str, seconds: float = ROUND_SECONDS) -> Finished:
        finished = self.finished(name, seconds)
        assert finished.complete, self.explained(name)
        return finished

    def finished(self, name: str, seconds: float = ROUND_SECONDS) -> Finished:
        """Wait until the round with this full name is Complete or Failed."""
        until = time.monotonic() + seconds
        while True:
            finished = Finished(*verbs.round_with_tasks(self.hub, name, self.namespace))
            if finished.over:
                return finished
            assert time.monotonic() < until, f"not over after {seconds:.0f} s: {self.explained(name)}"
            time.sleep(0.3)

    def tasks_of(self, name: str) -> list[Object]:
        """The RoundTasks of the round with this full name, at all participants."""
        return verbs.round_with_tasks(self.hub, name, self.namespace)[1]

    def site_task(self, site: str, name: str) -> Object:
        """A SiteTask. Fails the test if the site has none of that name."""
        return self.kubectl(site).get("sitetask", name, "-n", self.site_namespace)

    def explained(self, name: str) -> str:
        round_, tasks = verbs.round_with_tasks(self.hub, name, self.namespace)
        leases = {site: verbs.lease(self.hub, site) for site in self.sites}
        return explain.text(explain.explain_round(round_, tasks, leases, datetime.now(UTC)))


def data_schema(namespace: str) -> Object:
    """The DataSchema of all rounds, for the namespace of a federation on the hub."""
    schema = demo_rounds.data_schema()
    return {**schema, "metadata": {**schema["metadata"], "namespace": namespace}}


def installed() -> Federation:
    """Install everything from images to Datasets. Existing parts stay."""
    built = images.build_all(say)
    install.import_images(SITES, built)
    tables = demo_data.tables()
    for site in SITES:
        demo_data.write(tables[site], install.data_folder(site) / "cases.csv")
    for hospital in HOSPITALS:
        # The pods make all other keys.
        demo_data.write_key(hospital, demo_data.SPLIT_KEY, install.state_folder(hospital.name))
    install.install_hub(SITES, built, say)
    listed = prepared.archive(built.trainer)
    [namespace] = demo_rounds.documents("federation.yaml")
    namespace["metadata"]["name"] = NAMESPACE
    install.apply(named("hub"), [namespace, demo_rounds.data_schema()], NAMESPACE)
    with ThreadPoolExecutor(len(SITES)) as pool:
        list(pool.map(lambda hospital: _install_site(hospital, built, listed), HOSPITALS))
    return Federation(built, listed)


def _install_site(hospital: Hospital, built: Images, listed: ImageRef) -> None:
    own = {
        "images": [built.trainer.reference, listed.reference],
        "localSockets": hospital.name == LOCAL_SOCKETS,
        "tasks": ["Train", "Statistics", "Evaluate", *(["Deliver"] if hospital.name == DELIVERED else [])],
    }
    values = {"policy": POLICY | own, "workload": WORKLOAD}
    install.install_site(hospital.name, hospital.display_name, ALLOWED, built, say, values)
    described = [demo_rounds.data_schema(), demo_rounds.dataset()]
    install.apply(named(hospital.name), described, SITE_NAMESPACE)
    install.wait_for_dataset(hospital.name, DATASET)
    eventually(f"{hospital.name} admits Jobs by what its chart says now", lambda: is_admitted(hospital.name))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
