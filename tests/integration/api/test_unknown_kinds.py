"""The site's policies while the API server does not know a kind of ours: it has just started, or the CRD is gone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab import toolchain
from tests.documentation import inline_commands
from tests.integration.api.apiserver import Api, Refused, until
from tests.integration.api.objects import ROOT, site_values
from tests.integration.cluster import Helm

Object = dict[str, Any]
HERE, ELSEWHERE = "unknown-kinds", "another-team"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
PATHS = {
    "ValidatingAdmissionPolicy": f"{POLICIES}ies",
    "ValidatingAdmissionPolicyBinding": f"{POLICIES}ybindings",
}
UNKNOWN = "failed to find resource referenced by paramKind"
POD = {"containers": [{"name": "main", "image": "busybox"}], "restartPolicy": "Never"}
LABELS = {"labels": {"app": "main"}}
DEPLOYMENT = {
    "selector": {"matchLabels": LABELS["labels"]},
    "template": {"metadata": LABELS, "spec": {**POD, "restartPolicy": "Always"}},
}
WORKLOADS = {
    "pods": ("/api/v1", "v1", "Pod", POD),
    "jobs": ("/apis/batch/v1", "batch/v1", "Job", {"template": {"spec": POD}}),
    "deployments": ("/apis/apps/v1", "apps/v1", "Deployment", DEPLOYMENT),
}


@pytest.fixture(scope="module")
def unknowing(bare: Api, helm: Helm) -> Iterator[Api]:
    """An API server with the policies of a further site, whose parameters have kinds that it does not know."""
    for namespace in (HERE, ELSEWHERE):
        bare.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        account = {"name": "default", "namespace": namespace}
        bare.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    chart, values = str(ROOT / "charts" / "site"), helm.values(site_values("site-a"))
    text = helm.ok("template", "wardround", chart, "--namespace", HERE, "--values", values)
    parts = [each for each in yaml.safe_load_all(text) if each and each["kind"] in PATHS]
    asking = [each for each in parts if "paramKind" in each["spec"]]
    names = {each["metadata"]["name"] for each in asking}
    for each in asking:
        each["spec"]["paramKind"]["kind"] += "OfNoCRD"
    made = [*asking, *(each for each in parts if each["spec"].get("policyName") in names)]
    for each in made:
        bare.call("POST", PATHS[each["kind"]], each)
    yield bare
    _run_the_documented_deletion(bare)
    left = [item for path in PATHS.values() for item in bare.call("GET", path)["items"]]
    assert [each["metadata"]["name"] for each in left if HERE in each["metadata"]["name"]] == []
    for namespace in (HERE, ELSEWHERE):
        bare.delete("Namespace", namespace, "")


def _run_the_documented_deletion(api: Api) -> None:
    [command] = [each for each in inline_commands("docs/operations.md") if each.startswith("kubectl get validating")]
    kubectl = toolchain.tool("kubectl")
    environment = {"KUBECONFIG": str(api.kubeconfig), "PATH": f"{kubectl.parent}:/usr/bin:/bin", "HOME": "/nonexistent"}
    script = f"set -o pipefail; {command.replace('NAMESPACE', HERE)}"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def refusal(api: Api, resource: str, namespace: str) -> str:
    """Why the API server admits no such workload; empty if it does."""
    group, version, kind, spec = WORKLOADS[resource]
    item = {"apiVersion": version, "kind": kind, "metadata": {"name": "main"}, "spec": spec}
    try:
        api.call("POST", f"{group}/namespaces/{namespace}/{resource}?dryRun=All", item)
    except Refused as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("resource", WORKLOADS)
def test_only_the_sites_namespace_waits_until_the_kinds_are_known(unknowing: Api, resource: str) -> None:
    until("the policy is in force", lambda: UNKNOWN in refusal(unknowing, resource, HERE))
    assert refusal(unknowing, resource, ELSEWHERE) == ""
