"""The real garbage collector and the policies of a site: what it deletes, and that each deletion ends.

The cluster is the module's own one, because this garbage collector deletes whatever has no owner any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import toolchain
from lab.apiserver import apiserver
from lab.processes import Process
from tests.integration.api.apiserver import Api, Refused, account, until
from tests.integration.api.objects import approval, site_task, site_values
from tests.integration.cluster import Helm
from wardround.kube.resources import RESOURCES

Object = dict[str, Any]
SITE = "hospital-a"
OPERATOR = account(SITE, "site-operator")
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
GONE: Object = {
    "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "5b0d4a0e-1f3c-4f4e-9f0a-1c2d"}
    ]
}
# The garbage collector deletes the Approval of an owner that is gone in less than a second here.
LONG = 5.0
HELD = "get no finalizers and no ownerReferences"


def denial(name: str) -> Object:
    return approval(name, author="admin", verdict="Deny", maxRounds=0, maxEvaluations=0, until=None)


def task(name: str) -> Object:
    return site_task(name=name)


Make = Callable[[str], Object]
# Who makes an object of each kind. The administrator's name is `admin`.
MADE: list[tuple[Make, str]] = [(denial, ""), (task, OPERATOR)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A cluster with a site, and the two controllers that end objects and namespaces."""
    folder = tmp_path_factory.mktemp("collected")
    with apiserver(folder) as server:
        api = Api(server.kubeconfig)
        helm = Helm(toolchain.tool("helm"), server.kubeconfig, folder)
        helm.install("wardround-crds", "crds", "default", {}, "--wait")
        helm.install("wardround-site", "site", SITE, site_values("site-a"))
        controllers = Process("kube-controller-manager", folder)
        controllers.start(
            [
                *("setpriv", "--pdeathsig", "KILL"),
                str(toolchain.tool("kube-controller-manager")),
                f"--kubeconfig={server.kubeconfig}",
                "--controllers=garbage-collector-controller,namespace-controller",
                "--use-service-account-credentials",
                "--leader-elect=false",
                "--secure-port=0",
            ]
        )
        try:
            until("the policies refuse", lambda: refused(api))
            yield api
        finally:
            controllers.stop()
            api.close()


def refused(api: Api) -> bool:
    for make, user in MADE:
        item = make("held")
        item["metadata"] |= GONE
        try:
            api.create(item, user=user, dry_run=True)
        except Refused as refusal:
            if HELD in str(refusal):
                continue
        return False
    return True


def exists(api: Api, kind: str, name: str) -> bool:
    items = api.call("GET", RESOURCES[kind].path(SITE))["items"]
    return name in [each["metadata"]["name"] for each in items]


def dependent(api: Api, owner: Object, name: str) -> None:
    """A ConfigMap of this owner, for which the owner's deletion waits."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {"name": name, "namespace": SITE, "ownerReferences": [reference]}
    api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
@pytest.mark.parametrize(("make", "user"), MADE)
def test_each_deletion_ends(site: Api, make: Make, user: str, policy: str) -> None:
    """The API server gives finalizers to an object whose deletion waits, and the garbage collector removes them."""
    item = make(f"ends-{policy.lower()}")
    kind, name = item["kind"], item["metadata"]["name"]
    dependent(site, site.create(item, user=user), f"{kind.lower()}-{name}")
    site.call("DELETE", f"{RESOURCES[kind].path(SITE, name)}?propagationPolicy={policy}")
    until(f"{kind} {name} is gone", lambda: not exists(site, kind, name), 60)
    if policy == "Orphan":
        orphan = site.get("ConfigMap", f"{kind.lower()}-{name}", SITE)
        assert not orphan["metadata"].get("ownerReferences")
    else:
        until("its ConfigMap is gone", lambda: not exists(site, "ConfigMap", f"{kind.lower()}-{name}"), 60)


@pytest.mark.parametrize(("make", "user"), MADE)
def test_a_right_to_patch_is_no_right_to_delete(site: Api, make: Make, user: str) -> None:
    item = make("stays")
    site.create(item, user=user)
    with pytest.raises(Refused, match=HELD):
        site.patch(item["kind"], "stays", {"metadata": GONE}, SITE)
    time.sleep(LONG)
    assert exists(site, item["kind"], "stays")
    site.delete(item["kind"], "stays", SITE)


@pytest.mark.parametrize(("make", "user"), MADE)
def test_without_the_policy_the_garbage_collector_would_delete_it(site: Api, make: Make, user: str) -> None:
    """The control of the test before."""
    item = make("goes")
    site.create(item, user=user)
    policy = f"{POLICIES}/{item['kind'].lower()}.{SITE}.wardround.io"
    binding = site.call("GET", policy)
    site.call("DELETE", policy)

    def owned() -> bool:
        try:
            site.patch(item["kind"], "goes", {"metadata": GONE}, SITE)
        except Refused:
            return False
        return True

    try:
        until("nothing refuses the owner", owned)
        until("the garbage collector deletes it", lambda: not exists(site, item["kind"], "goes"), LONG)
    finally:
        binding["metadata"] = {"name": binding["metadata"]["name"], "labels": binding["metadata"]["labels"]}
        site.call("POST", POLICIES, binding)
        until("the policies refuse", lambda: refused(site))


def test_the_end_of_a_namespace_takes_all_of_them(site: Api) -> None:
    """The last test. The namespace itself waits here for the protection of its claims, of which no controller runs."""
    for make, user in MADE:
        site.create(make("last"), user=user)
    site.call("DELETE", f"/api/v1/namespaces/{SITE}")
    kinds = [make("last")["kind"] for make, _ in MADE]
    until("none of them is left", lambda: not any(exists(site, kind, "last") for kind in kinds), 60)
