"""Who may write which part of an object on the hub: for each rule one that is let through, and one that is not.

The users here have all rights beside their own name (a binding to cluster-admin), so that the admission policies alone
refuse: what RBAC says is in test_rights.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from lab.controlplane import ISSUER
from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import (
    DIGEST,
    FEDERATION,
    HUB,
    condition,
    federated_model,
    federated_round,
    keys,
    model_push,
    model_transfer,
    model_version,
    round_task,
)
from wardround.kube.resources import RESOURCES

Object = dict[str, Any]
HUB_OPERATOR = account(HUB, "hub-operator")
SITE_A, SITE_B = account("site-a", "site"), account("site-b", "site")
# A program of people that publishes models, with a service account of its own.
PIPELINE = account("ci", "publisher")
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "any", "uid": "any", "blockOwnerDeletion": True}


@pytest.fixture(scope="module")
def hub(api: Api) -> Api:
    users = [HUB_OPERATOR, SITE_A, SITE_B, PIPELINE, "mallory"]
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "all-rights-at-the-hub"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"} for user in users],
    }
    api.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    api.await_right("mallory", "patch", "participants.wardround.io", "site-a")
    api.create(round_task(name="task"), user=HUB_OPERATOR)
    api.create(federated_round("policies"))
    return api


@pytest.fixture(scope="module", autouse=True)
def _all_rights_end_here(hub: Api) -> Any:
    yield
    hub.call("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/all-rights-at-the-hub")


def test_a_participant_has_the_name_of_its_namespace(hub: Api) -> None:
    other = {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "Participant",
        "metadata": {"name": "site-b", "namespace": "site-a"},
        "spec": {"displayName": "An impostor"},
    }
    with pytest.raises(Refused, match="has the name of its namespace"):
        hub.create(other)


@pytest.mark.parametrize("user", [SITE_A, HUB_OPERATOR])
@pytest.mark.parametrize("change", [{"keyFingerprint": DIGEST}, {"suspend": True}, {"maxSamples": 5}])
def test_neither_a_hospital_nor_the_hub_operator_can_approve(hub: Api, user: str, change: Object) -> None:
    with pytest.raises(Refused, match="Only people of the hub may write the spec"):
        hub.patch("Participant", "site-a", {"spec": change}, "site-a", user=user)


def test_a_person_can_approve_a_participant(hub: Api) -> None:
    hub.patch("Participant", "site-a", {"spec": {"keyFingerprint": DIGEST}}, "site-a")


def test_a_hospital_can_publish_its_own_keys(hub: Api) -> None:
    hub.patch_status("Participant", "site-a", {"site": {"keys": keys()}}, "site-a", user=SITE_A)


@pytest.mark.parametrize("user", [SITE_B, HUB_OPERATOR, "mallory", ""])
def test_nobody_else_can_publish_keys_of_a_hospital(hub: Api, user: str) -> None:
    with pytest.raises(Refused, match="only its own account `site`"):
        hub.patch_status(
            "Participant", "site-a", {"site": {"keys": keys() | {"signing": "Q" * 124}}}, "site-a", user=user
        )


OF_THE_HUB: list[Object] = [
    {"conditions": [condition("Ready")]},
    {"fingerprint": DIGEST},
    {"hubFingerprint": DIGEST},
    {"observedGeneration": 7},
]


@pytest.mark.parametrize("change", OF_THE_HUB)
@pytest.mark.parametrize("user", [SITE_A, "mallory"])
def test_a_hospital_cannot_write_the_hubs_part_of_a_status(hub: Api, user: str, change: Object) -> None:
    with pytest.raises(Refused, match="only the hub operator"):
        hub.patch_status("Participant", "site-a", change, "site-a", user=user)


@pytest.mark.parametrize("change", OF_THE_HUB)
def test_the_hub_writes_its_part_of_a_participants_status(hub: Api, change: Object) -> None:
    hub.patch_status("Participant", "site-b", change, "site-b", user=HUB_OPERATOR)


@pytest.mark.parametrize("user", [SITE_A, "mallory", ""])
def test_only_the_hub_operator_makes_and_changes_tasks(hub: Api, user: str) -> None:
    with pytest.raises(Refused, match="Only the hub operator may"):
        hub.create(round_task(name="forged"), user=user)
    with pytest.raises(Refused, match="Only the hub operator may"):
        hub.patch("RoundTask", "task", {"spec": {"grants": "theirs"}}, "site-a", user=user)
    hub.patch("RoundTask", "task", {"spec": {"grants": "ours"}}, "site-a", user=HUB_OPERATOR)


def test_the_garbage_collector_may_change_a_tasks_metadata(hub: Api) -> None:
    hub.patch("RoundTask", "task", {"metadata": {"labels": {"seen": "yes"}}}, "site-a", user="mallory")


@pytest.mark.parametrize("user", [SITE_B, HUB_OPERATOR, "mallory", ""])
def test_only_the_hospital_writes_the_status_of_its_task(hub: Api, user: str) -> None:
    status = {"conditions": [condition("Accepted")]}
    with pytest.raises(Refused, match="only its own account `site`"):
        hub.patch_status("RoundTask", "task", status, "site-a", user=user)
    hub.patch_status("RoundTask", "task", status, "site-a", user=SITE_A)
    hub.patch_status("RoundTask", "task", {"conditions": [condition("Accepted", "False")]}, "site-a", user=SITE_A)


def test_only_the_hub_operator_writes_the_result_of_a_round(hub: Api) -> None:
    result = {"result": {"digest": DIGEST, "location": "models/x/1"}}
    with pytest.raises(Refused, match="Only the hub operator may"):
        hub.patch_status("FederatedRound", "policies", result, FEDERATION, user="mallory")
    hub.patch_status("FederatedRound", "policies", result, FEDERATION, user=HUB_OPERATOR)


def token(
    api: Api, namespace: str, name: str, seconds: int, user: str, audiences: tuple[str, ...] = (), **more: Any
) -> Object:
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds, "audiences": list(audiences), **more},
    }
    return api.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request, user=user)


@pytest.mark.parametrize("audiences", [("vault",), (ISSUER, "vault"), ("https://sts.example",)])
def test_a_hospitals_token_is_valid_only_at_the_hubs_api_server(hub: Api, audiences: tuple[str, ...]) -> None:
    for user in (SITE_A, ""):
        with pytest.raises(Refused, match="Ask for a token without audiences"):
            token(hub, "site-a", "site", 3600, user, audiences)
    assert token(hub, "site-a", "site", 3600, SITE_A, (ISSUER,))["status"]["token"]
    assert token(hub, HUB, "hub-operator", 3600, "", audiences)["status"]["token"]


@pytest.mark.parametrize(("version", "kind"), [("v1", "Node"), ("v1", "Pod"), ("v1", "Secret")])
def test_a_token_bound_to_an_object_does_not_show_whether_it_exists(hub: Api, version: str, kind: str) -> None:
    bound = {"apiVersion": version, "kind": kind, "name": "is-it-there"}
    with pytest.raises(Refused, match="Ask for a token without boundObjectRef"):
        token(hub, "site-a", "site", 3600, SITE_A, boundObjectRef=bound)


def test_a_hospital_can_renew_its_token_for_at_most_a_day(hub: Api) -> None:
    assert token(hub, "site-a", "site", 86400, SITE_A)["status"]["token"]
    for user in (SITE_A, ""):
        with pytest.raises(Refused, match="at most 24 hours"):
            token(hub, "site-a", "site", 86401, user)


@pytest.mark.parametrize(("namespace", "name"), [("site-b", "site"), (HUB, "hub-operator")])
def test_a_hospital_cannot_request_a_token_of_another_account(hub: Api, namespace: str, name: str) -> None:
    with pytest.raises(Refused, match="tokens of itself only"):
        token(hub, namespace, name, 3600, SITE_A)


def test_the_policy_ignores_tokens_of_other_accounts(hub: Api) -> None:
    assert token(hub, HUB, "hub-operator", 100000, "")["status"]["token"]


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_the_hub_operator_deletes_no_object_of_others_with_a_whole_collection(hub: Api, kind: str) -> None:
    """RBAC does not let it, either. Which ones it may write: test_hub_writes.py."""
    hub.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": "of-a-person", "namespace": HUB}})
    collection = f"{RESOURCES[kind].path(HUB)}?fieldSelector=metadata.name=of-a-person"
    with pytest.raises(Refused, match="The hub operator may make, change and delete only"):
        hub.call("DELETE", collection, user=HUB_OPERATOR)
    hub.delete(kind, "of-a-person", HUB)


@pytest.mark.parametrize("kind", ["FederatedModel", "ModelVersion"])
def test_nobody_but_the_hub_operator_writes_the_status_of_a_model_or_version(hub: Api, kind: str) -> None:
    item = federated_model("guarded") if kind == "FederatedModel" else model_version("guarded")
    hub.create(item, user="" if kind == "FederatedModel" else HUB_OPERATOR)
    status = {"conditions": [condition("Ready")]}
    for user in ("mallory", SITE_A, ""):
        with pytest.raises(Refused, match=f"Only the hub operator may change the status of a {kind}"):
            hub.patch_status(kind, "guarded", status, FEDERATION, user=user)
    hub.patch_status(kind, "guarded", status, FEDERATION, user=HUB_OPERATOR)


def test_a_transfer_names_the_user_who_makes_it(hub: Api) -> None:
    hub.create(model_transfer("own", requestedBy="mallory"), user="mallory", dry_run=True)
    for name in ("alice", "", "mallory ", "Mallory"):
        with pytest.raises(Refused, match="requestedBy"):
            hub.create(model_transfer("stolen", requestedBy=name), user="mallory")


@pytest.mark.parametrize(
    "change",
    [
        {"publicKey": "B" * 1624},
        {"requestedBy": "alice"},
        {"roundName": "another"},
        {"roundName": None, "versionName": "breast-v1-0123abcd"},
        {"seconds": 3600},
    ],
)
def test_a_transfer_never_changes(hub: Api, change: Object) -> None:
    with contextlib.suppress(Refused):  # a case before has made it
        hub.create(model_transfer("fixed-transfer", requestedBy="mallory"), user="mallory")
    for user in ("mallory", HUB_OPERATOR, ""):
        with pytest.raises(Refused, match="The spec of a ModelTransfer is immutable"):
            hub.patch("ModelTransfer", "fixed-transfer", {"spec": change}, FEDERATION, user=user)


def test_nobody_but_the_hub_operator_answers_a_transfer(hub: Api) -> None:
    hub.create(model_transfer("answered", requestedBy="mallory"), user="mallory")
    status = {"conditions": [condition("Complete")]}
    for user in ("mallory", SITE_A, ""):
        with pytest.raises(Refused, match="The status of a ModelTransfer is written by the hub operator alone"):
            hub.patch_status("ModelTransfer", "answered", status, FEDERATION, user=user)
    hub.patch_status("ModelTransfer", "answered", status, FEDERATION, user=HUB_OPERATOR)


@pytest.mark.parametrize("make", [model_transfer, model_push])
def test_no_account_of_wardround_makes_a_transfer_or_push_and_a_program_of_people_does(
    hub: Api, make: Callable[..., Object]
) -> None:
    """A ClusterRoleBinding to a group of accounts can give them the right by mistake."""
    for user in (SITE_A, SITE_B, HUB_OPERATOR):
        with pytest.raises(Refused, match="Neither the hub operator nor the account of a hospital makes a Model"):
            hub.create(make("taken", requestedBy=user), user=user)
    hub.create(make("released", requestedBy=PIPELINE), user=PIPELINE, dry_run=True)


@pytest.mark.parametrize("make", [model_transfer, model_push])
@pytest.mark.parametrize("held", [{"finalizers": ["x.example/keep"]}, {"ownerReferences": [OWNER]}], ids=str)
def test_a_transfer_or_push_cannot_be_made_to_stay(hub: Api, make: Callable[..., Object], held: Object) -> None:
    made = make("held", requestedBy="mallory")
    made["metadata"] |= held
    with pytest.raises(Refused, match="has no finalizers and no ownerReferences"):
        hub.create(made, user="mallory")


@pytest.mark.parametrize("held", [{"finalizers": ["x.example/keep"]}, {"ownerReferences": [OWNER]}], ids=str)
def test_a_push_cannot_be_made_to_stay_later(hub: Api, held: Object) -> None:
    hub.create(model_push("held-later", requestedBy="mallory"), user="mallory")
    with pytest.raises(Refused, match="has no finalizers and no ownerReferences"):
        hub.patch("ModelPush", "held-later", {"metadata": held}, FEDERATION, user="mallory")
    hub.delete("ModelPush", "held-later", FEDERATION)


def test_a_push_takes_no_name_of_a_version_that_a_series_may_make(hub: Api) -> None:
    for name in ("heart-v3-1a2b3c4d", "x-v12-00000000"):
        with pytest.raises(Refused, match="is kept for the versions of FederatedModels"):
            hub.create(model_push(name, requestedBy="mallory"), user="mallory")


def test_a_push_names_the_user_who_makes_it_and_who_says_that_it_is_uploaded(hub: Api) -> None:
    for name in ("alice", "", "mallory ", "Mallory"):
        with pytest.raises(Refused, match="requestedBy"):
            hub.create(model_push("stolen", requestedBy=name), user="mallory")
    hub.create(model_push("own-push", requestedBy="mallory"), user="mallory")
    for user in (SITE_A, HUB_OPERATOR, ""):
        with pytest.raises(Refused, match="Only the user in requestedBy makes a ModelPush, or sets uploaded"):
            hub.patch("ModelPush", "own-push", {"spec": {"uploaded": True}}, FEDERATION, user=user)
    # What is not of the spec, such as a label, is for everybody with the right.
    hub.patch("ModelPush", "own-push", {"metadata": {"labels": {"of": "alice"}}}, FEDERATION)
    hub.patch("ModelPush", "own-push", {"spec": {"uploaded": True}}, FEDERATION, user="mallory")
    with pytest.raises(Refused, match="In a ModelPush, only uploaded can change, from false to true"):
        hub.patch("ModelPush", "own-push", {"spec": {"uploaded": False}}, FEDERATION, user="mallory")


@pytest.mark.parametrize(
    "change",
    [
        {"publicKey": "B" * 1624},
        {"digest": "sha256:" + "0" * 64},
        {"tensorsDigest": "sha256:" + "0" * 64},
        {"bytes": 1001},
        {"schemaName": "another"},
        {"seconds": 3600},
    ],
)
def test_nothing_else_of_a_push_ever_changes(hub: Api, change: Object) -> None:
    with contextlib.suppress(Refused):  # a case before has made it
        hub.create(model_push("fixed-push", requestedBy="mallory"), user="mallory")
    with pytest.raises(Refused, match="In a ModelPush, only uploaded can change"):
        hub.patch("ModelPush", "fixed-push", {"spec": change}, FEDERATION, user="mallory")


def test_nobody_but_the_hub_operator_answers_a_push(hub: Api) -> None:
    hub.create(model_push("answered-push", requestedBy="mallory"), user="mallory")
    status = {"conditions": [condition("Complete")]}
    for user in ("mallory", SITE_A, ""):
        with pytest.raises(Refused, match="Only the hub operator may change the status of a ModelPush"):
            hub.patch_status("ModelPush", "answered-push", status, FEDERATION, user=user)
    hub.patch_status("ModelPush", "answered-push", status, FEDERATION, user=HUB_OPERATOR)


@pytest.mark.parametrize("user", ["mallory", SITE_A, ""])
def test_nobody_but_the_hub_operator_makes_a_version(hub: Api, user: str) -> None:
    with pytest.raises(Refused, match="Only the hub operator makes a ModelVersion"):
        hub.create(model_version("forged"), user=user)


OWNER = {
    "apiVersion": "wardround.io/v1alpha1",
    "kind": "FederatedModel",
    "name": "breast",
    "uid": "1",
    "controller": True,
}


@pytest.mark.parametrize(
    "owners",
    [[], [{**OWNER, "controller": False}], [{**OWNER, "kind": "FederatedRound"}], [{**OWNER, "apiVersion": "v1"}]],
)
def test_the_hub_operator_makes_no_round_but_a_models(hub: Api, owners: list[Object]) -> None:
    item = federated_round("of-the-operator")
    item["metadata"]["ownerReferences"] = owners
    with pytest.raises(Refused, match="only for a FederatedModel"):
        hub.create(item, user=HUB_OPERATOR)
    item["metadata"]["ownerReferences"] = [OWNER]
    hub.create(item, user=HUB_OPERATOR, dry_run=True)


def test_the_hub_operator_deletes_no_round_but_a_models(hub: Api) -> None:
    hub.create(federated_round("of-a-person"))
    with pytest.raises(Refused, match="may delete only a FederatedRound that a FederatedModel controls"):
        hub.delete("FederatedRound", "of-a-person", FEDERATION, user=HUB_OPERATOR)
    hub.delete("FederatedRound", "of-a-person", FEDERATION, user="mallory")
    item = federated_round("of-a-model")
    item["metadata"]["ownerReferences"] = [OWNER]
    hub.create(item, user=HUB_OPERATOR)
    hub.delete("FederatedRound", "of-a-model", FEDERATION, user=HUB_OPERATOR)


@pytest.mark.parametrize("user", ["mallory", SITE_A, ""])
@pytest.mark.parametrize("version", ["wardround.io/v1alpha1", "wardround.io/v9"])
def test_nobody_but_the_hub_operator_makes_a_round_of_a_model(hub: Api, user: str, version: str) -> None:
    """The names of a model's coming rounds can be predicted. A round with this owner would become its ModelVersion."""
    owner = {**OWNER, "apiVersion": version}
    forged, own = federated_round("forged"), federated_round("own")
    forged["metadata"]["ownerReferences"] = [owner]
    with pytest.raises(Refused, match="Only the hub operator makes the rounds of a FederatedModel"):
        hub.create(forged, user=user)
    own["metadata"]["ownerReferences"] = [{**owner, "controller": False}]
    hub.create(own, user=user, dry_run=True)


