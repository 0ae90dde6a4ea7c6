"""Who may approve a model at a hospital, and what nobody can change afterwards.

The users here have all rights beside their own name, so that the admission policies and the kind alone refuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api.apiserver import Api, Refused, account, until
from tests.integration.api.objects import approval, site_task
from wardround.api.approval import MOST_TASKS
from wardround.kube.resources import RESOURCES
from wardround.plans.terms import LONGEST_TERMS

Object = dict[str, Any]
SITE = "hospital-a"
# etcd takes no larger object.
MOST_BYTES = 1_500_000
LONGEST_KEY = 137
OURS = [account(SITE, name) for name in ("site-operator", "courier", "training")]
OPERATOR = OURS[0]
# What applies the files of a hospital's Git repository.
GITOPS = account("flux-system", "kustomize-controller")
PROCESSES = [*OURS, GITOPS]
CONTROLLERS = [account("kube-system", name) for name in ("namespace-controller", "generic-garbage-collector")]
ROLE_BINDINGS = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SITE}/rolebindings"


@pytest.fixture(scope="module")
def site(api: Api) -> Iterator[Api]:
    users = [*PROCESSES, *CONTROLLERS, "alice", "mallory"]
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "all-rights-of-approvals", "namespace": SITE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"} for user in users],
    }
    api.call("POST", ROLE_BINDINGS, binding)
    for user in users:
        api.await_right(user, "create", "approvals.wardround.io", SITE)
    yield api
    api.call("DELETE", f"{ROLE_BINDINGS}/all-rights-of-approvals")


@pytest.fixture
def made(site: Api) -> Iterator[Api]:
    """With an Approval `made` of alice."""
    site.create(approval("made"), user="alice")
    yield site
    site.delete("Approval", "made", SITE)


@pytest.mark.parametrize("user", PROCESSES)
@pytest.mark.parametrize("verdict", [{}, {"verdict": "Deny", "maxRounds": 0, "maxEvaluations": 0, "until": None}])
def test_no_process_makes_an_approval(site: Api, user: str, verdict: Object) -> None:
    for author in (user, "alice"):
        with pytest.raises(Refused, match="Only people approve or deny the tasks of a model"):
            site.create(approval("forged", author=author, **verdict), user=user)


@pytest.mark.parametrize("user", PROCESSES)
def test_no_process_deletes_one_and_a_person_does(site: Api, user: str) -> None:
    site.create(approval("denied", verdict="Deny", maxRounds=0, maxEvaluations=0, until=None), user="alice")
    with pytest.raises(Refused, match="Only people delete an Approval"):
        site.delete("Approval", "denied", SITE, user=user)
    site.delete("Approval", "denied", SITE, user="mallory")


@pytest.mark.parametrize("user", CONTROLLERS)
def test_the_controllers_that_end_a_namespace_delete_one(site: Api, user: str) -> None:
    site.create(approval("ends"), user="alice")
    site.delete("Approval", "ends", SITE, user=user)


def test_the_garbage_collector_ends_a_deletion_that_waits_for_it(site: Api) -> None:
    """As after `kubectl delete --cascade=foreground`. It can change nothing else meanwhile."""
    site.create(approval("waits"), user="alice")
    site.call("DELETE", RESOURCES["Approval"].path(SITE, "waits") + "?propagationPolicy=Foreground", user="alice")
    waits = site.get("Approval", "waits", SITE)["metadata"]
    assert "deletionTimestamp" in waits
    assert waits["finalizers"] == ["foregroundDeletion"]
    collector = CONTROLLERS[-1]
    owned = {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]}
    with pytest.raises(Refused, match="get no finalizers and no ownerReferences"):
        site.patch("Approval", "waits", {"metadata": owned}, SITE, user=collector)
    with pytest.raises(Refused, match="Only people approve or deny the tasks of a model"):
        site.patch("Approval", "waits", {"spec": {"withdrawnBy": collector}}, SITE, user=collector)
    site.patch("Approval", "waits", {"metadata": {"finalizers": []}}, SITE, user=collector)
    with pytest.raises(Refused) as gone:
        site.get("Approval", "waits", SITE)
    assert gone.value.status == 404


@pytest.mark.parametrize("user", PROCESSES)
def test_no_process_withdraws_one(made: Api, user: str) -> None:
    for by in (user, "alice"):
        with pytest.raises(Refused, match="Only people approve or deny the tasks of a model"):
            made.patch("Approval", "made", {"spec": {"withdrawnBy": by}}, SITE, user=user)


@pytest.mark.parametrize("author", ["bob", "Alice", "system:serviceaccount:hospital-a:site-operator"])
def test_nobody_approves_in_the_name_of_another_user(site: Api, author: str) -> None:
    with pytest.raises(Refused, match="author of an Approval is the user who makes it"):
        site.create(approval("forged", author=author), user="alice")


def test_nobody_makes_an_approval_that_another_user_seems_to_have_withdrawn(site: Api) -> None:
    with pytest.raises(Refused, match="author of an Approval is the user who makes it"):
        site.create(approval("forged", withdrawnBy="bob"), user="alice")


def test_a_person_withdraws_an_approval_in_the_own_name_and_for_good(made: Api) -> None:
    for by in ("alice", "bob"):
        with pytest.raises(Refused, match="withdrawnBy of an Approval is the user who withdraws it"):
            made.patch("Approval", "made", {"spec": {"withdrawnBy": by}}, SITE, user="mallory")
    made.patch("Approval", "made", {"spec": {"withdrawnBy": "mallory"}}, SITE, user="mallory")
    for after in (None, "alice"):
        with pytest.raises(Refused, match="A person has withdrawn this Approval"):
            made.patch("Approval", "made", {"spec": {"withdrawnBy": after}}, SITE, user="alice")


@pytest.mark.parametrize(
    "change",
    [
        {"author": "mallory"},
        {"terms": "{ }"},
        {"verdict": "Deny", "maxRounds": 0, "maxEvaluations": 0, "until": None},
        {"maxRounds": 5},
        {"maxEvaluations": 5},
        {"until": "2028-03-31T00:00:00Z"},
    ],
    ids=str,
)
@pytest.mark.parametrize("user", ["alice", "mallory", ""])
def test_nobody_changes_what_was_approved(made: Api, user: str, change: Object) -> None:
    with pytest.raises(Refused, match="The spec of an Approval is immutable"):
        made.patch("Approval", "made", {"spec": change}, SITE, user=user)


def key(uid: str, attempt: int = 1) -> str:
    """By what an Approval counts a task."""
    return f"{uid}/{attempt}/{'0' * 64}"


def test_only_the_site_operator_counts_and_it_cannot_count_down(made: Api) -> None:
    a, b, c, d = map(key, "abcd")

    def count(user: str, *tasks: str) -> None:
        made.patch_status("Approval", "made", {"rounds": len(tasks), "roundTasks": list(tasks)}, SITE, user=user)

    for user in ("alice", OURS[1], ""):
        with pytest.raises(Refused, match="The status of an Approval is written by the site operator alone"):
            count(user, a)
    count(OPERATOR, a, b)
    count(OPERATOR, a, b, c)
    for tasks in ((), (a, b), (d, b, c)):
        with pytest.raises(Refused, match="A task that counts stays counted"):
            count(OPERATOR, *tasks)
    with pytest.raises(Refused, match="A task that counts stays counted"):
        made.patch_status("Approval", "made", {"roundTasks": None}, SITE, user=OPERATOR)
    for fewer in (0, 2):
        with pytest.raises(Refused, match="The field rounds has to be"):
            made.patch_status("Approval", "made", {"rounds": fewer}, SITE, user=OPERATOR)
    evaluated = {"evaluations": 1, "evaluationTasks": [a]}
    made.patch_status("Approval", "made", evaluated, SITE, user=OPERATOR)
    with pytest.raises(Refused, match="A task that counts stays counted"):
        made.patch_status("Approval", "made", {"evaluationTasks": []}, SITE, user=OPERATOR)
    with pytest.raises(Refused, match="The field evaluations has to be"):
        made.patch_status("Approval", "made", {"evaluations": 0}, SITE, user=OPERATOR)


def test_an_approval_has_room_for_all_tasks_that_it_may_cover(site: Api) -> None:
    """The API server bounds the cost of a rule when it checks an object, too: so the lists are full here, and the texts
    are as long as they can be."""
    keys = [key(f"{number:036}-{'u' * 27}", 1_000_000) for number in range(MOST_TASKS + 1)]
    assert len(keys[0]) == LONGEST_KEY
    full = keys[:MOST_TASKS]

    def count(*tasks: str) -> Object:
        both = {"roundTasks": list(tasks), "evaluationTasks": list(tasks)}
        numbers = {"rounds": len(tasks), "evaluations": len(tasks)}
        return site.patch_status("Approval", "full", both | numbers, SITE, user=OPERATOR)

    terms = "{" + " " * (LONGEST_TERMS - 2) + "}"
    site.create(approval("full", terms=terms, maxRounds=MOST_TASKS, maxEvaluations=MOST_TASKS), user="alice")
    try:
        count(*full[:-1])
        written = count(*full)
        assert len(json.dumps(written)) < MOST_BYTES
        # The order does not matter.
        count(*reversed(full))
        for tasks in (full[1:], [*full[1:], keys[-1]], [keys[-1], *full[:-1]]):
            with pytest.raises(Refused, match="A task that counts stays counted"):
                count(*tasks)
        with pytest.raises(Refused, match="must have at most"):
            count(*keys)
    finally:
        site.delete("Approval", "full", SITE)


@pytest.mark.parametrize("text", ["a/1", f"a/{'0' * 64}", f"{key('a')}0", key("a")[:-1], f"a/1/{'g' * 64}"])
def test_a_task_counts_by_what_the_hub_has_signed(made: Api, text: str) -> None:
    """Round and attempt alone are not enough: the hub can sign another assignment for them."""
    with pytest.raises(Refused, match="roundTasks"):
        made.patch_status("Approval", "made", {"rounds": 1, "roundTasks": [text]}, SITE, user=OPERATOR)


def test_the_site_operator_cannot_write_that_another_person_made_the_approval_of_a_task(made: Api) -> None:
    made.create(site_task(SITE, "covered"), user=OPERATOR)

    def refusal(verdict: str, by: str) -> str:
        decision = {"verdict": verdict, "by": by, "at": "2026-11-24T12:00:00Z", "approval": "made"}
        try:
            made.patch_status("SiteTask", "covered", {"decision": decision}, SITE, user=OPERATOR, dry_run=True)
        except Refused as refused:
            return str(refused)
        return ""

    words = "the author and the verdict of Approval made"
    # A policy may see a new Approval some time later. Without `dry_run`, a decision that is written before stays, and
    # the policy compares only changes.
    until("the policy knows the Approval", lambda: words in refusal("Approve", "bob"))
    assert words in refusal("Deny", "alice")
    assert refusal("Approve", "alice") == ""


BAD: dict[str, tuple[Object, str]] = {
    "no end": ({"until": None}, "needs until"),
    "a denial with an end": ({"verdict": "Deny", "maxRounds": 0, "maxEvaluations": 0}, "has no until"),
    "a denial of some rounds": ({"verdict": "Deny", "until": None}, "allows no rounds and no evaluations"),
    "no terms": ({"terms": None}, "spec.terms: Required value"),
    "no author": ({"author": None}, "spec.author: Required value"),
    "too many rounds": ({"maxRounds": MOST_TASKS + 1}, "spec.maxRounds"),
    "too many evaluations": ({"maxEvaluations": MOST_TASKS + 1}, "spec.maxEvaluations"),
    "a date alone": ({"until": "2027-03-31"}, "spec.until"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_approval_that_makes_no_sense_is_refused(site: Api, name: str) -> None:
    spec, message = BAD[name]
    with pytest.raises(Refused, match=message):
        site.create(approval("bad", **spec), user="alice")
