"""Who may write which part of an object at a site. As on the hub, the users here have all rights that RBAC can give."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import condition, keys, site_task

Object = dict[str, Any]
OPERATOR, COURIER = account("hospital-a", "site-operator"), account("hospital-a", "courier")
# The neighbour in the same cluster is a stranger here.
NEIGHBOUR = account("hospital-b", "site-operator")
# What applies the files of a hospital's Git repository.
GITOPS = account("flux-system", "kustomize-controller")
PROCESSES = [COURIER, account("hospital-a", "training"), GITOPS]
ROLE_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/hospital-a/rolebindings"


@pytest.fixture(scope="module")
def site(api: Api) -> Any:
    users = [OPERATOR, *PROCESSES, NEIGHBOUR, "mallory"]
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "all-rights", "namespace": "hospital-a"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"} for user in users],
    }
    api.call("POST", ROLE_BINDINGS, binding)
    api.await_right("mallory", "patch", "sites.wardround.io", "hospital-a")
    api.create(site_task(name="task"), user=OPERATOR)
    yield api
    api.call("DELETE", f"{ROLE_BINDINGS}/all-rights")


def test_the_site_operator_cannot_approve(site: Api) -> None:
    task = site_task(name="self-approved")
    task["spec"]["approved"] = True
    with pytest.raises(Refused, match="Only people of this hospital may set"):
        site.create(task, user=OPERATOR)
    for decision in ({"approved": True}, {"denied": True}, {"decidedBy": OPERATOR}):
        with pytest.raises(Refused, match="Only people of this hospital may set"):
            site.patch("SiteTask", "task", {"spec": decision}, "hospital-a", user=OPERATOR)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("word", [{"approved": True}, {"denied": True}])
def test_no_process_decides_about_a_task(site: Api, process: str, word: Object) -> None:
    """It has all rights, and writes its own name."""
    with pytest.raises(Refused, match="Only people of this hospital may set"):
        site.patch("SiteTask", "task", {"spec": {**word, "decidedBy": process}}, "hospital-a", user=process)


def test_a_person_can_withdraw_an_approval(site: Api) -> None:
    for approved in (True, False):
        decision = {"approved": approved, "denied": not approved, "decidedBy": "mallory"}
        site.patch("SiteTask", "task", {"spec": decision}, "hospital-a", user="mallory")
    site.patch("SiteTask", "task", {"spec": {"denied": False}}, "hospital-a", user="mallory")


@pytest.mark.parametrize("first", ["approved", "denied"])
def test_a_task_is_not_approved_and_denied_at_once(site: Api, first: str) -> None:
    """As a person may try who writes with kubectl alone."""
    second = {"approved": "denied", "denied": "approved"}[first]

    def write(**decision: bool) -> None:
        site.patch("SiteTask", "task", {"spec": {**decision, "decidedBy": "mallory"}}, "hospital-a", user="mallory")

    write(**{first: True})
    with pytest.raises(Refused, match="A task is not approved and denied at once"):
        write(**{second: True})
    write(**{first: False, second: True})
    write(**{second: False})


@pytest.mark.parametrize("word", [{"approved": True}, {"denied": True}])
@pytest.mark.parametrize("by", [None, "alice", "Mallory"])
def test_nobody_decides_about_a_task_in_the_name_of_another_user(site: Api, word: Object, by: str | None) -> None:
    with pytest.raises(Refused, match="decidedBy is the user who sets approved or denied"):
        site.patch("SiteTask", "task", {"spec": {**word, "decidedBy": by}}, "hospital-a", user="mallory")


def decided(verdict: str, by: str) -> Object:
    return {"decision": {"verdict": verdict, "by": by, "at": "2026-11-24T12:00:00Z"}}


def test_the_site_operator_cannot_write_that_a_person_has_decided(site: Api) -> None:
    """It may write the status, and invents a decision, another user, or the contrary."""

    def write(verdict: str, by: str) -> None:
        site.patch_status("SiteTask", "undecided", decided(verdict, by), "hospital-a", user=OPERATOR)

    site.create(site_task(name="undecided"), user=OPERATOR)
    for verdict, by in (("Approve", "mallory"), ("Approve", ""), ("Deny", "mallory")):
        with pytest.raises(Refused, match="has to be the decision in the spec"):
            write(verdict, by)
    denied = {"spec": {"denied": True, "decidedBy": "mallory"}}
    site.patch("SiteTask", "undecided", denied, "hospital-a", user="mallory")
    for verdict, by in (("Approve", "mallory"), ("Deny", "alice")):
        with pytest.raises(Refused, match="has to be the decision in the spec"):
            write(verdict, by)
    write("Deny", "mallory")


def test_an_approval_does_not_apply_to_another_task_of_the_same_name(site: Api) -> None:
    before = site.get("SiteTask", "task", "hospital-a")["metadata"]["uid"]
    approved = {"approved": True, "decidedBy": "mallory"}
    of_another = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}, "spec": approved}
    with pytest.raises(Refused, match="field is immutable"):
        site.patch("SiteTask", "task", of_another, "hospital-a", user="mallory")
    site.patch("SiteTask", "task", of_another | {"metadata": {"uid": before}}, "hospital-a", user="mallory")
    site.patch("SiteTask", "task", {"spec": {"approved": False}}, "hospital-a", user="mallory")


@pytest.mark.parametrize("user", [COURIER, NEIGHBOUR, "mallory", ""])
def test_only_the_hub_makes_and_changes_tasks(site: Api, user: str) -> None:
    with pytest.raises(Refused, match="only the site operator makes it"):
        site.create(site_task(name="forged"), user=user)
    for change in ({"cancel": True}, {"grants": "theirs"}):
        with pytest.raises(Refused, match="only the site operator makes it"):
            site.patch("SiteTask", "task", {"spec": change}, "hospital-a", user=user)


def test_the_site_operator_can_copy_grants(site: Api) -> None:
    site.patch("SiteTask", "task", {"spec": {"grants": "sealed"}}, "hospital-a", user=OPERATOR)


def test_the_courier_reports_what_it_did(site: Api) -> None:
    site.patch_status("SiteTask", "task", {"courier": {"input": "Ready"}}, "hospital-a", user=COURIER)
    site.patch_status("Site", "site", {"courier": {"keys": keys()}}, "hospital-a", user=COURIER)


@pytest.mark.parametrize("user", [OPERATOR, NEIGHBOUR, "mallory", ""])
def test_only_the_courier_writes_its_part_of_a_status(site: Api, user: str) -> None:
    with pytest.raises(Refused, match="Only the courier may change"):
        site.patch_status("SiteTask", "task", {"courier": {"reason": "Invented"}}, "hospital-a", user=user)
    forged = {"courier": {"keys": keys() | {"signing": "Q" * 124}}}
    with pytest.raises(Refused, match="Only the courier may change"):
        site.patch_status("Site", "site", forged, "hospital-a", user=user)


@pytest.mark.parametrize("user", [COURIER, NEIGHBOUR, "mallory"])
@pytest.mark.parametrize(
    "change",
    [
        {"conditions": [condition("Trained")]},
        {"failure": {"class": "Site", "reason": "Denied"}},
        {"timeline": [{"stage": "Trained", "time": "2026-01-01T00:00:00Z"}]},
        {"verdicts": [{"reference": "heart-1", "outcome": "Better"}]},
        {"observedGeneration": 9},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_courier_derives_no_conditions(site: Api, user: str, change: Object) -> None:
    with pytest.raises(Refused, match="only the site operator"):
        site.patch_status("SiteTask", "task", change, "hospital-a", user=user)


def test_the_site_operator_derives_conditions(site: Api) -> None:
    site.patch_status("SiteTask", "task", {"conditions": [condition("Accepted")]}, "hospital-a", user=OPERATOR)
    site.patch_status("Site", "site", {"conditions": [condition("Ready")]}, "hospital-a", user=OPERATOR)


@pytest.mark.parametrize("change", [{"conditions": [condition("Ready", "False")]}, {"observedGeneration": 9}])
def test_the_courier_writes_only_its_keys_into_the_site(site: Api, change: Object) -> None:
    with pytest.raises(Refused, match="only the site operator"):
        site.patch_status("Site", "site", change, "hospital-a", user=COURIER)