DELIVERY = {"modelName": "breast", "modelUID": "1", "version": 3, "versions": 5}


def delivery_round(name: str) -> Object:
    item = federated_round(name, task="Deliver", base={"roundName": "train-1"}, delivery=DELIVERY)
    for field in ("initial", "image"):
        del item["spec"][field]
    return item


@pytest.mark.parametrize("user", ["mallory", SITE_A, ""])
def test_nobody_but_the_hub_operator_delivers(hub: Api, user: str) -> None:
    """A person could deliver any result of the namespace as a version of a model."""
    with pytest.raises(Refused, match="Only the hub operator makes Deliver rounds"):
        hub.create(delivery_round("forged-delivery"), user=user)
    own = delivery_round("delivery")
    own["metadata"]["ownerReferences"] = [OWNER]
    hub.create(own, user=HUB_OPERATOR, dry_run=True)


def test_a_person_cannot_put_a_round_into_a_model_later(hub: Api) -> None:
    hub.create(federated_round("adopted"))
    adopted = {"metadata": {"ownerReferences": [OWNER]}}
    with pytest.raises(Refused, match="Only the hub operator makes the rounds of a FederatedModel"):
        hub.patch("FederatedRound", "adopted", adopted, FEDERATION, user="mallory")
    hub.create(owned_round("of-breast"), user=HUB_OPERATOR)
    another = {"metadata": {"ownerReferences": [{**OWNER, "name": "heart", "uid": "2"}]}}
    with pytest.raises(Refused, match="Only the hub operator makes the rounds of a FederatedModel"):
        hub.patch("FederatedRound", "of-breast", another, FEDERATION, user="mallory")
    # People suspend such a round, and the garbage collector changes its owners.
    hub.patch("FederatedRound", "of-breast", {"spec": {"suspend": True}}, FEDERATION, user="mallory")
    hub.patch("FederatedRound", "of-breast", {"metadata": {"ownerReferences": None}}, FEDERATION, user="mallory")


