"""Another team of the hub's cluster has an account named `site`, too: the hub's policies leave it alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api.apiserver import Api, account

Object = dict[str, Any]
TEAM = "team-web"
ITS_SITE, ITS_DEPLOYER = account(TEAM, "site"), account(TEAM, "deployer")
ROLE_BINDINGS = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{TEAM}/rolebindings"
ROLES = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{TEAM}/roles"
LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "site", "namespace": TEAM}}


@pytest.fixture(scope="module")
def team(api: Api) -> Iterator[Api]:
    """A team's namespace, with the rights that a program of its own needs."""
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
    for name in ("site", "deployer"):
        api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": TEAM}})
    rules = [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "update", "patch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
    ]
    made = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "leads"}}
    api.call("POST", ROLES, {**made, "kind": "Role", "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "leads"}
    users = [{"kind": "User", "name": ITS_SITE, "apiGroup": "rbac.authorization.k8s.io"}]
    api.call("POST", ROLE_BINDINGS, {**made, "kind": "RoleBinding", "roleRef": role, "subjects": users})
    api.await_right(ITS_SITE, "create", "leases.coordination.k8s.io", TEAM)
    yield api
    api.delete("Namespace", TEAM, "")


def test_it_leads_with_a_lease_of_any_content(team: Api) -> None:
    lease = {**LEASE, "spec": {"holderIdentity": "x" * 100}}
    path = f"/apis/coordination.k8s.io/v1/namespaces/{TEAM}/leases?fieldManager=its-own"
    team.call("POST", path, lease, user=ITS_SITE)
    labels = {"metadata": {"labels": {"its": "own"}}}
    path = f"/apis/coordination.k8s.io/v1/namespaces/{TEAM}/leases/site?fieldManager=its-own"
    team.call("PATCH", path, labels, user=ITS_SITE, kind_of_body="application/merge-patch+json")


@pytest.mark.parametrize("user", [ITS_SITE, ""])
@pytest.mark.parametrize("name", ["site", "deployer"])
def test_it_gets_tokens_of_any_life_and_for_any_service(team: Api, name: str, user: str) -> None:
    wanted = {"expirationSeconds": 100_000, "audiences": ["vault"]}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": wanted}
    path = f"/api/v1/namespaces/{TEAM}/serviceaccounts/{name}/token"
    assert team.call("POST", path, request, user=user)["status"]["token"]
