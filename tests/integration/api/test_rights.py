"""What RBAC allows each account: least rights, and no way to read another's Secret."""

from __future__ import annotations

import pytest

from tests.integration.api.apiserver import Api, account
from tests.integration.api.objects import FEDERATION, HUB

HUB_OPERATOR = account(HUB, "hub-operator")
AGGREGATION = account(HUB, "aggregation")
AT_HUB = account("site-a", "site")
OPERATOR = account("hospital-a", "site-operator")
COURIER = account("hospital-a", "courier")
TRAINING = account("hospital-a", "training")
ROUNDS, TASKS, SITETASKS = "federatedrounds.wardround.io", "roundtasks.wardround.io", "sitetasks.wardround.io"
APPROVALS = "approvals.wardround.io"
TRANSFERS, PUSHES = "modeltransfers.wardround.io", "modelpushes.wardround.io"
MODELS, VERSIONS = "federatedmodels.wardround.io", "modelversions.wardround.io"
PARTICIPANTS, LEASES = "participants.wardround.io", "leases.coordination.k8s.io"

SCHEMAS = "dataschemas.wardround.io"
WRITES = ("create", "update", "patch", "delete")

ALLOWED = [
    (HUB_OPERATOR, "watch", PARTICIPANTS, "", ""),
    (HUB_OPERATOR, "watch", ROUNDS, "", ""),
    (HUB_OPERATOR, "watch", SCHEMAS, "", ""),
    (HUB_OPERATOR, "create", TASKS, "site-a", ""),
    (HUB_OPERATOR, "delete", TASKS, "site-a", "task"),
    (HUB_OPERATOR, "patch", f"{ROUNDS}/status", FEDERATION, "train-1"),
    (HUB_OPERATOR, "create", ROUNDS, FEDERATION, ""),
    (HUB_OPERATOR, "patch", ROUNDS, FEDERATION, "train-1"),
    (HUB_OPERATOR, "watch", MODELS, "", ""),
    (HUB_OPERATOR, "patch", f"{MODELS}/status", FEDERATION, "breast"),
    (HUB_OPERATOR, "create", VERSIONS, FEDERATION, ""),
    (HUB_OPERATOR, "watch", TRANSFERS, "", ""),
    (HUB_OPERATOR, "delete", TRANSFERS, FEDERATION, "pull-1"),
    (HUB_OPERATOR, "patch", f"{TRANSFERS}/status", FEDERATION, "pull-1"),
    (HUB_OPERATOR, "watch", PUSHES, "", ""),
    (HUB_OPERATOR, "delete", PUSHES, FEDERATION, "pretrained"),
    (HUB_OPERATOR, "patch", f"{PUSHES}/status", FEDERATION, "pretrained"),
    # Which ones it may write: test_hub_writes.py.
    *((HUB_OPERATOR, verb, "secrets", HUB, "any") for verb in ("get", "create", "patch", "delete")),
    *((HUB_OPERATOR, verb, "configmaps", HUB, "any") for verb in ("get", "list", "create", "patch", "delete")),
    (HUB_OPERATOR, "create", "jobs.batch", HUB, ""),
    *((HUB_OPERATOR, verb, "serviceaccounts", "", "site") for verb in ("get", "list", "watch")),
    (HUB_OPERATOR, "patch", LEASES, HUB, "hub-operator"),
    # Those of a FederatedModel: test_hub_policies.py.
    (HUB_OPERATOR, "delete", ROUNDS, FEDERATION, "train-1"),
    (HUB_OPERATOR, "delete", VERSIONS, FEDERATION, "breast-v1"),
    (AT_HUB, "watch", TASKS, "site-a", ""),
    (AT_HUB, "patch", f"{TASKS}/status", "site-a", "task"),
    (AT_HUB, "patch", f"{PARTICIPANTS}/status", "site-a", "site-a"),
    (AT_HUB, "create", "serviceaccounts/token", "site-a", "site"),
    (AT_HUB, "create", LEASES, "site-a", ""),
    (AT_HUB, "patch", LEASES, "site-a", "site"),
    (OPERATOR, "create", SITETASKS, "hospital-a", ""),
    (OPERATOR, "patch", f"{SITETASKS}/status", "hospital-a", "task"),
    (OPERATOR, "patch", "sites.wardround.io/status", "hospital-a", "site"),
    (OPERATOR, "patch", "datasets.wardround.io/status", "hospital-a", "breast"),
    (OPERATOR, "watch", SCHEMAS, "hospital-a", ""),
    (OPERATOR, "create", "jobs.batch", "hospital-a", ""),
    (OPERATOR, "watch", "pods", "hospital-a", ""),
    (OPERATOR, "patch", "secrets", "hospital-a", "hub-credentials"),
    (OPERATOR, "watch", APPROVALS, "hospital-a", ""),
    (OPERATOR, "patch", f"{APPROVALS}/status", "hospital-a", "breast-s1"),
    (COURIER, "get", APPROVALS, "hospital-a", "breast-s1"),
    (COURIER, "watch", SITETASKS, "hospital-a", ""),
    (COURIER, "patch", f"{SITETASKS}/status", "hospital-a", "task"),
    (COURIER, "patch", "sites.wardround.io/status", "hospital-a", "site"),
    (COURIER, "get", "secrets", "hospital-a", "courier-keys"),
    (COURIER, "patch", "secrets", "hospital-a", "courier-keys"),
]

