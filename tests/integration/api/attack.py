"""What an attack on the admission policies of the training pod is, with the changes that several attacks make.

The Jobs are the golden files of their builder. Each attack has words of the policy's message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from tests.integration.api.jobs import (
    Change,
    container,
    mount,
    pod,
)
from tests.integration.api.objects import ROOT

Object = dict[str, Any]

ANOTHER_OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "courier-pins", "uid": "any"}
OTHER = "registry.example/other@sha256:" + "d" * 64
# How own-claims begins for a claim that a Dataset of the tests has.
PATIENT_DATA = "The claim breast-data has the patient data of Dataset"
ANOTHER_TASK = "tasks/00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Attack:
    """`words` are part of the refusal. `case` is the name of the golden Job before the change."""

    name: str
    words: str
    change: Change
    case: str = "train"

    def explains(self, message: str) -> bool:
        """Whether the message refuses this attack. If several policies refuse a write, the API server names any one of
        them. For a claim of patient data, that may be own-claims."""
        return "ValidatingAdmissionPolicy" in message and (self.words in message or PATIENT_DATA in message)


def failures(*rules: Object) -> Object:
    return {"podFailurePolicy": {"rules": list(rules)}}


def asks_for(resource: str) -> Change:
    """Adds an extended resource. Kubernetes requires it in both requests and limits."""

    def change(job: Object) -> None:
        resources = container("train")(job)["resources"]
        for kind in ("requests", "limits"):
            resources[kind] = {**resources[kind], resource: "1"}

    return change


# The chart's workload.limits of each container except isolation.
EACH = {"cpu": "1", "memory": "2Gi"}


def limited(name: str, limits: Object | None) -> Change:
    """Sets a container's limits. None removes its resources."""

    def change(job: Object) -> None:
        target = container(name)(job)
        if limits is None:
            target.pop("resources")
        else:
            target["resources"] = {"limits": dict(limits)}

    return change


def claims_a_device(job: Object) -> None:
    pod(job)["resourceClaims"] = [{"name": "nic", "resourceClaimName": "nic"}]
    container("train")(job)["resources"]["claims"] = [{"name": "nic"}]


def is_of_another_task(job: Object) -> None:
    [owner] = job["metadata"]["ownerReferences"]
    owner["uid"] = "00000000-0000-0000-0000-000000000000"


def is_owned_also_by(owner: Object) -> Change:
    def change(job: Object) -> None:
        job["metadata"]["ownerReferences"].append(owner)

    return change


def restarts(job: Object) -> None:
    pod(job)["restartPolicy"] = "OnFailure"
    # The API server accepts a failure policy only with restartPolicy Never.
    job["spec"].pop("podFailurePolicy")


def brings(key: str) -> Change:
    def change(job: Object) -> None:
        pod(job)[key].append(container("check")(job) | {"name": "extra"})

    return change


def skips(name: str) -> Change:
    def change(job: Object) -> None:
        pod(job)["initContainers"].remove(container(name)(job))

    return change


def trains_first(job: Object) -> None:
    pod(job)["initContainers"].reverse()


def sees_the_raw_dataset_as_the_view(job: Object) -> None:
    view = mount("train", "data")(job)
    view.update(name="dataset")
    view.pop("subPath")


ROLE, TASK = "set the label wardround.io/role to training", "label wardround.io/task-uid"
ACCOUNT = "needs the service account training"
POD_SECURITY, SECURITY = "The securityContext of a training pod", "securityContext of each container"
ORDER = "needs these init containers in this order: prepare, isolation, init"
# Several policies refuse these pods, and the API server chooses whose words it passes on. All have these.
SHAPE = "training pod"
OUR_IMAGE, THEIR_IMAGE = "run the image of the site chart", "policy.images of the site chart"
COMMAND, LISTED = "need a command and no args", "policy.commands of the site chart"
SIDECAR = "only this one, needs restartPolicy Always"
ENVIRONMENT = "nothing comes from Secrets"
SECOND_WAY = "second way to run or reach something"
TERMINATION = "must not get into an API object"
VOLUMES, SOURCES = "A training pod needs the volumes", "such as Secret, ConfigMap, projected"
CLAIMS = "data is in no other volume"
ROUND = "needs the label wardround.io/round-uid"
MOUNTS = "exactly the mounts of docs/contracts.md"
FEWEST, KIND = "policy.minSamples of the site chart", "Only predict may get hold-out rows"
ALLOWED = "policy.parameters of the site chart"
THREADS = "have to equal threads in WARDROUND_TASK"
WAITS, LINK_LOCAL = "from 0.25 to 1.00", "policy.linkLocal of the site chart"
IGNORES = {"name": "WARDROUND_LINK_LOCAL", "value": "Ignore"}
GROUPS, DEVICES, RESOURCES = (
    "runAsGroup and fsGroup 65532",
    "may not have resourceClaims",
    "may request only cpu, memory",
)
PLACE, MARKS = "may not have nodeName, priorityClassName", "only the annotations and labels of"
ONE_POD, OWNER = "runs one pod once", "needs an ownerReference to its SiteTask, or to the Dataset"
FAILURES, STAYS = "Another rule could read exit codes", "may not have ttlSecondsAfterFinished"
RUNTIME, NODES = "runtimeClassName of the site chart", "nodeSelector of the site chart"

