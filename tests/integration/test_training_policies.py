"""The one shape of pod that a site admits. Each attack changes one thing of a Job that is admitted.

Jobs are made with the site operator's own account and rights; pods, which it cannot make, by the administrator.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from tests.integration.api import Api, Refused, account
from tests.integration.attacks import ATTACKS, OTHER, THEIR_IMAGE, container
from tests.integration.conftest import Helm
from tests.integration.objects import OURS, ROOT, pod_of, site_values, training_job

Object = dict[str, Any]
OPERATOR = account("hospital-a", "site-operator")
CASES = ["train", "train-initial", "train-accelerator", "statistics", "evaluate"]


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
def test_what_the_site_operator_builds_is_admitted(site: Api, case: str) -> None:
    site.create(training_job(case), user=OPERATOR, dry_run=True)
    site.create(pod_of(training_job(case)), dry_run=True)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_job_of_another_shape_is_refused_and_told_why(site: Api, name: str) -> None:
    attack = ATTACKS[name]
    job = training_job(attack.case)
    attack.change(job)
    with pytest.raises(Refused) as refusal:
        site.create(job, user=OPERATOR, dry_run=True)
    assert "ValidatingAdmissionPolicy" in str(refusal.value)
    assert attack.words in str(refusal.value)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_pod_of_another_shape_is_refused_whoever_makes_it(site: Api, name: str) -> None:
    attack = ATTACKS[name]
    job = training_job(attack.case)
    attack.change(job)
    with pytest.raises(Refused, match="ValidatingAdmissionPolicy"):
        site.create(pod_of(job), dry_run=True)


def test_a_bare_pod_is_refused(site: Api) -> None:
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


def test_no_pod_is_born_with_a_debug_container(site: Api) -> None:
    """The API server itself sees to this, so the policies need no rule of their own."""
    debug = [{"name": "debug", "image": "busybox"}]
    job = training_job()
    job["spec"]["template"]["spec"]["ephemeralContainers"] = debug
    with pytest.raises(Refused, match="ephemeralContainers"):
        site.create(job, user=OPERATOR, dry_run=True)
    with pytest.raises(Refused, match="ephemeralContainers"):
        site.create(pod_of(job), dry_run=True)


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
    container("train")(job)["image"] = OTHER
    _until_admitted(api, job, operator)
    with pytest.raises(Refused, match=THEIR_IMAGE):
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
