"""The one shape of pod that a site admits. Each attack changes one thing of a Job that is admitted, and is told what it is.

Jobs are made with the site operator's own account and rights; pods, which it cannot make, by the administrator.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.integration.api import Api, Refused, account
from tests.integration.conftest import Helm
from tests.integration.objects import OURS, ROOT, TRAINER, pod_of, site_values, training_job

Object = dict[str, Any]
OPERATOR = account("hospital-a", "site-operator")
CASES = ["train", "train-initial", "train-accelerator", "statistics", "evaluate"]
OTHER = "registry.example/other@sha256:" + "d" * 64
# (what is done, to which golden case, the change, words of the refusal)
ATTACKS: dict[str, tuple[str, Callable[[Object], object], str]] = {}


def attack(name: str, words: str, case: str = "train") -> Callable[[Callable[[Object], object]], None]:
    def add(change: Callable[[Object], object]) -> None:
        ATTACKS[name] = (case, change, words)

    return add


def pod(job: Object) -> Object:
    spec: Object = job["spec"]["template"]["spec"]
    return spec


def labels(job: Object) -> Object:
    found: Object = job["spec"]["template"]["metadata"]["labels"]
    return found


def container(job: Object, name: str) -> Object:
    spec = pod(job)
    return next(each for each in spec["initContainers"] + spec["containers"] if each["name"] == name)


def volume(job: Object, name: str) -> Object:
    found: Object = next(each for each in pod(job)["volumes"] if each["name"] == name)
    return found


def mount(job: Object, of: str, path: str) -> Object:
    found: Object = next(each for each in container(job, of)["volumeMounts"] if each["mountPath"] == path)
    return found


ROLE, UID = "set the label wardround.io/role to training", "label wardround.io/task-uid"
for role in ("courier", "operator", "extraction"):
    attack(f"carries the role {role}", ROLE)(lambda job, role=role: labels(job).update({"wardround.io/role": role}))  # type: ignore[misc]
attack("carries no role", ROLE)(lambda job: labels(job).pop("wardround.io/role"))
attack("carries no task", UID)(lambda job: labels(job).pop("wardround.io/task-uid"))
attack("names a folder as its task", UID)(lambda job: labels(job).update({"wardround.io/task-uid": "x.y"}))

ACCOUNT = "runs as the service account training"
for name in ("courier", "site-operator"):
    attack(f"uses the account {name}", ACCOUNT)(lambda job, name=name: pod(job).update(serviceAccountName=name))  # type: ignore[misc]
attack("mounts a token", ACCOUNT)(lambda job: pod(job).update(automountServiceAccountToken=True))
attack("leaves the token to the default", ACCOUNT)(lambda job: pod(job).pop("automountServiceAccountToken"))
attack("learns of services", "enableServiceLinks false")(lambda job: pod(job).update(enableServiceLinks=True))
for host in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
    attack(f"sets {host}", "shares no namespace")(lambda job, host=host: pod(job).update({host: True}))  # type: ignore[misc]


@attack("restarts its containers", "restartPolicy Never")
def _(job: Object) -> None:
    pod(job)["restartPolicy"] = "OnFailure"
    job["spec"].pop("podFailurePolicy")


POD_SECURITY = "The securityContext of a training pod"
for setting in (
    {"runAsUser": 0, "runAsNonRoot": False},
    {"runAsUser": 1000},
    {"runAsNonRoot": False},
    {"seccompProfile": {"type": "Unconfined"}},
    {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
    {"seLinuxOptions": {"type": "spc_t"}},
    {"appArmorProfile": {"type": "Unconfined"}},
):
    attack(f"pod security {setting}", POD_SECURITY)(
        lambda job, setting=setting: pod(job)["securityContext"].update(setting)  # type: ignore[misc]
    )
attack("has no pod security", POD_SECURITY)(lambda job: pod(job).pop("securityContext"))

ORDER = "has the init containers prepare, isolation, init"
attack("brings a container", ORDER)(
    lambda job: pod(job)["containers"].append(container(job, "check") | {"name": "extra"})
)
attack("brings an init container", ORDER)(
    lambda job: pod(job)["initContainers"].append(container(job, "check") | {"name": "extra"})
)
attack("skips the gate", ORDER)(lambda job: pod(job)["initContainers"].pop(0))
attack("stops watching", ORDER)(lambda job: pod(job)["initContainers"].pop(1))
attack("trains before the gate", ORDER)(lambda job: pod(job)["initContainers"].reverse())
attack("renames check", ORDER)(lambda job: container(job, "check").update(name="chock"))

for ours in ("prepare", "isolation", "check"):
    attack(f"{ours} runs another image", "run the image of the site chart")(
        lambda job, ours=ours: container(job, ours).update(image=TRAINER)  # type: ignore[misc]
    )
IMAGES = "policy.images of the site chart"
attack("trains with an image off the list", IMAGES)(lambda job: container(job, "train").update(image=OTHER))
attack("initialises with an image off the list", IMAGES, "train-initial")(
    lambda job: container(job, "init").update(image=OTHER)
)
attack("trains with a tag", IMAGES)(lambda job: container(job, "train").update(image="trainer:latest"))

COMMAND = "have a command and no args"
for ours in ("prepare", "isolation", "check"):
    attack(f"{ours} runs something else", COMMAND)(
        lambda job, ours=ours: container(job, ours).update(command=["python", "-c", "print()"])  # type: ignore[misc]
    )
    attack(f"{ours} gets arguments", COMMAND)(
        lambda job, ours=ours: container(job, ours).update(args=["--help"])  # type: ignore[misc]
    )
attack("train runs our courier", COMMAND, "statistics")(
    lambda job: container(job, "train").update(command=["python", "-m", "wardround", "courier"])
)
attack("train has another verb", COMMAND)(lambda job: container(job, "train").update(command=["sh", "-c"]))
attack("train has no command", COMMAND)(lambda job: container(job, "train").pop("command"))
attack("scores what was trained", COMMAND)(
    lambda job: container(job, "check").update(command=["python", "-m", "wardround", "score"])
)
attack("checks what was predicted", COMMAND, "evaluate")(
    lambda job: container(job, "check").update(command=["python", "-m", "wardround", "check"])
)
attack("isolation ends", "only isolation, has restartPolicy Always")(
    lambda job: container(job, "isolation").pop("restartPolicy")
)
attack("train goes on beside check", "only isolation, has restartPolicy Always")(
    lambda job: container(job, "train").update(restartPolicy="Always")
)

ENVIRONMENT = "nothing comes from Secrets"
SECRET = {"secretKeyRef": {"name": "courier-keys", "key": "signing"}}
for each in ("prepare", "isolation", "train", "check"):
    attack(f"{each} gets a Secret as a variable", ENVIRONMENT)(
        lambda job, each=each: container(job, each).update(env=[{"name": "WARDROUND_TASK", "valueFrom": SECRET}])  # type: ignore[misc]
    )
    attack(f"{each} gets a Secret as its environment", ENVIRONMENT)(
        lambda job, each=each: container(job, each).update(envFrom=[{"secretRef": {"name": "courier-keys"}}])  # type: ignore[misc]
    )
    attack(f"{each} loads other code", ENVIRONMENT)(
        lambda job, each=each: container(job, each).update(env=[{"name": "PYTHONPATH", "value": "/wardround/raw"}])  # type: ignore[misc]
    )

SECOND_WAY = "second way to run or reach something"
EXEC = {"exec": {"command": ["cat", "/wardround/private/labels.parquet"]}}
for setting in (
    {"lifecycle": {"postStart": EXEC}},
    {"livenessProbe": EXEC},
    {"readinessProbe": EXEC},
    {"startupProbe": EXEC},
    {"workingDir": "/wardround/out"},
    {"stdin": True},
    {"tty": True},
    {"ports": [{"containerPort": 80}]},
    {"volumeDevices": [{"name": "dataset", "devicePath": "/dev/patients"}]},
):
    attack(f"check has {next(iter(setting))}", SECOND_WAY)(
        lambda job, setting=setting: container(job, "check").update(setting)  # type: ignore[misc]
    )
attack("prepare imports from its folder", SECOND_WAY)(
    lambda job: container(job, "prepare").update(workingDir="/wardround/raw")
)
for setting in (
    {"terminationMessagePath": "/wardround/raw/cases.csv"},
    {"terminationMessagePolicy": "FallbackToLogsOnError"},
):
    attack(f"prepare tells by {next(iter(setting))}", "must not become part of an API object")(
        lambda job, setting=setting: container(job, "prepare").update(setting)  # type: ignore[misc]
    )

for setting in (
    {"allowPrivilegeEscalation": True},
    {"allowPrivilegeEscalation": True, "privileged": True},
    {"readOnlyRootFilesystem": False},
    {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}},
    {"capabilities": {"drop": ["NET_RAW"]}},
    {"runAsUser": 0},
    {"runAsNonRoot": False},
    {"seccompProfile": {"type": "Unconfined"}},
    {"appArmorProfile": {"type": "Unconfined"}},
    {"seLinuxOptions": {"type": "spc_t"}},
):
    attack(f"container security {setting}", "securityContext of each container")(
        lambda job, setting=setting: container(job, "train")["securityContext"].update(setting)  # type: ignore[misc]
    )
attack("has no container security", "securityContext of each container")(
    lambda job: container(job, "train").pop("securityContext")
)

VOLUMES = "The volumes of a training pod are"
for source in (
    {"secret": {"secretName": "courier-keys"}},
    {"secret": {"secretName": "hub-credentials"}},
    {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    {"hostPath": {"path": "/"}},
    {"configMap": {"name": "courier-pins"}},
    {"persistentVolumeClaim": {"claimName": "other"}},
):
    attack(f"brings the volume {source}", VOLUMES)(
        lambda job, source=source: pod(job)["volumes"].append({"name": "more", **source})  # type: ignore[misc]
    )
for name in ("dataset", "memory", "out", "workspace"):
    attack(f"{name} is a Secret", "No Secret, ConfigMap, projected")(
        lambda job, name=name: (  # type: ignore[misc]
            volume(job, name).clear(),
            next(v for v in pod(job)["volumes"] if not v).update(name=name, secret={"secretName": "courier-keys"}),
        )
    )
attack("keeps the view on a disk", "medium Memory")(lambda job: volume(job, "memory")["emptyDir"].pop("medium"))

CLAIMS = "raw data appears under no other name"
for name in ("workspace", "state"):
    attack(f"{name} is the dataset", CLAIMS)(
        lambda job, name=name: volume(job, name)["persistentVolumeClaim"].update(claimName="breast-data")  # type: ignore[misc]
    )
    attack(f"the dataset is {name}", CLAIMS)(
        lambda job, name=name: volume(job, "dataset")["persistentVolumeClaim"].update(claimName=name)  # type: ignore[misc]
    )
attack("can write the dataset", CLAIMS)(lambda job: volume(job, "dataset")["persistentVolumeClaim"].pop("readOnly"))

MOUNTS = "exactly the mounts of docs/contracts.md"
RAW = {"name": "dataset", "mountPath": "/wardround/raw", "readOnly": True}
for each in ("train", "check"):
    attack(f"{each} mounts the raw dataset", MOUNTS)(
        lambda job, each=each: container(job, each)["volumeMounts"].append(RAW)  # type: ignore[misc]
    )
attack("isolation mounts the raw dataset", MOUNTS)(lambda job: container(job, "isolation").update(volumeMounts=[RAW]))
attack("init mounts the raw dataset", MOUNTS, "train-initial")(
    lambda job: container(job, "init")["volumeMounts"].append(RAW)
)
attack("statistics mounts the raw dataset", MOUNTS, "statistics")(
    lambda job: container(job, "train")["volumeMounts"].append(RAW)
)
attack("prepare writes the raw dataset", MOUNTS)(lambda job: mount(job, "prepare", "/wardround/raw").pop("readOnly"))
attack("train swaps the view for the raw dataset", MOUNTS)(
    lambda job: (
        mount(job, "train", "/wardround/data").pop("subPath"),
        mount(job, "train", "/wardround/data").update(name="dataset"),
    )
)
attack("train sees the labels", MOUNTS)(
    lambda job: mount(job, "train", "/wardround/data").update(subPath="private")
)
attack("train sees all of the memory volume", MOUNTS)(lambda job: mount(job, "train", "/wardround/data").pop("subPath"))
attack("train writes the view", MOUNTS)(lambda job: mount(job, "train", "/wardround/data").pop("readOnly"))
attack("train writes the update", MOUNTS)(
    lambda job: container(job, "train")["volumeMounts"].append(dict(mount(job, "check", "/wardround/update")))
)
attack("train reads another task's base", MOUNTS)(
    lambda job: mount(job, "train", "/wardround/base").update(subPath="tasks/00000000-0000-0000-0000-000000000000/in")
)
attack("check writes another task's update", MOUNTS)(
    lambda job: mount(job, "check", "/wardround/update").update(
        subPath="tasks/00000000-0000-0000-0000-000000000000/update"
    )
)
attack("train reads all checkpoints", MOUNTS)(lambda job: mount(job, "train", "/wardround/checkpoint").pop("subPath"))
attack("check writes what it checks", MOUNTS)(lambda job: mount(job, "check", "/wardround/out").pop("readOnly"))
attack("check mounts the checkpoints", MOUNTS)(
    lambda job: container(job, "check")["volumeMounts"].append({"name": "state", "mountPath": "/state"})
)
attack("check misses what it checks", MOUNTS)(lambda job: container(job, "check")["volumeMounts"].pop(0))
attack("mounts by expression", "no subPathExpr")(
    lambda job: mount(job, "train", "/wardround/out").update(subPathExpr="$(HOME)")
)
attack("propagates mounts", "no mountPropagation")(
    lambda job: mount(job, "train", "/wardround/out").update(mountPropagation="HostToContainer")
)


@pytest.fixture(scope="module")
def site(api: Api) -> Api:
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "nvidia"}
    api.call("POST", "/apis/node.k8s.io/v1/runtimeclasses", runtime)
    return api


@pytest.mark.parametrize("case", CASES)
def test_what_the_site_operator_builds_is_admitted(site: Api, case: str) -> None:
    site.create(training_job(case), user=OPERATOR, dry_run=True)
    site.create(pod_of(training_job(case)), dry_run=True)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_job_of_another_shape_is_refused_and_told_why(site: Api, name: str) -> None:
    case, change, words = ATTACKS[name]
    job = training_job(case)
    change(job)
    with pytest.raises(Refused) as refusal:
        site.create(job, user=OPERATOR, dry_run=True)
    assert "ValidatingAdmissionPolicy" in str(refusal.value)
    assert words in str(refusal.value)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_pod_of_another_shape_is_refused_whoever_makes_it(site: Api, name: str) -> None:
    case, change, words = ATTACKS[name]
    job = training_job(case)
    change(job)
    with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
        site.create(pod_of(job), dry_run=True)


def test_a_bare_pod_is_refused(site: Api) -> None:
    spec = {"serviceAccountName": "training", "containers": [{"name": "shell", "image": "busybox"}]}
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell", "namespace": "hospital-a"}, "spec": spec}
    with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
        site.create(bare, dry_run=True)


def deployments(helm: Helm) -> dict[str, Object]:
    chart = str(ROOT / "charts/site")
    text = helm.ok("template", "wardround-site", chart, "--namespace", "hospital-a", "--values", helm.values(site_values("site-a")))
    documents = [each for each in yaml.safe_load_all(text) if each]
    return {each["metadata"]["name"]: each for each in documents if each["kind"] == "Deployment"}


@pytest.mark.parametrize("name", ["site-operator", "courier"])
def test_only_the_charts_own_deployments_run_as_operator_and_courier(site: Api, helm: Helm, name: str) -> None:
    template = deployments(helm)[name]["spec"]["template"]
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-1", "namespace": "hospital-a", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }
    with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
        site.create(made, dry_run=True)
    for kind, group, owner, admitted in [
        ("ReplicaSet", "apps/v1", f"{name}-5d4f", True),
        ("ReplicaSet", "apps/v1", "other-5d4f", False),
        ("Job", "batch/v1", f"{name}-5d4f", False),
    ]:
        reference = {"apiVersion": group, "kind": kind, "name": owner, "uid": "u", "controller": True}
        owned = {**made, "metadata": {**made["metadata"], "ownerReferences": [reference]}}
        if admitted:
            site.create(owned, dry_run=True)
        else:
            with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
                site.create(owned, dry_run=True)


def test_nobody_debugs_a_training_pod(site: Api) -> None:
    running = pod_of(training_job())
    site.create(running)
    name = running["metadata"]["name"]
    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox", "targetContainerName": "train"}]}}
    with pytest.raises(Refused, match="No debug containers here"):
        site.patch("Pod", name, debug, "hospital-a", subresource="ephemeralcontainers")
    site.delete("Pod", name, "hospital-a")


def test_each_site_in_a_cluster_has_its_own_allow_list(api: Api, helm: Helm) -> None:
    values = site_values("site-b")
    values["policy"]["images"] = [OTHER]
    helm.install("wardround-site", "site", "hospital-b", values)
    operator = account("hospital-b", "site-operator")
    job = training_job(namespace="hospital-b")
    container(job, "train")["image"] = OTHER
    _until_admitted(api, job, operator)
    with pytest.raises(Refused, match=IMAGES):
        api.create(training_job(namespace="hospital-b"), user=operator, dry_run=True)
    api.create(training_job(), user=OPERATOR, dry_run=True)


def _until_admitted(api: Api, job: Object, user: str) -> None:
    """A changed policy works a moment after the change."""
    deadline = time.monotonic() + 30
    while True:
        try:
            api.create(job, user=user, dry_run=True)
        except Refused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def test_other_namespaces_are_left_alone(api: Api) -> None:
    meta = {"namespace": "default"}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", **meta}})
    spec = {"containers": [{"name": "shell", "image": OURS}]}
    api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell", **meta}, "spec": spec}, dry_run=True)