GRACE, RESOLVER = "needs terminationGracePeriodSeconds 10", "the pod resolves no name"
TAINTS, GROUPS_OF_IMAGE = "only the tolerations of workload.tolerations", "needs supplementalGroupsPolicy Strict"
LIMITS, ACCELERATORS, SIZES = (
    "needs the limits of workload.limits of the site chart",
    "only train and the references may have accelerators",
    "need these sizeLimits",
)
GOES = "would keep it when it is deleted"
QUEUE = "needs the queue of the site chart"
UNKNOWN = "may not have these fields"
UNKNOWN_SECURITY = "The securityContext of a training pod may not have these fields"
UNKNOWN_OF_CONTAINERS = "A container of a training pod may not have these fields"
UNKNOWN_OF_VOLUMES = "Volumes and mounts of a training pod may not have these fields"

SHOWN = "kubectl.kubernetes.io/default-container"
SECRET = {"secretKeyRef": {"name": "courier-keys", "key": "signing"}}
READ_LABELS = {"exec": {"command": ["cat", "/wardround/private/labels.i64"]}}
EVALUATES = {"name": "WARDROUND_KIND", "value": "Evaluate"}
CELL = "policy.minCell of the site chart"
MOST_LEFT_OUT = "policy.maxLeftOut of the site chart"
MOST_EVALUATIONS = "policy.maxEvaluations of the site chart"
TEST_ROWS = {"name": "WARDROUND_ROWS", "value": "Test"}
TELLING = {"name": "WARDROUND_TELL_OWN_METRICS", "value": "true"}
ROWS = "Only predict may get test rows"
TELLS = "policy.tellOwnMetrics of the site chart allows"
FEWER = {"name": "WARDROUND_MIN_SAMPLES", "value": "1"}
FEWER_BEHIND = {"name": "WARDROUND_MIN_CELL", "value": "1"}
MORE_EVALUATIONS = {"name": "WARDROUND_MAX_EVALUATIONS", "value": "21"}
ALL_LEFT_OUT = {"name": "WARDROUND_MAX_LEFT_OUT", "value": "1"}
OPENMP = {"name": "OMP_NUM_THREADS"}
STEPS = {"name": "WARDROUND_ALLOWED_PARAMETERS", "value": '{"steps":{}}'}
RAW = {"name": "dataset", "mountPath": "/wardround/raw", "readOnly": True}
MODELS = {"persistentVolumeClaim": {"claimName": "models"}}
UPDATE = {"name": "workspace", "mountPath": "/wardround/update", "subPath": "tasks/x/update"}
CHECKPOINTS = {"name": "state", "mountPath": "/wardround/checkpoints", "subPath": "checkpoints"}
CHECKPOINT = {
    "name": "state",
    "mountPath": "/wardround/checkpoint",
    "subPath": "checkpoints/0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77",
}
STATES = {"name": "state", "mountPath": "/wardround/states", "subPath": "states"}
SECRETS = {"name": "state", "mountPath": "/wardround/secrets", "subPath": "secrets"}
UID, ANOTHER_ROUND = "5c9d5e0e-7f0b-4c55-9d0e-2f6a1b8c4d21", "00000000-0000-0000-0000-000000000000"
LEFT = {"name": "state", "mountPath": "/wardround/state/out", "subPath": "states/0b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e77"}
TASK_UID = "6f1d7a52-0c1e-4f0e-9a55-8f6f3f5d2c11"  # of the golden files
LAUNCHER = {"name": "memory", "mountPath": f"/wardround-{TASK_UID}/mounted/after/others", "readOnly": True}
READ = {"name": "state", "mountPath": "/wardround/state/in", "subPath": "states/none", "readOnly": True}
OURS = ("prepare", "isolation", "check")
PLACES: tuple[Object, ...] = (
    {"affinity": {"nodeAffinity": {}}},
    {"schedulingGates": [{"name": "example.org/never"}]},
    {"preemptionPolicy": "Never"},
    {"imagePullSecrets": [{"name": "courier-keys"}]},
    {"hostUsers": True},
    {
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ]
    },
)
HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")


# The maximum of a round's trainSeconds, and rules for changed failure policies.
LONGEST: int = yaml.safe_load((ROOT / "crds/federatedrounds.yaml").read_text("utf-8"))["spec"]["versions"][0]["schema"][
    "openAPIV3Schema"
]["properties"]["spec"]["properties"]["deadlines"]["properties"]["trainSeconds"]["maximum"]
DISRUPTED: Object = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
NOT_DISRUPTED: Object = {"type": "DisruptionTarget", "status": "False"}
READS_CODES: Object = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [70]}}

# The command that the test site lists, and commands that it does not list.
LIST = ["python", "-m", "wardround_trainer"]
LAUNCH = [f"/wardround-{TASK_UID}/mounted/after/others/launch", "--"]
# Paths at which an image can have a link or a VOLUME, because they do not contain the task's UID.
PREPARED = ("/wardround/launcher", "/wardround-00000000-0000-0000-0000-000000000000", "/wardround-", "/tmp/launcher")
PREDICTS, INITIALISES = [*LAUNCH, "python", "-c", "pass", "predict"], [*LAUNCH, "python", "-c", "pass", "init"]


def ours(verb: str) -> Object:
    return {"command": ["python", "-m", "wardround", verb]}


def launched(verb: str) -> Object:
    return {"command": [*LAUNCH, "python", "-m", "wardround", verb]}


def first(setting: Object) -> str:
    return next(iter(setting))