DENIED = [
    # Only people approve.
    *((user, verb, APPROVALS, "hospital-a", "breast-s1") for user in (OPERATOR, COURIER, TRAINING) for verb in WRITES),
    (COURIER, "patch", f"{APPROVALS}/status", "hospital-a", "breast-s1"),
    # The hub cannot make rights or tokens, reads Secrets in its own namespace only, and speaks for no hospital.
    (HUB_OPERATOR, "get", "secrets", "site-a", "any"),
    # It goes by deadlines. People's `explain` reads the heartbeats of the sites.
    *((HUB_OPERATOR, verb, LEASES, "site-a", "site") for verb in ("get", "watch", "patch")),
    (HUB_OPERATOR, "create", "serviceaccounts/token", "site-a", "site"),
    (HUB_OPERATOR, "list", "serviceaccounts", "", ""),
    (HUB_OPERATOR, "get", "serviceaccounts", "site-a", "default"),
    *((HUB_OPERATOR, verb, "serviceaccounts", "site-a", "site") for verb in ("patch", "delete", "impersonate")),
    (HUB_OPERATOR, "create", "rolebindings.rbac.authorization.k8s.io", "site-a", ""),
    (HUB_OPERATOR, "patch", PARTICIPANTS, "site-a", "site-a"),
    *((HUB_OPERATOR, verb, SCHEMAS, FEDERATION, "breast-v1") for verb in WRITES),
    *((AT_HUB, verb, SCHEMAS, "site-a", "breast-v1") for verb in WRITES),
    (HUB_OPERATOR, "patch", f"{TASKS}/status", "site-a", "task"),
    *((HUB_OPERATOR, verb, MODELS, FEDERATION, "breast") for verb in ("create", "patch", "update", "delete")),
    *((HUB_OPERATOR, verb, TRANSFERS, FEDERATION, "pull-1") for verb in ("create", "patch", "update")),
    *((HUB_OPERATOR, verb, PUSHES, FEDERATION, "pretrained") for verb in ("create", "patch", "update")),
    (HUB_OPERATOR, "create", "pods", HUB, ""),
    (HUB_OPERATOR, "create", "jobs.batch", "site-a", ""),
    # With these verbs an account can ask for old revisions: tests/integration/hub/test_old_revisions.py.
    *(
        (HUB_OPERATOR, verb, "secrets", namespace, "")
        for verb in ("list", "watch", "update", "deletecollection")
        for namespace in (HUB, FEDERATION, "site-a", "")
    ),
    *((HUB_OPERATOR, verb, "configmaps", HUB, "any") for verb in ("update", "deletecollection", "watch")),
    *((HUB_OPERATOR, verb, "configmaps", "site-a", "any") for verb in ("get", "list", "create", "patch", "delete")),
    (AGGREGATION, "get", "secrets", HUB, "hub-signing-key"),
    # A hospital's token on the hub: its own namespace, statuses, its own account's tokens.
    (AT_HUB, "get", TASKS, "site-b", "task"),
    (AT_HUB, "list", PARTICIPANTS, "", ""),
    (AT_HUB, "get", ROUNDS, FEDERATION, "train-1"),
    (AT_HUB, "get", MODELS, FEDERATION, "breast"),
    (AT_HUB, "get", VERSIONS, FEDERATION, "breast-v1"),
    *(
        (AT_HUB, verb, kind, namespace, "any")
        for kind in (TRANSFERS, PUSHES)
        for verb in ("create", "get")
        for namespace in (FEDERATION, "site-a")
    ),
    (AT_HUB, "patch", PARTICIPANTS, "site-a", "site-a"),
    (AT_HUB, "patch", TASKS, "site-a", "task"),
    (AT_HUB, "delete", TASKS, "site-a", "task"),
    (AT_HUB, "get", "secrets", "site-a", "any"),
    (AT_HUB, "create", "serviceaccounts/token", "site-a", "default"),
    (AT_HUB, "create", "serviceaccounts/token", "site-b", "site"),
    (AT_HUB, "create", "pods", "site-a", ""),
    (AT_HUB, "create", "events.events.k8s.io", "site-a", ""),
    (AT_HUB, "create", "events", "site-a", ""),
    (AT_HUB, "patch", "resourcequotas", "site-a", "participant"),
    # The site operator: no Secret but its hub credentials, no pod but by a Job, no settings.
    (OPERATOR, "get", "secrets", "hospital-a", "courier-keys"),
    (OPERATOR, "list", "secrets", "hospital-a", ""),
    (OPERATOR, "create", "secrets", "hospital-a", ""),
    (OPERATOR, "create", "pods", "hospital-a", ""),
    (OPERATOR, "patch", "pods", "hospital-a", "any"),
    (OPERATOR, "get", "pods/log", "hospital-a", "any"),
    (OPERATOR, "create", "pods/exec", "hospital-a", "any"),
    (OPERATOR, "create", "deployments.apps", "hospital-a", ""),
    (OPERATOR, "create", "replicasets.apps", "hospital-a", ""),
    (OPERATOR, "patch", "sites.wardround.io", "hospital-a", "site"),
    *((OPERATOR, verb, SCHEMAS, "hospital-a", "breast-v1") for verb in WRITES),
    (COURIER, "get", SCHEMAS, "hospital-a", "breast-v1"),
    (OPERATOR, "patch", "datasets.wardround.io", "hospital-a", "breast"),
    (OPERATOR, "update", "datasets.wardround.io", "hospital-a", "breast"),
    (OPERATOR, "create", "datasets.wardround.io", "hospital-a", ""),
    (OPERATOR, "delete", "datasets.wardround.io", "hospital-a", "breast"),
    (OPERATOR, "patch", "jobs.batch", "hospital-a", "any"),
    (OPERATOR, "update", "jobs.batch", "hospital-a", "any"),
    (OPERATOR, "create", "cronjobs.batch", "hospital-a", ""),
    (OPERATOR, "create", "serviceaccounts/token", "hospital-a", "courier"),
    (OPERATOR, "watch", SITETASKS, "hospital-b", ""),
    # The courier: no Job, no pod, no other Secret, no patient data's name.
    (COURIER, "get", "secrets", "hospital-a", "hub-credentials"),
    (COURIER, "list", "secrets", "hospital-a", ""),
    (COURIER, "delete", "secrets", "hospital-a", "courier-keys"),
    (COURIER, "create", "jobs.batch", "hospital-a", ""),
    (COURIER, "create", "pods", "hospital-a", ""),
    (COURIER, "patch", SITETASKS, "hospital-a", "task"),
    (COURIER, "get", "datasets.wardround.io", "hospital-a", "breast"),
    (COURIER, "patch", f"{SITETASKS}/status", "hospital-b", "task"),
    (TRAINING, "get", "pods", "hospital-a", "any"),
    (TRAINING, "get", SITETASKS, "hospital-a", "task"),
]


