"""A site admits only one shape of pod. Each attack changes one thing of an admitted Job.

Jobs are made with the site operator's own account and rights; pods, which it cannot make, as the Job controller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.integration.api.admission import refusal, until_admitted
from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.attack import (
    ALLOWED,
    LIMITS,
    LONGEST,
    NODES,
    OTHER,
    QUEUE,
    RUNTIME,
    TAINTS,
    Attack,
    limited,
)
from tests.integration.api.attacks import ATTACKS, JOB_ATTACKS
from tests.integration.api.jobs import (
    GONE,
    inside,
    metadata,
    pod,
    security,
    sets,
    spec,
    template,
    variable,
)
from tests.integration.api.mount_attacks import MOUNT_ATTACKS
from tests.integration.api.neighbours import NEIGHBOUR, OPERATOR, datasets_of_both_sites
from tests.integration.api.objects import (
    OURS,
    ROOT,
    pod_of,
    reading_job,
    site_values,
    training_job,
)
from tests.integration.api.read_attacks import READ_ATTACKS, READ_JOB_ATTACKS
from tests.integration.cluster import Helm

Object = dict[str, Any]
JOBS, REPLICAS = account("kube-system", "job-controller"), account("kube-system", "replicaset-controller")
CASES = [
    "train",
    "train-initial",
    "statistics",
    "evaluate",
    "evaluate-one-reference",
    "evaluate-two-references",
    "read",
]
EVERY = ATTACKS | READ_ATTACKS
OF_JOBS = JOB_ATTACKS | READ_JOB_ATTACKS


@pytest.fixture(scope="module", autouse=True)
def datasets(api: Api) -> Iterator[None]:
    with datasets_of_both_sites(api):
        yield


@pytest.fixture(scope="module")
def site(api: Api) -> Api:
    runtime = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "nvidia"},
        "handler": "nvidia",
    }
    api.call("POST", "/apis/node.k8s.io/v1/runtimeclasses", runtime)
    return api


@pytest.mark.parametrize("case", CASES)
def test_the_policy_admits_the_job_of_the_site_operator(site: Api, case: str) -> None:
    job = _job(site, case)
    site.create(job, user=OPERATOR, dry_run=True)
    site.create(pod_of(job), user=JOBS, dry_run=True)


@pytest.mark.parametrize(
    "setting",
    [
        {"activeDeadlineSeconds": LONGEST},
        {"podFailurePolicy": GONE},
        {"completionMode": "NonIndexed"},
        {"suspend": True},
    ],
    ids=" ".join,
)
def test_the_policy_admits_optional_fields_of_a_job(site: Api, setting: Object) -> None:
    job = training_job()
    sets(spec, setting)(job)
    site.create(job, user=OPERATOR, dry_run=True)


def test_the_policy_admits_a_job_without_the_annotation_for_kubectl(site: Api) -> None:
    """Earlier site operators create such Jobs during an upgrade of the chart."""
    job = training_job()
    sets(template, {"annotations": GONE})(job)
    site.create(job, user=OPERATOR, dry_run=True)


@pytest.mark.parametrize("attack", [*EVERY.values(), *OF_JOBS.values()], ids=[*EVERY, *OF_JOBS])
def test_the_policy_refuses_a_job_of_another_shape_and_says_why(site: Api, attack: Attack) -> None:
    job = _job(site, attack.case)
    attack.change(job)
    with pytest.raises(Refused) as refusal:
        site.create(job, user=OPERATOR, dry_run=True)
    assert attack.explains(str(refusal.value))


@pytest.mark.parametrize("attack", MOUNT_ATTACKS.values(), ids=MOUNT_ATTACKS)
def test_the_policy_refuses_a_mount_outside_the_table(site: Api, attack: Attack) -> None:
    job = _job(site, attack.case)
    attack.change(job)
    with pytest.raises(Refused, match=attack.words):
        site.create(job, user=OPERATOR, dry_run=True)


@pytest.mark.parametrize("name", EVERY)
def test_the_policy_refuses_a_pod_of_another_shape(site: Api, name: str) -> None:
    attack = EVERY[name]
    job = _job(site, attack.case)
    attack.change(job)
    with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
        site.create(pod_of(job), user=JOBS, dry_run=True)


@pytest.mark.parametrize("case", CASES)
def test_only_the_job_controller_makes_pods(site: Api, case: str) -> None:
    """Only Jobs are compared with their Dataset and DataSchema. A person's pod could read any claim by another schema,
    with a split and a count of evaluations of its own."""
    refusal = "Only the Job controller makes pods in this namespace"
    made = pod_of(training_job(case))
    for user in ("", REPLICAS):
        with pytest.raises(Refused, match=refusal):
            site.create(made, user=user, dry_run=True)
    for change in ({"controller": False}, {"kind": "ReplicaSet", "apiVersion": "apps/v1"}):
        [owner] = made["metadata"]["ownerReferences"]
        other = {**made, "metadata": {**made["metadata"], "ownerReferences": [{**owner, **change}]}}
        with pytest.raises(Refused, match=refusal):
            site.create(other, user=JOBS, dry_run=True)
    site.create(made, user=JOBS, dry_run=True)


@pytest.mark.parametrize("mark", ["annotations", "labels"])
def test_the_policy_admits_the_clusters_own_additions_to_pods(site: Api, mark: str) -> None:
    """LimitRange, Kueue, and webhooks of the cluster's administrators add fields to new pods."""
    marked = pod_of(training_job())
    marked["metadata"][mark] = {**marked["metadata"].get(mark, {}), "kubernetes.io/limit-ranger": "by-the-cluster"}
    site.create(marked, user=JOBS, dry_run=True)


