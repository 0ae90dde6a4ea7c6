"""Changes of an admitted training Job that the site chart's policies must refuse. Each attack changes one thing.

The Jobs are the golden files of their builder. Each attack has words of the policy's message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from tests.integration.api import objects
from tests.integration.api.jobs import (
    GONE,
    WEAKER,
    Change,
    adds,
    becomes,
    claim,
    container,
    inside,
    labels,
    launcher,
    metadata,
    mount,
    pod,
    security,
    sets,
    spec,
    template,
    variable,
    volume,
)
from tests.integration.api.objects import ROOT, TRAINER

Object = dict[str, Any]

OTHER = "registry.example/other@sha256:" + "d" * 64
ANOTHER_TASK = "tasks/00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Attack:
    """`words` are part of the refusal. `case` is the name of the golden Job before the change."""

    name: str
    words: str
    change: Change
    case: str = "train"


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


POD = [
    *(
        Attack(f"carries the role {role}", ROLE, sets(labels, {"wardround.io/role": role}))
        for role in ("courier", "operator", "extraction")
    ),
    Attack("carries no role", ROLE, sets(labels, {"wardround.io/role": GONE})),
    Attack("carries no task", TASK, sets(labels, {"wardround.io/task-uid": GONE})),
    Attack("names something else as its task", TASK, sets(labels, {"wardround.io/task-uid": "x.y"})),
    Attack("uses the courier's account", ACCOUNT, sets(pod, {"serviceAccountName": "courier"})),
    Attack("uses the operator's account", ACCOUNT, sets(pod, {"serviceAccountName": "site-operator"})),
    Attack("mounts a token", ACCOUNT, sets(pod, {"automountServiceAccountToken": True})),
    Attack("leaves the token to the default", ACCOUNT, sets(pod, {"automountServiceAccountToken": GONE})),
    Attack("learns of services", "enableServiceLinks false", sets(pod, {"enableServiceLinks": True})),
    *(Attack(f"sets {name}", "may not share a namespace", sets(pod, {name: True})) for name in HOST_NAMESPACES),
    Attack("restarts its containers", "restartPolicy Never", restarts),
    Attack("has no pod security", POD_SECURITY, sets(pod, {"securityContext": GONE})),
    *(
        Attack(f"has the pod security {setting}", POD_SECURITY, sets(security, setting))
        for setting in (
            {"runAsUser": 1000},
            {"runAsNonRoot": False},
            {"seccompProfile": {"type": "Unconfined"}},
            {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
            {"seLinuxOptions": {"type": "spc_t"}},
            {"appArmorProfile": {"type": "Unconfined"}},
        )
    ),
    *(
        Attack(f"runs as the group {setting}", GROUPS, sets(security, setting))
        for setting in ({"runAsGroup": 0}, {"fsGroup": 6}, {"fsGroup": GONE}, {"supplementalGroups": [6]})
    ),
    Attack("claims a device", DEVICES, claims_a_device),
    *(
        Attack(f"ends after {setting}", GRACE, sets(pod, {"terminationGracePeriodSeconds": setting}))
        for setting in (0, 11, 86400, GONE)
    ),
    *(
        Attack(f"resolves by {setting}", RESOLVER, sets(pod, setting))
        for setting in (
            {"dnsPolicy": "Default"},
            {"dnsPolicy": "ClusterFirst", "dnsConfig": GONE},
            {"dnsConfig": {"nameservers": ["10.96.0.10"]}},
            {"dnsConfig": {"nameservers": ["127.0.0.1", "10.96.0.10"]}},
            {"dnsConfig": {"nameservers": ["fe80::1"]}},
            {"dnsConfig": {"nameservers": ["127.0.0.1"], "searches": ["hospital.example"]}},
            {"dnsConfig": {"nameservers": ["127.0.0.1"], "options": [{"name": "use-vc"}]}},
        )
    ),
    *(
        Attack(f"tolerates {setting}", TAINTS, sets(pod, {"tolerations": setting}))
        for setting in (
            [{"operator": "Exists"}],
            [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}],
            [{"key": "node.kubernetes.io/unreachable", "operator": "Equal", "value": "x", "effect": "NoExecute"}],
        )
    ),
    *(
        Attack(f"takes groups of its image by {setting}", GROUPS_OF_IMAGE, sets(security, setting))
        for setting in ({"supplementalGroupsPolicy": GONE}, {"supplementalGroupsPolicy": "Merge"})
    ),
    Attack("runs in a sandbox of its choice", RUNTIME, sets(pod, {"runtimeClassName": "nvidia"})),
    *(
        Attack(f"has a {first(setting)}", UNKNOWN, sets(pod, setting))
        for setting in (
            {"hostname": "patient-17"},
            {"subdomain": "patient-17"},
            {"setHostnameAsFQDN": True},
            {"hostAliases": [{"ip": "203.0.113.1", "hostnames": ["hub"]}]},
            {"readinessGates": [{"conditionType": "example.org/ready"}]},
            {"os": {"name": "linux"}},
            {"resources": {"limits": {"memory": "64Gi"}}},
        )
    ),
    Attack("relabels volumes", UNKNOWN_SECURITY, sets(security, {"seLinuxChangePolicy": "Recursive"})),
]

ONE, TWO = "evaluate-one-reference", "evaluate-two-references"


def renames(name: str, other: str) -> Change:
    """Renames a reference everywhere: its container, its volume and its folders."""

    def change(job: Object) -> None:
        text = json.dumps(pod(job)).replace(name, other)
        job["spec"]["template"]["spec"] = json.loads(text)

    return change


def predicts_in_another_order(job: Object) -> None:
    names = [each["name"] for each in pod(job)["initContainers"]]
    first, last = names.index("reference1"), names.index("reference2")
    containers = pod(job)["initContainers"]
    containers[first], containers[last] = containers[last], containers[first]


def predicts_before_training(job: Object) -> None:
    containers = pod(job)["initContainers"]
    containers.insert(2, containers.pop(3))


def trains_beside(job: Object) -> None:
    """A Train pod with a container that predicts."""
    container("train")(job)["command"][-1] = "train"
    variable("WARDROUND_KIND")(job)["value"] = "Train"
    variable("WARDROUND_ROWS")(job)["value"] = "Validation"


def brings_a_third(job: Object) -> None:
    third = json.loads(json.dumps(container("reference2")(job)).replace("reference2", "reference3"))
    pod(job)["initContainers"].append(third)
    pod(job)["volumes"].append({**volume("reference2")(job), "name": "reference3"})


REFERENCES = [
    Attack("the second reference is there without the first", SHAPE, renames("reference1", "reference2"), ONE),
    Attack("a reference has another name", SHAPE, renames("reference1", "reference9"), ONE),
    Attack("references are in another order", SHAPE, predicts_in_another_order, TWO),
    Attack("a reference predicts before the model", SHAPE, predicts_before_training, ONE),
    Attack("there are three references", SHAPE, brings_a_third, TWO),
    Attack("a training has a reference", SHAPE, trains_beside, ONE),
    *(
        Attack(f"the volume of {name} is there without its container", VOLUMES, skips(name), case)
        for name, case in (("reference1", ONE), ("reference2", TWO))
    ),
    *(
        attack
        for name, case in (("reference1", ONE), ("reference1", TWO), ("reference2", TWO))
        for attack in (
            Attack(f"{name} has an image off the list", THEIR_IMAGE, sets(container(name), {"image": OTHER}), case),
            Attack(f"{name} has a tag", THEIR_IMAGE, sets(container(name), {"image": "trainer:latest"}), case),
            Attack(f"{name} runs our image", THEIR_IMAGE, sets(container(name), {"image": objects.OURS}), case),
            *(
                Attack(f"{name} runs {' '.join(command)}", LISTED, sets(container(name), {"command": command}), case)
                for command in (
                    PREDICTS,
                    [*LAUNCH, *LIST, "train"],
                    [*LAUNCH, *LIST, "init"],
                    [*LAUNCH, *LIST],
                    [*LIST, "predict"],
                    [LAUNCH[0], "--local-sockets", "--", *LIST, "predict"],
                    ["/tmp/launch", "--", *LIST, "predict"],
                )
            ),
            Attack(f"{name} gets arguments", COMMAND, sets(container(name), {"args": ["--help"]}), case),
            Attack(f"{name} goes on", SIDECAR, sets(container(name), {"restartPolicy": "Always"}), case),
            Attack(f"{name} has no limits", LIMITS, limited(name, None), case),
            Attack(f"{name} knows the rows", ENVIRONMENT, adds(container(name), "env", TEST_ROWS), case),
            Attack(f"{name} has threads", THREADS, adds(container(name), "env", {**OPENMP, "value": "1"}), case),
            Attack(
                f"{name} gets a Secret",
                ENVIRONMENT,
                sets(container(name), {"envFrom": [{"secretRef": {"name": "courier-keys"}}]}),
                case,
            ),
            Attack(f"{name} has a workingDir", SECOND_WAY, sets(container(name), {"workingDir": "/tmp"}), case),
            Attack(
                f"{name} is root", SECURITY, sets(inside(container(name), "securityContext"), {"runAsUser": 0}), case
            ),
            Attack(
                f"{name} has a larger volume",
                SIZES,
                sets(inside(volume(name), "emptyDir"), {"sizeLimit": "17Gi"}),
                case,
            ),
            Attack(
                f"{name} has memory as a volume",
                SIZES,
                sets(inside(volume(name), "emptyDir"), {"medium": "Memory"}),
                case,
            ),
            Attack(
                f"{name} has a claim as a volume",
                SOURCES,
                becomes(volume(name), {"name": name, "persistentVolumeClaim": {"claimName": "state"}}),
                case,
            ),
        )
    ),
]

CONTAINERS = [
    Attack("brings a container", ORDER, brings("containers")),
    Attack("brings an init container", ORDER, brings("initContainers")),
    Attack("skips the gate", ORDER, skips("prepare")),
    Attack("stops watching", ORDER, skips("isolation")),
    Attack("trains before the gate", ORDER, trains_first),
    Attack("renames check", ORDER, sets(container("check"), {"name": "chock"})),
    *(Attack(f"{name} runs another image", OUR_IMAGE, sets(container(name), {"image": TRAINER})) for name in OURS),
    Attack("trains with an image off the list", THEIR_IMAGE, sets(container("train"), {"image": OTHER})),
    Attack("trains with a tag", THEIR_IMAGE, sets(container("train"), {"image": "trainer:latest"})),
    Attack(
        "initialises with an image off the list",
        THEIR_IMAGE,
        sets(container("init"), {"image": OTHER}),
        "train-initial",
    ),
    *(Attack(f"{name} runs our courier", COMMAND, sets(container(name), ours("courier"))) for name in OURS),
    *(Attack(f"{name} gets arguments", COMMAND, sets(container(name), {"args": ["--help"]})) for name in OURS),
    *(
        Attack(f"{name} is launched to run our courier", COMMAND, sets(container(name), launched("courier")), case)
        for name, case in (*((name, "train") for name in OURS), ("train", "statistics"))
    ),
    *(
        Attack(f"{verb} keeps its network", COMMAND, sets(container(name), {"command": command}), case)
        for name, verb, case in (
            ("check", "check", "train"),
            ("check", "score", "evaluate"),
            ("train", "statistics", "statistics"),
        )
        for command in (
            ["python", "-m", "wardround", verb],
            [LAUNCH[0], "--local-sockets", "--", "python", "-m", "wardround", verb],
        )
    ),
    *(
        Attack(f"{name} is launched", COMMAND, sets(container(name), launched(name)))
        for name in ("prepare", "isolation")
    ),
    *(
        Attack(f"{name} is started by {' '.join(words)}", LISTED, sets(container(name), {"command": command}), case)
        for name, verb, case in (
            ("train", "train", "train"),
            ("train", "predict", "evaluate"),
            ("init", "init", "train-initial"),
        )
        for words in (
            [],
            ["--"],
            [LAUNCH[0]],
            [LAUNCH[0], "--local-sockets", "--"],
            [LAUNCH[0], "--", "--local-sockets"],
            ["/tmp/launch", "--"],
            ["launch", "--"],
            [*LAUNCH, *LAUNCH],
        )
        for command in ([*words, *LIST, verb],)
    ),
    Attack("train gets arguments", COMMAND, sets(container("train"), {"args": ["--help"]})),
    Attack("train has no command", LISTED, sets(container("train"), {"command": GONE})),
    *(
        Attack(f"train runs {' '.join(words)}", LISTED, sets(container("train"), {"command": [*LAUNCH, *words]}))
        for words in (
            ["python", "-c", "print(open('/wardround/data/train.parquet', 'rb').read())", "train"],
            ["sh", "-c", "train"],
            [*LIST, "export"],
            [*LIST, "init"],
            [*LIST, "train", "train"],
            [*LIST],
            [*LIST[:-1], "train"],
            [" ".join(LIST), "train"],
            ["train"],
        )
    ),
    Attack("predicts with a command off the list", LISTED, sets(container("train"), {"command": PREDICTS}), "evaluate"),
    Attack("init runs another command", LISTED, sets(container("init"), {"command": INITIALISES}), "train-initial"),
    Attack("init trains", LISTED, sets(container("init"), {"command": [*LAUNCH, *LIST, "train"]}), "train-initial"),
    Attack("scores what was trained", COMMAND, sets(container("check"), launched("score"))),
    Attack("checks what was predicted", COMMAND, sets(container("check"), launched("check")), "evaluate"),
    Attack("isolation ends", SIDECAR, sets(container("isolation"), {"restartPolicy": GONE})),
    Attack("train goes on beside check", SIDECAR, sets(container("train"), {"restartPolicy": "Always"})),
    *(
        Attack(f"{name} runs again when it fails", SIDECAR, sets(container(name), {"restartPolicy": "OnFailure"}))
        for name in ("prepare", "train", "check")
    ),
    *(
        Attack(f"train gets {resource}", RESOURCES, asks_for(resource))
        for resource in ("rdma/hca", "intel.com/sriov_netdevice", "example.com/fuse")
    ),
    Attack(
        "train runs as another group",
        SECURITY,
        sets(inside(container("train"), "securityContext"), {"runAsGroup": 0}),
    ),
    *(
        Attack(f"{name} {description}", ENVIRONMENT, sets(container(name), setting))
        for name in (*OURS, "train")
        for description, setting in (
            ("gets a Secret as a variable", {"env": [{"name": "WARDROUND_ISOLATION", "valueFrom": SECRET}]}),
            ("gets a Secret as its environment", {"envFrom": [{"secretRef": {"name": "courier-keys"}}]}),
            ("loads other code", {"env": [{"name": "PYTHONPATH", "value": "/wardround/raw"}]}),
        )
    ),
    *(
        Attack(f"check has {first(setting)}", SECOND_WAY, sets(container("check"), setting))
        for setting in (
            {"lifecycle": {"postStart": READ_LABELS}},
            {"livenessProbe": READ_LABELS},
            {"readinessProbe": READ_LABELS},
            {"startupProbe": READ_LABELS},
            {"workingDir": "/wardround/out"},
            {"stdin": True},
            {"tty": True},
            {"ports": [{"containerPort": 80}]},
            {"volumeDevices": [{"name": "dataset", "devicePath": "/dev/patients"}]},
        )
    ),
    Attack("prepare imports from the data", SECOND_WAY, sets(container("prepare"), {"workingDir": "/wardround/raw"})),
    *(
        Attack(f"prepare tells by {first(setting)}", TERMINATION, sets(container("prepare"), setting))
        for setting in (
            {"terminationMessagePath": "/wardround/raw/cases.csv"},
            {"terminationMessagePolicy": "FallbackToLogsOnError"},
        )
    ),
    *(
        Attack(
            f"{name} has {variable_name}",
            ENVIRONMENT,
            sets(container(name), {"env": [{"name": variable_name, "value": "10"}]}),
        )
        for name in ("isolation", "train", "check")
        for variable_name in (
            *("WARDROUND_TASK", "WARDROUND_KIND", "WARDROUND_ROWS", "WARDROUND_DATASET", "WARDROUND_MIN_SAMPLES"),
            *("WARDROUND_MIN_CELL", "WARDROUND_MAX_LEFT_OUT", "WARDROUND_TELL_OWN_METRICS"),
            *("WARDROUND_DATASET_NAME", "WARDROUND_MAX_EVALUATIONS", "WARDROUND_ALLOWED_PARAMETERS"),
            "WARDROUND_SPLIT_FINGERPRINT",
        )
    ),
    *(
        Attack(
            f"{name} is told {variable_name}",
            ENVIRONMENT,
            sets(container(name), {"env": [{"name": variable_name, "value": "1.00"}]}),
        )
        for name in ("train", "check")
        for variable_name in ("WARDROUND_ISOLATION", "WARDROUND_ISOLATION_SECONDS", "WARDROUND_LINK_LOCAL")
    ),
    *(
        Attack(f"{name} is given threads", ENVIRONMENT, adds(container(name), "env", {**OPENMP, "value": "2"}))
        for name in ("prepare", "isolation", "check")
    ),
    *(
        Attack(
            f"{name} has {value or 'no'} threads",
            THREADS,
            adds(container(name), "env", {**OPENMP, "value": value}),
            case,
        )
        for name, case in (("train", "train"), ("train", "evaluate"), ("init", "train-initial"))
        for value in ("", "0", "1", "02", "2000", "two")
    ),
    *(
        Attack(
            f"{name} waits {seconds or 'no time'} for an answer",
            WAITS,
            adds(container(name), "env", {"name": "WARDROUND_ISOLATION_SECONDS", "value": seconds}),
        )
        for name in ("prepare", "isolation")
        for seconds in ("", "0.24", "0.250", "1.01", "-0.25")
    ),
    *(
        Attack(f"{name} ignores link-local", LINK_LOCAL, adds(container(name), "env", IGNORES))
        for name in ("prepare", "isolation")
    ),
    *(
        Attack(f"prepare is of the kind {kind}", KIND, sets(variable("WARDROUND_KIND"), {"value": kind}), case)
        for case, kind in (
            *(("train", kind) for kind in ("Evaluate", "Statistics", "", "train")),
            *(("evaluate", "Train"), ("statistics", "Train"), ("train-initial", "Evaluate")),
        )
    ),
    Attack("prepare is of two kinds", KIND, adds(container("prepare"), "env", EVALUATES)),
    *(
        Attack(f"prepare gives out {rows or 'any'} rows", ROWS, sets(variable("WARDROUND_ROWS"), {"value": rows}), case)
        for case, rows in (
            *((case, "Test") for case in ("train", "train-initial", "statistics")),
            *(("evaluate", rows) for rows in ("", "Train", "test", "Validation,Test")),
        )
    ),
    Attack("prepare gives out rows that nobody names", ROWS, sets(variable("WARDROUND_ROWS"), {"value": GONE})),
    Attack("prepare gives out test rows too", ROWS, adds(container("prepare"), "env", TEST_ROWS)),
    *(
        Attack(
            f"the result tells the hospital's numbers by {value or 'nothing'}",
            TELLS,
            sets(variable("WARDROUND_TELL_OWN_METRICS"), {"value": value}),
            case,
        )
        for case in ("train", "evaluate")
        for value in ("true", "", "True", "yes")
    ),
    Attack("the result tells the hospital's numbers too", TELLS, adds(container("prepare"), "env", TELLING)),
    Attack("prepare takes fewer samples", FEWEST, sets(variable("WARDROUND_MIN_SAMPLES"), {"value": "9"})),
    Attack("prepare takes any samples", FEWEST, adds(container("prepare"), "env", FEWER)),
    *(
        Attack(f"metrics are over {count} patients", CELL, sets(variable("WARDROUND_MIN_CELL"), {"value": value}), case)
        for case in ("train", "train-initial", "evaluate", "statistics")
        for count, value in (("fewer", "10"), ("any", "0"), ("who knows how many", GONE))
    ),
    Attack("metrics are over fewer patients too", CELL, adds(container("prepare"), "env", FEWER_BEHIND)),
    *(
        Attack(
            f"{share or 'no share'} of rows may be left out",
            MOST_LEFT_OUT,
            sets(variable("WARDROUND_MAX_LEFT_OUT"), {"value": share}),
        )
        for share in ("", "1", "0.100001", "0.1000001", "-0.1", "1e-1", "0.1\n", "$(X)")
    ),
    Attack("all rows may be left out too", MOST_LEFT_OUT, adds(container("prepare"), "env", ALL_LEFT_OUT)),
    *(
        Attack(
            f"{number or 'no number'} of evaluations are allowed",
            MOST_EVALUATIONS,
            sets(variable("WARDROUND_MAX_EVALUATIONS"), {"value": number}),
            case,
        )
        for case in ("train", "evaluate")
        for number in ("", "21", "-1", "1e3", " 20", "20\n", "$(X)", "9" * 19)
    ),
    Attack("more evaluations are allowed too", MOST_EVALUATIONS, adds(container("prepare"), "env", MORE_EVALUATIONS)),
    Attack("prepare allows any steps", ALLOWED, adds(container("prepare"), "env", STEPS)),
    *(
        Attack(f"{case} allows other parameters", ALLOWED, sets(variable(STEPS["name"]), {"value": "{}"}), case)
        for case in ("train", "train-initial", "evaluate", "statistics")
    ),
    Attack("prepare allows nothing said", ALLOWED, sets(variable(STEPS["name"]), {"value": GONE})),
    Attack("has no container security", SECURITY, sets(container("train"), {"securityContext": GONE})),
    *(
        Attack(
            f"has the container security {setting}",
            SECURITY,
            sets(inside(container("train"), "securityContext"), setting),
        )
        for setting in WEAKER
    ),
]

CONTAINERS += [
    *(
        Attack(f"{name} has the limits {limits}", LIMITS, limited(name, limits), case)
        for name, case, others in (
            ("train", "train", ({}, {"cpu": "1"}, {"memory": "2Gi"}, {"cpu": "64", "memory": "2Gi"})),
            ("prepare", "train", ()),
            ("check", "train", ()),
            ("init", "train-initial", ()),
            ("train", "statistics", ()),
        )
        for limits in (None, {"cpu": "1", "memory": "64Gi"}, *others)
    ),
    *(
        Attack(f"isolation has the limits {limits}", LIMITS, limited("isolation", limits))
        for limits in (None, {"cpu": "1"}, {"memory": "64Gi"})
    ),
    *(
        Attack(f"{name} gets an accelerator", ACCELERATORS, limited(name, {**EACH, "nvidia.com/gpu": "1"}), case)
        for name, case in (("prepare", "train"), ("check", "train"), ("init", "train-initial"))
    ),
    Attack("check closes its input", UNKNOWN_OF_CONTAINERS, sets(container("check"), {"stdinOnce": True})),
]

VOLUME = [
    *(
        Attack(f"{name} holds {setting}", SIZES, sets(inside(volume(name), "emptyDir"), setting), "train-initial")
        for name in ("memory", "out", "scratch", "initial")
        for setting in ({"sizeLimit": GONE}, {"sizeLimit": "17Gi"})
    ),
    *(
        Attack(f"{name} is in memory", SIZES, sets(inside(volume(name), "emptyDir"), {"medium": "Memory"}))
        for name in ("out", "scratch")
    ),
    Attack(
        "mounts recursively",
        UNKNOWN_OF_VOLUMES,
        sets(mount("train", "data"), {"recursiveReadOnly": "IfPossible"}),
    ),
    *(
        Attack(f"brings the volume {source}", VOLUMES, adds(pod, "volumes", {"name": "more", **source}))
        for source in (
            {"secret": {"secretName": "courier-keys"}},
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"hostPath": {"path": "/"}},
            {"configMap": {"name": "courier-pins"}},
            {"persistentVolumeClaim": {"claimName": "other"}},
        )
    ),
    *(
        Attack(
            f"{name} is a Secret",
            SOURCES,
            becomes(volume(name), {"name": name, "secret": {"secretName": "courier-keys"}}),
        )
        for name in ("dataset", "memory", "out", "workspace")
    ),
    Attack("keeps the view on a disk", "medium Memory", sets(inside(volume("memory"), "emptyDir"), {"medium": GONE})),
    *(
        Attack(f"{name} is the dataset", CLAIMS, sets(claim(name), {"claimName": "breast-data"}))
        for name in ("workspace", "state")
    ),
    *(
        Attack(f"the dataset is {name}", CLAIMS, sets(claim("dataset"), {"claimName": name}))
        for name in ("workspace", "state", "models")
    ),
    # The courier carries what is on the claim of models out of the hospital's data pods, if one of them can write it.
    *(
        Attack(f"writes models as its {name}", CLAIMS, sets(claim(name), {"claimName": "models"}))
        for name in ("workspace", "state")
    ),
    Attack("writes models as its output", SOURCES, becomes(volume("out"), {"name": "out", **MODELS})),
    Attack("has a volume of models", VOLUMES, adds(pod, "volumes", {"name": "models", **MODELS})),
    Attack("can write the dataset", CLAIMS, sets(claim("dataset"), {"readOnly": GONE})),
    *(
        Attack(f"{name} mounts the raw dataset", MOUNTS, adds(container(name), "volumeMounts", RAW), case)
        for name, case in (
            ("train", "train"),
            ("check", "train"),
            ("train", "statistics"),
            ("train", "evaluate"),
            ("init", "train-initial"),
        )
    ),
    Attack("isolation mounts the raw dataset", MOUNTS, sets(container("isolation"), {"volumeMounts": [RAW]})),
    Attack("prepare writes the raw dataset", MOUNTS, sets(mount("prepare", "raw"), {"readOnly": GONE})),
    Attack("train sees the raw dataset as the view", MOUNTS, sees_the_raw_dataset_as_the_view),
    Attack("train sees the labels", MOUNTS, sets(mount("train", "data"), {"subPath": "private"})),
    Attack("train sees all that is in memory", MOUNTS, sets(mount("train", "data"), {"subPath": GONE})),
    Attack("train writes the view", MOUNTS, sets(mount("train", "data"), {"readOnly": GONE})),
    *(
        Attack(f"{name} writes the launcher", MOUNTS, sets(launcher(name), {"readOnly": GONE}), case)
        for name, case in (
            *(("train", case) for case in ("train", "statistics", "evaluate")),
            *(("init", "train-initial"), ("check", "train"), ("check", "evaluate")),
        )
    ),
    *(
        Attack(f"{name} brings a launcher in {source}", MOUNTS, becomes(launcher(name), {**LAUNCHER, **source}))
        for name in ("train", "check")
        for source in ({"name": "scratch"}, {"name": "out", "subPath": "launcher"}, {"subPath": "task"})
    ),
    *(
        Attack(f"{name} has the launcher at {place}", MOUNTS, sets(launcher(name), {"mountPath": place}), case)
        for name, case in (("train", "train"), ("train", "statistics"), ("init", "train-initial"), ("check", "train"))
        for place in PREPARED
    ),
    *(
        Attack(
            f"train is started by what lies at {place}",
            LISTED,
            sets(container("train"), {"command": [f"{place}/launch", "--", *LIST, "train"]}),
        )
        for place in PREPARED
    ),
    Attack("prepare leaves no launcher", MOUNTS, sets(mount("prepare", "launcher"), {"subPath": "private/launcher"})),
    Attack("train writes the update", MOUNTS, adds(container("train"), "volumeMounts", UPDATE)),
    Attack("train reads another's base", MOUNTS, sets(mount("train", "base"), {"subPath": f"{ANOTHER_TASK}/in"})),
    Attack("check writes another's", MOUNTS, sets(mount("check", "update"), {"subPath": f"{ANOTHER_TASK}/update"})),
    Attack("train reads the whole state", MOUNTS, sets(mount("train", "checkpoint"), {"subPath": GONE})),
    Attack("train reads all checkpoints", MOUNTS, sets(mount("train", "checkpoint"), {"subPath": "checkpoints"})),
    Attack(
        "train reads another round's checkpoints",
        MOUNTS,
        sets(mount("train", "checkpoint"), {"subPath": "checkpoints/00000000-0000-0000-0000-000000000000"}),
    ),
    Attack("prepare writes the whole state", MOUNTS, sets(mount("prepare", "checkpoints"), {"subPath": GONE})),
    *(
        Attack(f"{name} mounts all checkpoints", MOUNTS, adds(container(name), "volumeMounts", CHECKPOINTS))
        for name in ("train", "check")
    ),
    Attack("prepare writes all that rounds have left", MOUNTS, sets(mount("prepare", "states"), {"subPath": GONE})),
    *(
        Attack(f"{name} mounts all states", MOUNTS, adds(container(name), "volumeMounts", STATES))
        for name in ("train", "check")
    ),
    *(
        Attack(f"{name} mounts the hospital's secrets", MOUNTS, adds(container(name), "volumeMounts", SECRETS), case)
        for case, names in (
            *(("train", ("train", "check")), ("train-initial", ("init", "train"))),
            *(("evaluate", ("train", "check")), ("statistics", ("train",))),
        )
        for name in names
    ),
    Attack(
        "isolation mounts the hospital's secrets", MOUNTS, sets(container("isolation"), {"volumeMounts": [SECRETS]})
    ),
    Attack(
        "prepare takes its secrets from elsewhere", MOUNTS, sets(mount("prepare", "secrets"), {"name": "workspace"})
    ),
    Attack("prepare leaves its secrets elsewhere", MOUNTS, sets(mount("prepare", "secrets"), {"subPath": "states"})),
    Attack("prepare makes its secrets anew", MOUNTS, sets(mount("prepare", "secrets"), {"name": "memory"})),
    Attack(
        "train sees the secrets as its checkpoint", MOUNTS, sets(mount("train", "checkpoint"), {"subPath": "secrets"})
    ),
    Attack("train writes the state that it reads", MOUNTS, sets(mount("train", "state/in"), {"readOnly": GONE})),
    *(
        Attack(f"train reads {path!r} as its state", MOUNTS, sets(mount("train", "state/in"), {"subPath": path}))
        for path in (
            "secrets",
            "states",
            "states/",
            f"states/{UID}/x",
            f"states/{UID.upper()}",
            f"checkpoints/{UID}",
            UID,
        )
    ),
    *(
        Attack(f"train leaves its state in {path}", MOUNTS, sets(mount("train", "state/out"), {"subPath": path}))
        for path in ("secrets", "states", "states/none", f"states/{ANOTHER_ROUND}", "checkpoints")
    ),
    Attack("train reads all that is kept as its state", MOUNTS, sets(mount("train", "state/in"), {"subPath": GONE})),
    Attack("train reads a state of another volume", MOUNTS, sets(mount("train", "state/in"), {"name": "workspace"})),
    *(
        Attack(f"{case} leaves a checkpoint", MOUNTS, adds(container("train"), "volumeMounts", CHECKPOINT), case)
        for case in ("evaluate", "statistics")
    ),
    Attack("an evaluation leaves a state", MOUNTS, adds(container("train"), "volumeMounts", LEFT), "evaluate"),
    Attack("statistics reads a state", MOUNTS, adds(container("train"), "volumeMounts", READ), "statistics"),
    Attack("init reads a state", MOUNTS, adds(container("init"), "volumeMounts", READ), "train-initial"),
    Attack("check reads the state", MOUNTS, adds(container("check"), "volumeMounts", READ)),
    *(
        Attack(f"is of the round {uid}", ROUND, sets(labels, {"wardround.io/round-uid": uid}))
        for uid in ("x.y", GONE, "0B6B5A4E-9f5c-4a4e-8f0a-3a4d1c2b9e77")
    ),
    Attack("check writes what it checks", MOUNTS, sets(mount("check", "out"), {"readOnly": GONE})),
    Attack("check misses what it checks", MOUNTS, sets(container("check"), {"volumeMounts": [RAW]})),
    Attack("mounts by expression", "may not have subPathExpr", sets(mount("train", "out"), {"subPathExpr": "$(HOME)"})),
    Attack(
        "propagates mounts", "or mountPropagation", sets(mount("train", "out"), {"mountPropagation": "HostToContainer"})
    ),
]

# These policies apply only to the Job, because a cluster may write such fields into pods for good reasons.
JOB = [
    *(
        Attack(f"marks its pods with {name}", MARKS, sets(template, {"annotations": {name: "x"}}))
        for name in ("k8s.v1.cni.cncf.io/networks", "io.katacontainers.config.hypervisor.path")
    ),
    Attack("marks its pods beside what kubectl shows", MARKS, sets(inside(template, "annotations"), {"internet": "x"})),
    Attack("shows another container", MARKS, sets(inside(template, "annotations"), {SHOWN: "check"})),
    Attack("gives its pods a label that opens doors", MARKS, sets(inside(template, "labels"), {"internet": "allowed"})),
    Attack("keeps its pods from being deleted", MARKS, sets(template, {"finalizers": ["example.org/never"]})),
    Attack("chooses its node", PLACE, sets(pod, {"nodeName": "control-plane"})),
    Attack("pushes others aside", PLACE, sets(pod, {"priorityClassName": "system-node-critical"})),
    Attack("is placed by a scheduler of its choice", PLACE, sets(pod, {"schedulerName": "mine"})),
    Attack("selects its node", NODES, sets(pod, {"nodeSelector": {"kubernetes.io/hostname": "node-1"}})),
    *(
        Attack(f"has the mark {setting}", QUEUE, sets(inside(metadata, "labels"), setting))
        for setting in (
            {"kueue.x-k8s.io/queue-name": "another-department"},
            {"kueue.x-k8s.io/priority-class": "high"},
            {"kueue.x-k8s.io/prebuilt-workload-name": "mine"},
        )
    ),
    *(Attack(f"says {first(setting)} of its place", UNKNOWN, sets(pod, setting)) for setting in PLACES),
    *(
        Attack(f"tolerates {key}, as pods do", TAINTS, sets(pod, {"tolerations": [{"key": key, "operator": "Exists"}]}))
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/memory-pressure", "nvidia.com/gpu")
    ),
    Attack(
        "says how check is resized",
        UNKNOWN_OF_CONTAINERS,
        sets(container("check"), {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]}),
    ),
    *(
        Attack(f"runs with {setting}", ONE_POD, sets(spec, setting))
        for setting in (
            {"parallelism": 2, "completions": 2},
            {"completions": 2},
            {"backoffLimit": 3},
            {"completionMode": "Indexed"},
            {"completionMode": "Indexed", "backoffLimitPerIndex": 1},
            {"completionMode": "Indexed", "successPolicy": {"rules": [{"succeededCount": 1}]}},
            {"managedBy": "example.org/another"},
            {"podFailurePolicy": GONE, "podReplacementPolicy": "TerminatingOrFailed"},
            {"manualSelector": True, "selector": {"matchLabels": {"app.kubernetes.io/name": "wardround"}}},
        )
    ),
    *(
        Attack(f"has pods with {setting}", ONE_POD, sets(pod, setting))
        for setting in ({"activeDeadlineSeconds": GONE}, {"activeDeadlineSeconds": LONGEST + 1})
    ),
    *(
        Attack(f"has the podFailurePolicy {description}", FAILURES, sets(spec, failures(*rules)))
        for description, rules in (
            ("of no rule", ()),
            ("that reads exit codes", (READS_CODES,)),
            ("that reads exit codes too", (DISRUPTED, READS_CODES)),
            ("that fails when disrupted", (DISRUPTED | {"action": "FailJob"},)),
            ("that counts when disrupted", (DISRUPTED | {"action": "Count"},)),
            ("of another condition", ({"action": "Ignore", "onPodConditions": [{"type": "Ready", "status": "True"}]},)),
            ("of what is not so", ({"action": "Ignore", "onPodConditions": [NOT_DISRUPTED]},)),
            ("of two conditions", (DISRUPTED | {"onPodConditions": [*DISRUPTED["onPodConditions"], NOT_DISRUPTED]},)),
        )
    ),
    Attack("cannot be deleted", GOES, sets(metadata, {"finalizers": ["example.org/never"]})),
    Attack("removes itself", STAYS, sets(spec, {"ttlSecondsAfterFinished": 0})),
    Attack("belongs to no task", OWNER, lambda job: sets(lambda _: job["metadata"], {"ownerReferences": GONE})(job)),
    Attack("belongs to another task", OWNER, is_of_another_task),
]

JOB_ATTACKS = {attack.name: attack for attack in JOB}
ATTACKS = {f"{attack.name} ({attack.case})": attack for attack in (*POD, *CONTAINERS, *REFERENCES, *VOLUME)}
