"""The policy admits only one shape of the hub operator's Job and of its pod. Each attack changes one thing.

Jobs are made with the hub operator's own account and rights; pods, which it cannot make, as the Job controller.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.integration.api.admission import until_admitted, until_refused
from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.jobs import (
    GONE,
    WEAKER,
    Change,
    adds,
    container,
    inside,
    labels,
    metadata,
    mount,
    pod,
    security,
    sets,
    spec,
    volume,
)
from tests.integration.api.objects import HUB, OURS, ROOT, TRAINER, hub_values, pod_of
from tests.integration.api.unset_fields import Schemas, value_at
from tests.integration.cluster import Helm

Object = dict[str, Any]
OPERATOR = account(HUB, "hub-operator")
JOBS, REPLICAS = account("kube-system", "job-controller"), account("kube-system", "replicaset-controller")
AGGREGATE = container("aggregate")
OWN_SECURITY = inside(AGGREGATE, "securityContext")
LIMITS = inside(inside(AGGREGATE, "resources"), "limits")


def aggregation() -> Object:
    """Returns the Job that the hub operator creates, from the golden file of its builder."""
    job: Object = next(yaml.safe_load_all((ROOT / "tests/unit/golden/aggregation.yaml").read_text()))
    return job


def made_by(owner: str, api_version: str, name: str, job: Object) -> Object:
    """Returns the pod that this controller creates for the Job."""
    made = pod_of({**job, "metadata": {**job["metadata"], "namespace": HUB}})
    reference = {"apiVersion": api_version, "kind": owner, "name": name, "uid": "u", "controller": True}
    made["metadata"] |= {"name": f"{name}-x", "ownerReferences": [reference]}
    return made


def a_privileged_host(job: Object) -> None:
    """Without this policy, the hub operator could create this pod."""
    pod(job)["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    AGGREGATE(job)["volumeMounts"].append({"name": "host", "mountPath": "/host"})
    AGGREGATE(job).update(image=TRAINER, command=["sh"], securityContext={"privileged": True})


def brings(key: str) -> Change:
    def change(job: Object) -> None:
        pod(job).setdefault(key, []).append({**AGGREGATE(job), "name": "extra"})

    return change


HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")
STORE = {"persistentVolumeClaim": {"claimName": "store"}}
EXTERNAL = {"store": {"external": {"endpoint": "https://s3.example"}}}
PROBE = {"exec": {"command": ["true"]}}
SECRET = {"secretKeyRef": {"name": "hub-signing-key", "key": "key"}}
# Changes of the pod. The policy refuses them in a Job and in a pod.
POD: dict[str, Change] = {
    "is a privileged host": a_privileged_host,
    "runs as the operator": sets(pod, {"serviceAccountName": "hub-operator"}),
    "has a token": sets(pod, {"automountServiceAccountToken": True}),
    "learns of services": sets(pod, {"enableServiceLinks": True}),
    **{
        f"sets {name}": sets(pod, {name: True})
        for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")
    },
    "stays": sets(pod, {"terminationGracePeriodSeconds": 86400}),
    "names a scheduler": sets(pod, {"schedulerName": "theirs"}),
    "names hosts": sets(pod, {"hostAliases": [{"ip": "203.0.113.9", "hostnames": ["store"]}]}),
    "asks another resolver": sets(pod, {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["203.0.113.9"]}}),
    "brings a container": brings("containers"),
    "brings an init container": brings("initContainers"),
    "is the store to network policies": sets(labels, {"wardround.io/role": "store"}),
    "has no role": sets(labels, {"wardround.io/role": GONE}),
    "runs another image": sets(AGGREGATE, {"image": TRAINER}),
    "runs a tag": sets(AGGREGATE, {"image": OURS.partition("@")[0] + ":latest"}),
    "runs a command": sets(AGGREGATE, {"command": ["sh", "-c", "true"]}),
    "runs another verb": sets(AGGREGATE, {"args": ["courier"]}),
    "runs without a verb": sets(AGGREGATE, {"args": GONE}),
    "has an environment": sets(AGGREGATE, {"env": [{"name": "PYTHONPATH", "value": "/tmp"}]}),
    "has a Secret in its environment": sets(AGGREGATE, {"env": [{"name": "KEY", "valueFrom": SECRET}]}),
    "has a whole Secret in its environment": sets(AGGREGATE, {"envFrom": [{"secretRef": {"name": "hub-signing-key"}}]}),
    **{
        f"has {next(iter(setting))}": sets(AGGREGATE, setting)
        for setting in (
            {"lifecycle": {"postStart": PROBE}},
            {"livenessProbe": PROBE},
            {"readinessProbe": PROBE},
            {"startupProbe": PROBE},
            {"workingDir": "/tmp"},
            {"stdin": True},
            {"tty": True},
            {"ports": [{"containerPort": 80}]},
            {"terminationMessagePath": "/wardround/aggregation/plan.json"},
            {"terminationMessagePolicy": "FallbackToLogsOnError"},
        )
    },
    "has no container security": sets(AGGREGATE, {"securityContext": GONE}),
    **{f"has the container security {setting}": sets(OWN_SECURITY, setting) for setting in WEAKER},
    "has no pod security": sets(pod, {"securityContext": GONE}),
    **{
        f"has the pod security {setting}": sets(security, setting)
        for setting in (
            {"runAsUser": 1000},
            {"runAsGroup": 0},
            {"fsGroup": 6},
            {"runAsNonRoot": False},
            {"supplementalGroups": [6]},
            {"seccompProfile": {"type": "Unconfined"}},
            {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
            {"seLinuxOptions": {"type": "spc_t"}},
        )
    },
    "has no limits": sets(inside(AGGREGATE, "resources"), {"limits": GONE}),
    "takes a node's memory": sets(LIMITS, {"memory": "1Ti"}),
    "has more scratch than the chart allows": sets(inside(volume("scratch"), "emptyDir"), {"sizeLimit": "20481Mi"}),
    "has scratch without a limit": sets(inside(volume("scratch"), "emptyDir"), {"sizeLimit": GONE}),
    "has scratch on the host": sets(volume("scratch"), {"emptyDir": GONE, "hostPath": {"path": "/"}}),
    "has scratch in memory": sets(inside(volume("scratch"), "emptyDir"), {"medium": "Memory"}),
    "fills a node's disk": sets(inside(volume("tmp"), "emptyDir"), {"sizeLimit": "1Ti"}),
    "asks for a device": sets(LIMITS, {"example.com/nic": "1"}),
    "claims a device": sets(pod, {"resourceClaims": [{"name": "nic", "resourceClaimName": "nic"}]}),
    **{
        f"brings the volume {next(iter(source))}": adds(pod, "volumes", {"name": "more", **source})
        for source in (
            {"secret": {"secretName": "hub-signing-key"}},
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
            {"hostPath": {"path": "/"}},
            {"configMap": {"name": "wardround-hub"}},
            STORE,
        )
    },
    "reads another Secret": sets(inside(volume("plan"), "secret"), {"secretName": "hub-signing-key"}),
    "reads the store's volume": sets(volume("tmp"), {"emptyDir": GONE, **STORE}),
    "reads the host": sets(volume("tmp"), {"emptyDir": GONE, "hostPath": {"path": "/"}}),
    "writes into memory": sets(volume("tmp"), {"emptyDir": {"medium": "Memory"}}),
    "writes its plan": sets(mount("aggregate", "aggregation"), {"readOnly": False}),
    "hides its program": adds(AGGREGATE, "volumeMounts", {"name": "tmp", "mountPath": "/usr"}),
}
# Changes of the Job only. A pod does not have these fields, or gets them from the cluster's admission.
JOB: dict[str, Change] = {
    "has another runtime": sets(pod, {"runtimeClassName": "theirs"}),
    "has another name": lambda job: job["metadata"].update(name="backup"),
    "chooses a node": sets(pod, {"nodeName": "control-plane"}),
    "selects a node": sets(pod, {"nodeSelector": {"node-role.kubernetes.io/control-plane": ""}}),
    "tolerates all": sets(pod, {"tolerations": [{"operator": "Exists"}]}),
    "is urgent": sets(pod, {"priorityClassName": "system-cluster-critical"}),
    "pulls with another Secret": sets(pod, {"imagePullSecrets": [{"name": "theirs"}]}),
    "restarts": sets(pod, {"restartPolicy": "OnFailure"}),
    "is marked": sets(labels, {"sidecar.istio.io/inject": "true"}),
    "is marked itself": sets(inside(metadata, "labels"), {"example.org/strange": "x"}),
    "says whatever it likes of its round": sets(
        inside(metadata, "annotations"), {"wardround.io/round-ref": "x" * 1000}
    ),
    "belongs to another object": sets(
        metadata, {"ownerReferences": [{"apiVersion": "v1", "kind": "Secret", "name": "x", "uid": "x"}]}
    ),
    "waits for ever": sets(spec, {"suspend": True}),
    "is replaced while it ends": sets(spec, {"podReplacementPolicy": "TerminatingOrFailed"}),
    "runs twice": sets(spec, {"parallelism": 2, "completions": 2}),
    "runs again": sets(spec, {"backoffLimit": 3}),
    "runs for ever": sets(spec, {"activeDeadlineSeconds": GONE}),
    "runs for a day": sets(spec, {"activeDeadlineSeconds": 86400}),
    "stays when it is over": sets(spec, {"ttlSecondsAfterFinished": GONE}),
    "is somebody else's": sets(spec, {"managedBy": "example.com/theirs"}),
}


def test_the_policy_admits_the_hub_operators_job_and_its_pod(api: Api) -> None:
    """The control: the refusals of the other tests come from their one change."""
    api.create(aggregation(), user=OPERATOR, dry_run=True)
    api.create(pod_of_job(aggregation()), user=JOBS, dry_run=True)


@pytest.mark.parametrize("name", [*POD, *JOB])
def test_the_hub_operator_can_make_no_other_job(api: Api, name: str) -> None:
    job = aggregation()
    {**POD, **JOB}[name](job)
    with pytest.raises(Refused, match=r"aggregation-(job|pod\.jobs)\.wardround-hub") as refused:
        api.create(job, user=OPERATOR, dry_run=True)
    assert refused.value.status == 422


@pytest.mark.parametrize("name", POD)
def test_the_policy_refuses_any_other_pod_of_an_aggregation(api: Api, name: str) -> None:
    job = aggregation()
    POD[name](job)
    with pytest.raises(Refused, match=r"aggregation-pod\.pods\.wardround-hub|violates PodSecurity"):
        api.create(pod_of_job(job), user=JOBS, dry_run=True)


# Valid values, other than the defaults, of fields that the golden Job does not set.
PROFILE, CLAIM = {"type": "Unconfined"}, {"name": "nic", "resourceClaimName": "nic"}
VALUES: Object = {
    "finalizers": ["example.org/never"],
    "completionMode": "Indexed",
    "managedBy": "example.org/theirs",
    "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
    "selector": {"matchLabels": {"wardround.io/role": "aggregation"}},
    "terminationGracePeriodSeconds": 86400,
    "envFrom": [{"secretRef": {"name": "hub-signing-key"}}],
    "imagePullPolicy": "Always",
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "startupProbe": PROBE,
    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
    "restartPolicy": "Never",
    "appArmorProfile": PROFILE,
    "seccompProfile": PROFILE,
    "procMount": "Default",
    "mountPropagation": "HostToContainer",
    "recursiveReadOnly": "Disabled",
    "dnsPolicy": "Default",
    "hostAliases": [{"ip": "203.0.113.9", "hostnames": ["store"]}],
    "initContainers": [{"name": "extra", "image": OURS, "terminationMessagePolicy": "File"}],
    "os": {"name": "linux"},
    "preemptionPolicy": "Never",
    "resourceClaims": [CLAIM],
    "fsGroupChangePolicy": "OnRootMismatch",
    "seLinuxChangePolicy": "MountOption",
    "supplementalGroupsPolicy": "Strict",
    "tolerations": [{"operator": "Exists"}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
}
# The API server accepts these fields in no Job, or only with another field that the policy refuses.
NOT_ALONE = {
    "spec.backoffLimitPerIndex",
    "spec.maxFailedIndexes",
    "spec.successPolicy",
    "spec.manualSelector",
    "spec.selector",
    "spec.template.spec.ephemeralContainers",
    "spec.template.spec.securityContext.seccompProfile.localhostProfile",
    "spec.template.spec.containers.resources.claims",
    "spec.template.spec.containers.resources.requests.example.org/strange",
    "spec.template.spec.containers.restartPolicyRules",
    "spec.template.spec.containers.securityContext.privileged",
    "spec.template.spec.containers.volumeDevices",
}
ONE_SOURCE = "may not specify more than 1 volume type"
# The API server sets these fields of each object.
ITS_OWN = {f"metadata.{name}" for name in ("uid", "resourceVersion", "creationTimestamp", "managedFields")}
# These fields do not change the running program: for example the image's source, or a read-only tmp.
MAY_SAY = {
    "spec.template.metadata.creationTimestamp",
    "spec.template.spec.containers.imagePullPolicy",
    "spec.template.spec.containers.volumeMounts.readOnly",
}


def test_the_policy_admits_only_the_fields_of_the_hub_operators_job(api: Api) -> None:
    """Each case sets one field that the API server knows and the golden Job does not have."""
    admitted: set[str] = set()
    not_asked: dict[str, str] = {}
    admitted_job = api.create(aggregation(), user=OPERATOR, dry_run=True)
    unset = list(Schemas(api, "batch/v1").unset("io.k8s.api.batch.v1.Job", aggregation(), VALUES))
    for each in unset:
        try:
            answer = api.create(each.set_in(aggregation()), user=OPERATOR, dry_run=True)
        except Refused as refused:
            if "ValidatingAdmissionPolicy" not in str(refused) and ONE_SOURCE not in str(refused):
                not_asked[each.name] = str(refused)
            continue
        # What the API server overwrites, does not serve or has as its default is nothing that the Job says.
        if value_at(answer, each.path) != value_at(admitted_job, each.path):
            admitted.add(each.name)
    assert {name: not_asked[name] for name in not_asked.keys() - NOT_ALONE} == {}, "VALUES needs other values"
    assert admitted - ITS_OWN == MAY_SAY
    assert len(unset) > 150


def pod_of_job(job: Object) -> Object:
    return made_by("Job", "batch/v1", job["metadata"]["name"], job)


def lasting(number: int, seconds: int) -> Object:
    """The Job of this aggregation with this deadline."""
    job = aggregation()
    name = job["metadata"]["name"].rpartition("-")[0] + f"-{number}"
    job["metadata"]["name"] = name
    volume("plan")(job)["secret"]["secretName"] = name
    job["spec"]["activeDeadlineSeconds"] = seconds
    return job


def test_only_the_job_that_begins_early_may_run_longer_than_an_hour(api: Api, helm: Helm) -> None:
    helm.install("wardround-hub", "hub", HUB, {**hub_values(), "aggregation": {"earlySeconds": 600}})
    try:
        until_admitted(api, lasting(0, 4200), OPERATOR)
        api.create(lasting(10, 3600), user=OPERATOR, dry_run=True)
        for number, seconds in ((0, 4201), (1, 3601), (10, 4200)):
            with pytest.raises(Refused, match="Only a Job whose name ends in -0"):
                api.create(lasting(number, seconds), user=OPERATOR, dry_run=True)
    finally:
        helm.install("wardround-hub", "hub", HUB, hub_values())
    until_refused(api, lasting(0, 4200), "activeDeadlineSeconds of at most 3600", OPERATOR)


def test_the_policy_ignores_jobs_of_other_accounts(api: Api) -> None:
    backup = aggregation()
    backup["metadata"]["name"] = "backup"
    AGGREGATE(backup).update(image=TRAINER, args=["save"])
    api.create(backup, dry_run=True)
    api.create(pod_of_job(backup), user=JOBS, dry_run=True)


@pytest.mark.parametrize(
    "values", [{}, {"store": {"external": {"endpoint": "https://s3.example"}}}], ids=["own", "external"]
)
def test_the_charts_pods_run_in_a_namespace_with_the_documented_label(api: Api, helm: Helm, values: Object) -> None:
    labels = api.get("Namespace", HUB)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    chart = str(ROOT / "charts/hub")
    text = helm.ok("template", "x", chart, "-n", HUB, "-f", helm.values(hub_values()), "-f", helm.values(values))
    deployments = [each for each in yaml.safe_load_all(text) if each and each["kind"] == "Deployment"]
    assert {each["metadata"]["name"] for each in deployments} == (
        {"hub-operator"} if values else {"hub-operator", "store"}
    )
    for each in deployments:
        made = made_by("ReplicaSet", "apps/v1", f"{each['metadata']['name']}-abc", each)
        api.create(made, user=REPLICAS, dry_run=True)