@pytest.mark.parametrize("mark", ["k8s.v1.cni.cncf.io/networks", "v1.multus-cni.io/default-network"])
def test_the_policy_refuses_a_pod_that_joins_another_network(site: Api, mark: str) -> None:
    joined = pod_of(training_job())
    joined["metadata"]["annotations"] = {mark: "internet"}
    with pytest.raises(Refused, match="may not join a second network"):
        site.create(joined, user=JOBS, dry_run=True)


# What the golden Job with accelerators is of. Kubernetes' own defaults, and tolerations with and without a time.
PLACED: Object = {
    "runtimeClassName": "nvidia",
    "nodeSelector": {"accelerator": "h100"},
    "limits": {"cpu": "8", "memory": "32Gi"},
    "queueName": "gpu",
    "tolerations": [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "pool", "operator": "Equal", "value": "federated", "effect": "NoExecute", "tolerationSeconds": 3600},
    ],
}


def test_a_site_admits_pods_only_with_its_placement(api: Api, helm: Helm) -> None:
    values = site_values("site-b")
    values["workload"] = PLACED
    helm.install("wardround-site", "site", "hospital-b", values)
    there = training_job("train-accelerator", "hospital-b")
    until_admitted(api, there, NEIGHBOUR)
    for words, change in (
        (RUNTIME, sets(pod, {"runtimeClassName": GONE})),
        (RUNTIME, sets(pod, {"runtimeClassName": "gvisor"})),
        (NODES, sets(pod, {"nodeSelector": GONE})),
        (NODES, sets(pod, {"nodeSelector": {"accelerator": "a100"}})),
        (NODES, sets(pod, {"nodeSelector": {"accelerator": "h100", "kubernetes.io/hostname": "node-1"}})),
        (QUEUE, sets(inside(metadata, "labels"), {"kueue.x-k8s.io/queue-name": GONE})),
        (QUEUE, sets(inside(metadata, "labels"), {"kueue.x-k8s.io/queue-name": "default"})),
        (LIMITS, limited("train", {"cpu": "8", "memory": "33Gi"})),
        (TAINTS, sets(pod, {"tolerations": [{**PLACED["tolerations"][0], "effect": "NoExecute"}]})),
        (TAINTS, sets(pod, {"tolerations": [{**PLACED["tolerations"][1], "tolerationSeconds": 86400}]})),
    ):
        elsewhere = training_job("train-accelerator", "hospital-b")
        change(elsewhere)
        assert words in refusal(api, elsewhere, NEIGHBOUR)
    for change in (
        sets(pod, {"tolerations": PLACED["tolerations"]}),
        sets(pod, {"tolerations": GONE}),
        limited("train", {"cpu": "8000m", "memory": "32768Mi", "nvidia.com/gpu": "16"}),
    ):
        job = training_job("train-accelerator", "hospital-b")
        change(job)
        assert refusal(api, job, NEIGHBOUR) == ""
    helm.install("wardround-site", "site", "hospital-b", site_values("site-b"))
    until_admitted(api, training_job(namespace="hospital-b"), NEIGHBOUR)