@pytest.mark.parametrize(("user", "verb", "resource", "namespace", "name"), ALLOWED)
def test_an_account_may_do_its_work(api: Api, user: str, verb: str, resource: str, namespace: str, name: str) -> None:
    assert api.may(user, verb, resource, namespace, name=name)


@pytest.mark.parametrize(("user", "verb", "resource", "namespace", "name"), DENIED)
def test_an_account_may_do_nothing_else(
    api: Api, user: str, verb: str, resource: str, namespace: str, name: str
) -> None:
    assert not api.may(user, verb, resource, namespace, name=name)


def test_a_federation_editor_may_change_only_rounds(api: Api) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "editor", "namespace": FEDERATION},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "wardround-federation-editor",
        },
        "subjects": [{"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    api.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{FEDERATION}/rolebindings", binding)
    api.await_right("ada", "create", ROUNDS, FEDERATION)
    # The meaning of the columns is public in the federation, and its administrator decides it.
    assert all(api.may("ada", verb, SCHEMAS, FEDERATION) for verb in ("get", "list", "watch"))
    assert not any(api.may("ada", verb, SCHEMAS, FEDERATION, name="breast-v1") for verb in WRITES)
    assert not api.may("ada", "get", SCHEMAS, "site-a")
    # To run rounds is no right to get the models that they make.
    assert not any(api.may("ada", verb, TRANSFERS, FEDERATION) for verb in ("create", "get", "list"))
    # Nor to choose the weights that hospitals train on.
    assert not any(api.may("ada", verb, PUSHES, FEDERATION) for verb in ("create", "get", "list", "patch"))
    # By either group, and kubectl describe takes the older one.
    assert all(api.may("ada", "list", events, FEDERATION) for events in ("events", "events.events.k8s.io"))
    assert not api.may("ada", "list", "events", HUB)
    assert not api.may("ada", "patch", f"{ROUNDS}/status", FEDERATION, name="train-1")
    assert not api.may("ada", "create", ROUNDS, HUB)
    for verb, resource in [("get", "secrets"), ("create", "pods"), ("create", "jobs.batch"), ("get", "pods/log")]:
        assert not api.may("ada", verb, resource, HUB, name="any" if verb == "get" else "")
        assert not api.may("ada", verb, resource, FEDERATION, name="any" if verb == "get" else "")


def test_a_model_reader_may_make_transfers_in_the_namespace_and_nothing_else(api: Api) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": FEDERATION},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "wardround-model-reader",
        },
        "subjects": [{"kind": "User", "name": "rita", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    api.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{FEDERATION}/rolebindings", binding)
    api.await_right("rita", "create", TRANSFERS, FEDERATION)
    assert api.may("rita", "get", ROUNDS, FEDERATION, name="train-1")
    assert api.may("rita", "get", SCHEMAS, FEDERATION, name="breast-v1")
    for verb, resource, namespace in [
        ("create", TRANSFERS, HUB),
        ("create", PUSHES, FEDERATION),
        ("patch", TRANSFERS, FEDERATION),
        ("patch", f"{TRANSFERS}/status", FEDERATION),
        ("create", ROUNDS, FEDERATION),
        ("get", "secrets", HUB),
        ("get", "secrets", FEDERATION),
    ]:
        assert not api.may("rita", verb, resource, namespace), (verb, resource)


def test_a_model_writer_may_push_in_the_namespace_and_nothing_else(api: Api) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "writer", "namespace": FEDERATION},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "wardround-model-writer"},
        "subjects": [{"kind": "User", "name": "wilma", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    api.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{FEDERATION}/rolebindings", binding)
    api.await_right("wilma", "create", PUSHES, FEDERATION)
    assert api.may("wilma", "patch", PUSHES, FEDERATION, name="pretrained")
    assert api.may("wilma", "get", SCHEMAS, FEDERATION, name="breast-v1")
    for verb, resource, namespace in [
        ("create", PUSHES, HUB),
        ("patch", f"{PUSHES}/status", FEDERATION),
        ("create", TRANSFERS, FEDERATION),
        ("create", ROUNDS, FEDERATION),
        ("create", MODELS, FEDERATION),
        ("create", VERSIONS, FEDERATION),
        ("get", "secrets", HUB),
        ("get", "secrets", FEDERATION),
    ]:
        assert not api.may("wilma", verb, resource, namespace), (verb, resource)


# Who may patch an object can give it an owner that does not exist, and the garbage collector deletes the object. The
# Role of docs/operations.md is the exception: test_owners.py.
def test_each_role_that_may_change_objects_may_delete_them(api: Api) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    ours = "labelSelector=app.kubernetes.io/name=wardround"
    roles = [each for kind in ("clusterroles", "roles") for each in api.call("GET", f"{rbac}/{kind}?{ours}")["items"]]
    assert {"wardround-federation-editor", "wardround-model-writer", "site-operator"} <= {
        each["metadata"]["name"] for each in roles
    }
    for role in roles:
        for rule in role["rules"]:
            written = [each for each in rule["resources"] if not each.endswith("/status")]
            if "wardround.io" in rule["apiGroups"] and written and {"patch", "update"} & set(rule["verbs"]):
                assert "delete" in rule["verbs"], (role["metadata"]["name"], rule)