def owned_round(name: str) -> Object:
    item = federated_round(name)
    item["metadata"]["ownerReferences"] = [OWNER]
    return item


# An owner that Kubernetes cannot find: the garbage collector deletes an object whose owners are all gone.
GONE: Object = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "3"}
VERSION: Object = {"apiVersion": "wardround.io/v1alpha1", "kind": "ModelVersion", "name": "v1", "uid": "4"}


@pytest.mark.parametrize("owners", [[OWNER], [GONE], [{**GONE, "controller": True}], [VERSION]], ids=str)
@pytest.mark.parametrize("before", [[], [{**GONE, "uid": "5", "controller": True}]], ids=["no owner", "another owner"])
def test_the_hub_operator_does_not_change_the_owners_of_a_persons_round(
    hub: Api, before: list[Object], owners: list[Object]
) -> None:
    """It could then delete the round, or let the garbage collector delete it."""
    item = federated_round("kept")
    item["metadata"]["ownerReferences"] = before
    hub.create(item)
    change = {"metadata": {"ownerReferences": owners}}
    try:
        with pytest.raises(Refused, match="may change the owners only of a round that a FederatedModel controls"):
            hub.patch("FederatedRound", "kept", change, FEDERATION, user=HUB_OPERATOR)
        hub.patch("FederatedRound", "kept", {"spec": {"suspend": True}}, FEDERATION, user=HUB_OPERATOR)
    finally:
        hub.delete("FederatedRound", "kept", FEDERATION)


def test_the_hub_operator_keeps_a_models_round_for_its_version_under_the_same_controller(hub: Api) -> None:
    def write(*owners: Object) -> None:
        change = {"metadata": {"ownerReferences": [*owners]}}
        hub.patch("FederatedRound", "owned", change, FEDERATION, user=HUB_OPERATOR)

    hub.create(owned_round("owned"), user=HUB_OPERATOR)
    write(OWNER, VERSION)
    moved = {**OWNER, "name": "heart", "uid": "2"}
    for owners in ([VERSION], [moved, VERSION], [{**OWNER, "controller": False}], [{**OWNER, "kind": "ConfigMap"}], []):
        with pytest.raises(Refused, match="may change the owners only of a round that a FederatedModel controls"):
            write(*owners)
    hub.delete("FederatedRound", "owned", FEDERATION, user=HUB_OPERATOR)


def test_a_version_never_changes(hub: Api) -> None:
    hub.create(model_version("fixed"), user=HUB_OPERATOR)
    with pytest.raises(Refused, match="The spec of a ModelVersion is immutable"):
        hub.patch("ModelVersion", "fixed", {"spec": {"version": 2}}, FEDERATION, user=HUB_OPERATOR)