def test_the_policy_admits_additions_of_queues_and_sandboxes(site: Api) -> None:
    """Kueue adds nodes and gates, and Kubernetes adds tolerations and priorities, to pods but never to Jobs."""
    made = pod_of(training_job())
    made["spec"] |= {
        "nodeSelector": {"kueue.example/flavour": "spot"},
        "schedulingGates": [{"name": "kueue.x-k8s.io/topology"}],
        "tolerations": [
            {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "nvidia.com/gpu", "operator": "Exists"},
        ],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "of-the-account"}],
        "hostUsers": False,
    }
    site.create(made, user=JOBS, dry_run=True)


@pytest.mark.parametrize("groups_policy", ["", "Strict", "Merge"])
def test_a_pod_gets_the_groups_of_its_image_only_if_the_chart_allows_them(
    api: Api, helm: Helm, groups_policy: str
) -> None:
    values = site_values("site-b")
    values["workload"] = {"supplementalGroupsPolicy": groups_policy}
    helm.install("wardround-site", "site", "hospital-b", values)
    strict, merging = training_job(namespace="hospital-b"), training_job(namespace="hospital-b")
    security(merging).pop("supplementalGroupsPolicy")
    admitted, refused = (merging, strict) if groups_policy == "Merge" else (strict, merging)
    until_admitted(api, admitted, NEIGHBOUR)
    assert "supplementalGroupsPolicy" in refusal(api, refused, NEIGHBOUR)
    policy = api.get("Site", "site", "hospital-b")["spec"]["workload"]["supplementalGroupsPolicy"]
    assert policy == security(admitted).get("supplementalGroupsPolicy", "")
    helm.install("wardround-site", "site", "hospital-b", site_values("site-b"))
    until_admitted(api, training_job(namespace="hospital-b"), NEIGHBOUR)


@pytest.mark.parametrize(
    ("version", "strict"), [("1.30.0", False), ("1.35.9", False), ("1.36.0", True), ("1.37.2-gke.1", True)]
)
def test_a_chart_omits_the_policy_of_groups_on_older_clusters(helm: Helm, version: str, strict: bool) -> None:
    chart, values = str(ROOT / "charts/site"), helm.values(site_values("site-a"))
    text = helm.ok("template", "s", chart, "--namespace", "hospital-a", "--values", values, "--kube-version", version)
    [site] = [each for each in yaml.safe_load_all(text) if each and each["kind"] == "Site"]
    assert site["spec"]["workload"]["supplementalGroupsPolicy"] == ("Strict" if strict else "")
    assert ("needs supplementalGroupsPolicy Strict" in text) is strict


def test_a_policy_refuses_a_bare_pod(site: Api) -> None:
    spec = {"serviceAccountName": "training", "containers": [{"name": "shell", "image": "busybox"}]}
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell", "namespace": "hospital-a"}, "spec": spec}
    with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
        site.create(bare, dry_run=True)


