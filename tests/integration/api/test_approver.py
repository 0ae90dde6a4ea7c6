"""The Role of docs/operations.md for people who approve tasks: it lets them approve, and do nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.documentation import section
from tests.e2e.test_documentation import APPROVER
from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import approval, site_task

SITE, PERSON = "hospital-a", "approver"
RBAC = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SITE}"
OPERATOR = account(SITE, "site-operator")


@pytest.fixture(scope="module")
def site(api: Api) -> Iterator[Api]:
    [block] = section(*APPROVER)
    role, binding = yaml.safe_load_all(block.filled({"SITE_NAMESPACE": SITE}))
    # The page's group, and this person in it: the API server of the tests impersonates users.
    binding["subjects"].append({"kind": "User", "name": PERSON, "apiGroup": "rbac.authorization.k8s.io"})
    api.call("POST", f"{RBAC}/roles", role)
    api.call("POST", f"{RBAC}/rolebindings", binding)
    api.await_right(PERSON, "patch", "sitetasks.wardround.io", SITE)
    api.create(site_task(name="to-approve"), user=OPERATOR)
    yield api
    api.delete("SiteTask", "to-approve", SITE)
    api.call("DELETE", f"{RBAC}/rolebindings/{binding['metadata']['name']}")
    api.call("DELETE", f"{RBAC}/roles/{role['metadata']['name']}")


def test_the_approver_can_approve(site: Api) -> None:
    decision = {"approved": True, "decidedBy": PERSON}
    site.patch("SiteTask", "to-approve", {"spec": decision}, SITE, user=PERSON)
    assert site.get("SiteTask", "to-approve", SITE)["spec"]["approved"] is True


def test_the_approver_can_approve_a_model_and_withdraw_that(site: Api) -> None:
    site.create(approval("by-approver", author=PERSON), user=PERSON)
    site.patch("Approval", "by-approver", {"spec": {"withdrawnBy": PERSON}}, SITE, user=PERSON)
    site.delete("Approval", "by-approver", SITE)


def test_the_approver_can_change_nothing_else_of_a_task(site: Api) -> None:
    with pytest.raises(Refused, match="only the site operator makes it"):
        site.patch("SiteTask", "to-approve", {"spec": {"cancel": True}}, SITE, user=PERSON)
    with pytest.raises(Refused, match="forbidden"):
        site.create(site_task(name="forged"), user=PERSON)


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("delete", "sitetasks.wardround.io"),
        ("delete", "approvals.wardround.io"),
        ("patch", "sites.wardround.io"),
        ("get", "datasets.wardround.io"),
        ("get", "secrets"),
        ("get", "pods"),
        ("create", "pods"),
        ("create", "jobs.batch"),
    ],
)
def test_the_approver_has_no_other_right(site: Api, verb: str, resource: str) -> None:
    assert not site.may(PERSON, verb, resource, SITE)
