"""Nobody gives Approvals and SiteTasks owners or finalizers, or changes their labels: a program would delete them.

test_garbage_collection.py has the real garbage collector, which reads the owners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.documentation import section
from tests.e2e.test_documentation import APPROVER
from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import approval, site_task
from wardround.kube.resources import RESOURCES

Object = dict[str, Any]
SITE, HELD = "hospital-a", "held"
OPERATOR, COURIER = account(SITE, "site-operator"), account(SITE, "courier")
COLLECTOR = account("kube-system", "generic-garbage-collector")
# Of the documented Role: a person, and an account to which a hospital has given the Role by mistake.
APPROVER_USER, PROGRAM = "approver", account("tools", "approver")
# With all rights in the namespace.
MALLORY = "mallory"
KINDS = ("Approval", "SiteTask")
OWNERS = "get no finalizers and no ownerReferences"
NOTES = "Labels and annotations of a"
NO_PROCESS = "No service account may write an Approval"
RBAC = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SITE}"
UID = "5b0d4a0e-1f3c-4f4e-9f0a-1c2d3e4f5a6b"


def subject(user: str) -> Object:
    return {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}


@pytest.fixture(scope="module")
def site(api: Api) -> Iterator[Api]:
    """With an Approval and a SiteTask `held`, and a ConfigMap `lives`."""
    [block] = section(*APPROVER)
    role, binding = yaml.safe_load_all(block.filled({"SITE_NAMESPACE": SITE}))
    role["metadata"]["name"] = binding["metadata"]["name"] = binding["roleRef"]["name"] = "approver-of-owners"
    binding["subjects"] = [subject(user) for user in (APPROVER_USER, PROGRAM)]
    everything: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "all-rights-of-owners", "namespace": SITE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [subject(MALLORY), subject(COLLECTOR)],
    }
    api.call("POST", f"{RBAC}/roles", role)
    for each in (binding, everything):
        api.call("POST", f"{RBAC}/rolebindings", each)
    for user in (APPROVER_USER, PROGRAM, MALLORY, COLLECTOR):
        api.await_right(user, "patch", "sitetasks.wardround.io", SITE)
    # Another person has denied this model.
    api.create(approval(HELD, verdict="Deny", maxRounds=0, maxEvaluations=0, until=None, author="admin"))
    api.create(site_task(name=HELD), user=OPERATOR)
    api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lives", "namespace": SITE}})
    yield api
    for kind, name in (("Approval", HELD), ("SiteTask", HELD), ("ConfigMap", "lives")):
        api.delete(kind, name, SITE)
    for each in (binding, everything):
        api.call("DELETE", f"{RBAC}/rolebindings/{each['metadata']['name']}")
    api.call("DELETE", f"{RBAC}/roles/{role['metadata']['name']}")


def gone(_: Api) -> Object:
    """An owner that does not exist."""
    return {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": UID}]}


def living(site: Api) -> Object:
    """An owner that a person can delete later."""
    uid = site.get("ConfigMap", "lives", SITE)["metadata"]["uid"]
    return {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "lives", "uid": uid}]}


def blocked(site: Api) -> Object:
    """An owner whose deletion waits for the object."""
    [owner] = living(site)["ownerReferences"]
    return {"ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}]}


def kept(_: Api) -> Object:
    return {"finalizers": ["example.org/never"]}


def foreground(_: Api) -> Object:
    return {"finalizers": ["foregroundDeletion"]}


def orphaned(_: Api) -> Object:
    return {"finalizers": ["orphan"]}


HOLDS: list[Callable[[Api], Object]] = [gone, living, blocked, kept, foreground, orphaned]


def change(kind: str, metadata: Object) -> Object:
    return {
        "apiVersion": RESOURCES[kind].api_version,
        "kind": kind,
        "metadata": {"name": HELD, "namespace": SITE, **metadata},
    }


def patched(site: Api, kind: str, metadata: Object, user: str) -> None:
    site.patch(kind, HELD, {"metadata": metadata}, SITE, user=user, dry_run=True)


def patched_by_operations(site: Api, kind: str, metadata: Object, user: str) -> None:
    """RFC 6902."""
    path = RESOURCES[kind].path(SITE, HELD) + "?dryRun=All"
    steps: Any = [{"op": "add", "path": f"/metadata/{name}", "value": value} for name, value in metadata.items()]
    site.call("PATCH", path, steps, user=user, kind_of_body="application/json-patch+json")


def applied(site: Api, kind: str, metadata: Object, user: str) -> None:
    """The whole object, by server-side apply."""
    whole = {**change(kind, metadata), "spec": site.get(kind, HELD, SITE)["spec"]}
    _apply(site, whole, user)


def applied_alone(site: Api, kind: str, metadata: Object, user: str) -> None:
    """The metadata alone, by server-side apply."""
    _apply(site, change(kind, metadata), user)


def _apply(site: Api, item: Object, user: str) -> None:
    path = RESOURCES[item["kind"]].path(SITE, HELD) + "?fieldManager=other&force=true&dryRun=All"
    site.call("PATCH", path, item, user=user, kind_of_body="application/apply-patch+yaml")


def updated(site: Api, kind: str, metadata: Object, user: str) -> None:
    item = site.get(kind, HELD, SITE)
    item["metadata"] |= metadata
    site.call("PUT", RESOURCES[kind].path(SITE, HELD) + "?dryRun=All", item, user=user)


WAYS = [patched, patched_by_operations, applied, applied_alone]
# The documented Role has no right to `update`.
WRITERS = [*((APPROVER_USER, way) for way in WAYS), *((MALLORY, way) for way in (*WAYS, updated))]


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize(("user", "way"), WRITERS)
@pytest.mark.parametrize("kind", KINDS)
def test_nobody_lets_the_garbage_collector_delete_an_approval_or_a_task(
    site: Api, kind: str, user: str, way: Callable[[Api, str, Object, str], None], hold: Callable[[Api], Object]
) -> None:
    with pytest.raises(Refused, match=OWNERS):
        way(site, kind, hold(site), user)


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("way", WAYS)
def test_neither_the_site_operator_nor_a_program_of_the_role_does_so_to_a_task(
    site: Api, way: Callable[[Api, str, Object, str], None], hold: Callable[[Api], Object]
) -> None:
    for user in (OPERATOR, PROGRAM):
        with pytest.raises(Refused, match=OWNERS):
            way(site, "SiteTask", hold(site), user)
    with pytest.raises(Refused, match=NO_PROCESS):
        way(site, "Approval", hold(site), PROGRAM)


@pytest.mark.parametrize("hold", HOLDS)
def test_none_is_made_with_owners_or_finalizers(site: Api, hold: Callable[[Api], Object]) -> None:
    for item, user in ((approval("new", author=APPROVER_USER), APPROVER_USER), (site_task(name="new"), OPERATOR)):
        item["metadata"] |= hold(site)
        with pytest.raises(Refused, match=OWNERS):
            site.create(item, user=user, dry_run=True)
        whole = RESOURCES[item["kind"]].path(SITE, "new") + "?fieldManager=other&dryRun=All"
        with pytest.raises(Refused, match=OWNERS):
            site.call("PATCH", whole, item, user=user, kind_of_body="application/apply-patch+yaml")


@pytest.mark.parametrize(("user", "kind"), [(OPERATOR, "Approval"), (OPERATOR, "SiteTask"), (COURIER, "SiteTask")])
@pytest.mark.parametrize("hold", [*HOLDS, lambda _: {"labels": {"a": "b"}, "annotations": {"a": "b"}}])
def test_who_writes_a_status_writes_no_metadata(site: Api, user: str, kind: str, hold: Callable[[Api], Object]) -> None:
    """The API server ignores the metadata of such a request."""
    before = site.get(kind, HELD, SITE)["metadata"]
    site.patch(kind, HELD, {"metadata": hold(site)}, SITE, user=user, subresource="status")
    after = site.get(kind, HELD, SITE)["metadata"]
    for each in (before, after):
        each.pop("managedFields", None)
        each.pop("resourceVersion")
    assert after == before


LABELS = {"app.kubernetes.io/instance": "of-argo-cd"}
NOTED: dict[str, Object] = {
    "a label": {"labels": LABELS},
    "a label of ours": {"labels": {"wardround.io/round": "another"}},
    "an annotation": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}},
    "an annotation of ours": {"annotations": {"wardround.io/cancelled": "x"}},
}


@pytest.mark.parametrize("name", NOTED)
@pytest.mark.parametrize(("user", "way"), WRITERS)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_and_annotations_by_which_programs_delete_never_change(
    site: Api, kind: str, user: str, way: Callable[[Api, str, Object, str], None], name: str
) -> None:
    with pytest.raises(Refused, match=NOTES):
        way(site, kind, NOTED[name], user)


@pytest.mark.parametrize("notes", ["labels", "annotations"])
def test_nobody_removes_a_label_or_an_annotation(site: Api, notes: str) -> None:
    noted = approval("noted", author=APPROVER_USER)
    noted["metadata"][notes] = {"wardround.io/of": "a-person"}
    site.create(noted, user=APPROVER_USER)
    labelled = site_task(name="noted")
    labelled["metadata"]["labels"] = {"wardround.io/round": "train-1"}
    site.create(labelled, user=OPERATOR)
    try:
        for user in (APPROVER_USER, MALLORY):
            with pytest.raises(Refused, match=NOTES):
                site.patch("Approval", "noted", {"metadata": {notes: None}}, SITE, user=user)
        for user in (APPROVER_USER, MALLORY, OPERATOR):
            with pytest.raises(Refused, match=NOTES):
                site.patch("SiteTask", "noted", {"metadata": {"labels": None}}, SITE, user=user)
    finally:
        for kind in KINDS:
            site.delete(kind, "noted", SITE)


@pytest.mark.parametrize("notes", [{"labels": LABELS}, {"annotations": {"wardround.io/cancelled": "x"}}], ids=str)
def test_the_site_operator_makes_no_task_with_notes_for_other_programs(site: Api, notes: Object) -> None:
    item = site_task(name="new")
    item["metadata"] |= notes
    with pytest.raises(Refused, match=NOTES):
        site.create(item, user=OPERATOR, dry_run=True)


def test_a_person_withdraws_with_kubectl_apply(site: Api) -> None:
    """kubectl notes in an annotation what it has applied."""
    key = "kubectl.kubernetes.io/last-applied-configuration"
    item = approval("applied", author=APPROVER_USER)
    item["metadata"]["annotations"] = {key: "{}"}
    site.create(item, user=APPROVER_USER)
    try:
        withdrawn = {"metadata": {"annotations": {key: "{ }"}}, "spec": {"withdrawnBy": APPROVER_USER}}
        site.patch("Approval", "applied", withdrawn, SITE, user=APPROVER_USER)
    finally:
        site.delete("Approval", "applied", SITE)