def deployments(helm: Helm) -> dict[str, Object]:
    chart = str(ROOT / "charts/site")
    text = helm.ok(
        "template", "wardround-site", chart, "--namespace", "hospital-a", "--values", helm.values(site_values("site-a"))
    )
    documents = [each for each in yaml.safe_load_all(text) if each]
    return {each["metadata"]["name"]: each for each in documents if each["kind"] == "Deployment"}


@pytest.mark.parametrize("name", ["site-operator", "courier"])
def test_only_the_charts_deployments_run_as_operator_and_courier(site: Api, helm: Helm, name: str) -> None:
    template = deployments(helm)[name]["spec"]["template"]
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-1", "namespace": "hospital-a", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }
    with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
        site.create(made, dry_run=True)
    for kind, group, owner, user, admitted in [
        ("ReplicaSet", "apps/v1", f"{name}-5d4f", REPLICAS, True),
        ("ReplicaSet", "apps/v1", "other-5d4f", REPLICAS, False),
        ("ReplicaSet", "apps/v1", f"{name}-of-mine-5d4f", REPLICAS, False),
        ("Job", "batch/v1", f"{name}-5d4f", REPLICAS, False),
        # The creator of a pod can name any ReplicaSet as its owner.
        ("ReplicaSet", "apps/v1", f"{name}-5d4f", "", False),
        ("ReplicaSet", "apps/v1", f"{name}-5d4f", account("kube-system", "job-controller"), False),
    ]:
        reference = {"apiVersion": group, "kind": kind, "name": owner, "uid": "u", "controller": True}
        owned = {**made, "metadata": {**made["metadata"], "ownerReferences": [reference]}}
        if admitted:
            site.create(owned, user=user, dry_run=True)
        else:
            with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
                site.create(owned, user=user, dry_run=True)


def test_the_policy_refuses_a_pod_with_a_debug_container(site: Api) -> None:
    """The API server itself refuses this, so the policies need no rule."""
    debug = [{"name": "debug", "image": "busybox"}]
    job = training_job()
    job["spec"]["template"]["spec"]["ephemeralContainers"] = debug
    with pytest.raises(Refused, match="ephemeralContainers"):
        site.create(job, user=OPERATOR, dry_run=True)
    with pytest.raises(Refused, match="ephemeralContainers"):
        site.create(pod_of(job), user=JOBS, dry_run=True)


def test_nobody_can_debug_a_training_pod(site: Api) -> None:
    running = pod_of(training_job())
    site.create(running, user=JOBS)
    name = running["metadata"]["name"]
    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox", "targetContainerName": "train"}]}}
    with pytest.raises(Refused, match="admits no debug containers"):
        site.patch("Pod", name, debug, "hospital-a", subresource="ephemeralcontainers")
    site.delete("Pod", name, "hospital-a")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spec": {"containers": [{"name": "check", "image": OTHER}]}}, "keep the images"),
        ({"spec": {"initContainers": [{"name": "train", "image": OTHER}]}}, "keep the images"),
        ({"metadata": {"labels": {"wardround.io/role": "courier"}}}, "keep the label wardround.io/role"),
        ({"metadata": {"labels": {"wardround.io/role": None}}}, "keep the label wardround.io/role"),
        ({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "second"}}}, "keep the annotations that name"),
        (
            {"metadata": {"annotations": {"v1.multus-cni.io/default-network": "second"}}},
            "keep the annotations that name",
        ),
    ],
    ids=["image", "image of an init container", "role", "no role", "a second network", "another network"],
)
def test_an_admitted_pod_cannot_be_changed(site: Api, change: Object, words: str) -> None:
    """Kubernetes lets users change the images of a running pod, and its labels select its network policy."""
    running = pod_of(training_job())
    site.create(running, user=JOBS)
    name = running["metadata"]["name"]
    try:
        with pytest.raises(Refused, match=words):
            site.call(
                "PATCH",
                f"/api/v1/namespaces/hospital-a/pods/{name}",
                change,
                kind_of_body="application/strategic-merge-patch+json",
            )
        if "metadata" in change:
            with pytest.raises(Refused, match=words):
                site.patch("Pod", name, change, "hospital-a", subresource="status")
        site.patch("Pod", name, {"metadata": {"labels": {"seen": "yes"}, "finalizers": None}}, "hospital-a")
        # As the kubelet does.
        site.patch_status("Pod", name, {"phase": "Running"}, "hospital-a")
    finally:
        site.delete("Pod", name, "hospital-a")


def test_a_training_pod_keeps_its_limits(site: Api) -> None:
    """Kubernetes lets users resize the containers of a running pod."""
    running = site.create(pod_of(training_job()), user=JOBS)
    path = f"/api/v1/namespaces/hospital-a/pods/{running['metadata']['name']}/resize"
    change = {"spec": {"containers": [{"name": "check", "resources": {"limits": {"cpu": "7"}}}]}}
    try:
        with pytest.raises(Refused, match="keeps the resources that it was admitted with"):
            site.call("PATCH", path, change, kind_of_body="application/strategic-merge-patch+json")
    finally:
        site.delete("Pod", running["metadata"]["name"], "hospital-a")


BINDINGS: list[tuple[Object, str]] = [
    ({"labels": {"wardround.io/role": "courier"}}, "may not have the label wardround.io/role"),
    ({"annotations": {"k8s.v1.cni.cncf.io/networks": "second"}}, "may not have an annotation that names a network"),
]


def bind(api: Api, pod: Object, metadata: Object, path: str) -> None:
    """As the scheduler does."""
    name = pod["metadata"]["name"]
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": "hospital-a", **metadata},
        "target": {"kind": "Node", "name": "node"},
    }
    api.call("POST", f"/api/v1/namespaces/hospital-a/{path.format(name)}", binding)


@pytest.mark.parametrize("path", ["pods/{}/binding", "bindings"])
def test_a_binding_changes_neither_role_nor_networks(site: Api, path: str) -> None:
    """The API server copies its labels and annotations onto the pod."""
    waiting = site.create(pod_of(training_job()), user=JOBS)
    name = waiting["metadata"]["name"]
    try:
        for metadata, words in BINDINGS:
            with pytest.raises(Refused, match=words):
                bind(site, waiting, metadata, path)
        bind(site, waiting, {"labels": {"topology.kubernetes.io/zone": "one"}}, path)
        bound = site.get("Pod", name, "hospital-a")
        assert bound["spec"]["nodeName"] == "node"
        assert bound["metadata"]["labels"]["wardround.io/role"] == "training"
    finally:
        site.call("DELETE", f"/api/v1/namespaces/hospital-a/pods/{name}?gracePeriodSeconds=0")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "{}",
        lambda text: text + " ",
        lambda text: text.replace('"16"', '"1"'),
        lambda text: text.replace('"16"', '"16","minimum":"1"'),
        lambda text: text.replace('{"minimum":"16"}', "{}"),
        lambda text: text.replace('"hidden"', '"steps"'),
        lambda text: text[:-1] + ',"steps":{}}',
        lambda text: "$(WARDROUND_TASK)",
    ],
    ids=["nothing", "none", "a blank", "less", "a bound twice", "no bound", "another", "one more", "a variable"],
)
def test_the_policy_refuses_other_parameters_than_the_charts(site: Api, change: Callable[[str], str]) -> None:
    job = training_job()
    item = variable("WARDROUND_ALLOWED_PARAMETERS")(job)
    assert change(item["value"]) != item["value"]
    item["value"] = change(item["value"])
    assert ALLOWED in refusal(site, job, OPERATOR)


def _job(api: Api, case: str) -> Object:
    if case != "read":
        return training_job(case)
    return reading_job(api.get("Dataset", "breast", "hospital-a")["metadata"]["uid"])


def test_the_policy_ignores_other_namespaces(api: Api) -> None:
    meta = {"namespace": "default"}
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", **meta}})
    spec = {"containers": [{"name": "shell", "image": OURS}]}
    api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell", **meta}, "spec": spec}, dry_run=True)
