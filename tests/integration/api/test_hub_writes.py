"""The Secrets and ConfigMaps that the hub operator may write with the rights of its account: its own, and no others."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api.apiserver import Api, Refused, account, until
from tests.integration.api.objects import DIGEST, HUB, STORE_ORIGIN, hub_values
from tests.integration.cluster import Helm
from wardround.api import names

Object = dict[str, Any]
HUB_OPERATOR = account(HUB, "hub-operator")
UID = "01234567-89ab-cdef-0123-456789abcdef"
RELEASE = "sh.helm.release.v1.wardround-hub.v900"
BOUNDS = {
    "Secret": "only the Secrets of rounds, models and aggregations",
    "ConfigMap": "only the ConfigMaps register-UID",
}
OTHERS = [
    *(("Secret", name) for name in (RELEASE, "store-tls", "store-credentials", "pull-secret", "hub-signing-key-2")),
    *(("Secret", name) for name in ("round-table", f"round-{UID[:-1]}", f"model-{UID}-2", f"my-model-{UID}")),
    *(("Secret", name) for name in ("aggregate-01234567", "aggregate-01234567-x", f"register-{UID}")),
    *(("ConfigMap", name) for name in (RELEASE, "settings", "store-ca", "wardround-hub-2", f"model-{UID}")),
    *(("ConfigMap", name) for name in ("register", "register-1", f"my-register-{UID}", f"register-{UID}-2")),
]
OWN = [
    ("Secret", names.round_secret(UID)),
    ("Secret", names.model_secret(UID)),
    *(("Secret", names.aggregation_name(UID, number)) for number in (0, 1, 12)),
    ("ConfigMap", names.register_entry(UID)),
]
# Of a hub with another store: no CA of its own, and one. People may write a bundle with line ends of two characters.
BUNDLES = ["", "-----BEGIN CERTIFICATE-----\n'\"\\\r\n"]


def item(kind: str, name: str, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": HUB, **metadata}}


@contextlib.contextmanager
def of_a_person(api: Api, made: Object) -> Iterator[None]:
    """While the administrator has this object."""
    api.create(made)
    try:
        yield
    finally:
        api.delete(made["kind"], made["metadata"]["name"], HUB)


@pytest.mark.parametrize(("kind", "name"), OTHERS)
def test_the_hub_operator_makes_no_object_of_others(api: Api, kind: str, name: str) -> None:
    for metadata in ({"name": name}, {"name": "", "generateName": name}):
        with pytest.raises(Refused, match=BOUNDS[kind]):
            api.create(item(kind, **metadata), user=HUB_OPERATOR, dry_run=True)


@pytest.mark.parametrize(("kind", "name"), OTHERS)
def test_the_hub_operator_changes_and_deletes_no_object_of_others(api: Api, kind: str, name: str) -> None:
    changes: list[Object] = [
        {"data": {"a": "Yg=="}},
        {"metadata": {"labels": {"wardround.io/round-uid": UID}}},
        {"metadata": {"finalizers": ["wardround.io/kept"]}},
    ]
    with of_a_person(api, item(kind, name)):
        for change in changes:
            with pytest.raises(Refused, match=BOUNDS[kind]):
                api.patch(kind, name, change, HUB, user=HUB_OPERATOR, dry_run=True)
        with pytest.raises(Refused, match=BOUNDS[kind]):
            api.delete(kind, name, HUB, user=HUB_OPERATOR)


@pytest.mark.parametrize(("kind", "name"), OWN)
def test_the_hub_operator_writes_its_own_objects(api: Api, kind: str, name: str) -> None:
    notes = names.round_ref("breast-cancer", "train-1")
    api.create(item(kind, name, labels=names.round_labels("train-1", UID), annotations=notes), user=HUB_OPERATOR)
    change = {"metadata": {"annotations": {names.AGGREGATIONS: "1 2"}}, "data": {"a": None}}
    api.patch(kind, name, change, HUB, user=HUB_OPERATOR)
    api.delete(kind, name, HUB, user=HUB_OPERATOR)


def test_the_hub_operator_makes_its_signing_key_and_never_replaces_it(api: Api) -> None:
    key, change = item("Secret", names.HUB_SIGNING_KEY), {"data": {"key": "Yg=="}}
    api.create(key, user=HUB_OPERATOR, dry_run=True)
    with of_a_person(api, key):
        with pytest.raises(Refused, match="neither change nor delete it"):
            api.patch("Secret", names.HUB_SIGNING_KEY, change, HUB, user=HUB_OPERATOR)
        with pytest.raises(Refused, match="neither change nor delete it"):
            api.delete("Secret", names.HUB_SIGNING_KEY, HUB, user=HUB_OPERATOR)


@pytest.mark.parametrize(
    "kind", ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "wardround.io/x"]
)
def test_the_hub_operator_cannot_make_a_token_secret(api: Api, kind: str) -> None:
    """The controller manager would put a lasting token into it, and the operator may read Secrets of its namespace."""
    lasting = item("Secret", names.model_secret(UID))
    account_of_token = {"kubernetes.io/service-account.name": "hub-operator"}
    with pytest.raises(Refused, match="only Secrets of type Opaque"):
        api.create(
            {**lasting, "type": kind, "metadata": {**lasting["metadata"], "annotations": account_of_token}},
            user=HUB_OPERATOR,
        )
    assert api.create({**lasting, "type": "Opaque"}, user=HUB_OPERATOR, dry_run=True)["type"] == "Opaque"


@pytest.mark.parametrize("notes", ["labels", "annotations"])
@pytest.mark.parametrize(("kind", "name"), OWN)
def test_the_hub_operator_writes_no_notes_for_other_programs(api: Api, kind: str, name: str, notes: str) -> None:
    own = item(kind, name, **{notes: {"owner": "helm"}})
    bound = "only labels and annotations whose names begin with wardround.io/"
    with pytest.raises(Refused, match=bound):
        api.create(own, user=HUB_OPERATOR)
    with of_a_person(api, own):
        # A note of a person stays while the hub operator goes on with its work.
        api.patch(kind, name, {"metadata": {notes: {names.ROUND_UID: UID}}}, HUB, user=HUB_OPERATOR)
        for change in ({"owner": "mallory"}, {"copied.example/to": "default"}):
            with pytest.raises(Refused, match=bound):
                api.patch(kind, name, {"metadata": {notes: change}}, HUB, user=HUB_OPERATOR)


GONE: Object = {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": UID}]}
NO_OWNERS = "may not write the owners of a Secret or ConfigMap"


@pytest.mark.parametrize(("kind", "name"), [*OWN, ("Secret", names.HUB_SIGNING_KEY)])
def test_the_hub_operator_makes_nothing_that_the_garbage_collector_deletes(api: Api, kind: str, name: str) -> None:
    with pytest.raises(Refused, match=NO_OWNERS):
        api.create(item(kind, name, **GONE), user=HUB_OPERATOR, dry_run=True)


@pytest.mark.parametrize(("kind", "name"), OWN)
def test_the_hub_operator_lets_the_garbage_collector_delete_nothing(api: Api, kind: str, name: str) -> None:
    with of_a_person(api, item(kind, name)), pytest.raises(Refused, match=NO_OWNERS):
        api.patch(kind, name, {"metadata": GONE}, HUB, user=HUB_OPERATOR)
    with pytest.raises(Refused, match=NO_OWNERS):
        api.patch("ConfigMap", names.HUB_CONFIG_MAP, {"metadata": GONE}, HUB, user=HUB_OPERATOR)


def test_the_hub_operator_makes_no_release_of_helm(api: Api, helm: Helm) -> None:
    """Helm takes Secrets of type Opaque by their labels, whatever their names are."""
    [real, *_] = api.call("GET", f"/api/v1/namespaces/{HUB}/secrets?labelSelector=owner=helm")["items"]
    labels = {"owner": "helm", "name": "forged", "status": "deployed", "version": "1"}
    for name in (RELEASE, names.model_secret(UID)):
        forged = {**item("Secret", name, labels=labels), "type": "Opaque", "data": real["data"]}
        with pytest.raises(Refused, match=r"hub operator may (make, change|write) "):
            api.create(forged, user=HUB_OPERATOR)
        assert helm.run("history", "forged", "-n", HUB).returncode != 0
        # The control: Helm would have taken it.
        with of_a_person(api, forged):
            assert len(json.loads(helm.ok("history", "forged", "-n", HUB, "-o", "json"))) == 1


def publish(api: Api, data: Object | None, **fields: Any) -> None:
    change = {"data": data, **fields}
    api.patch("ConfigMap", names.HUB_CONFIG_MAP, change, HUB, user=HUB_OPERATOR, dry_run=True)


def test_the_hub_operator_publishes_no_other_store(api: Api) -> None:
    publish(api, {"fingerprint": DIGEST, "storeOrigin": STORE_ORIGIN, "storeCABundle": "PEM", "tokenAudiences": "x"})
    for origin in ("https://mallory.example", f"{STORE_ORIGIN}.mallory.example", "", None):
        with pytest.raises(Refused, match="has to be the endpoint of the store"):
            publish(api, {"storeOrigin": origin})
    with pytest.raises(Refused, match="has to be the endpoint of the store"):
        publish(api, None)
    made = {**item("ConfigMap", names.HUB_CONFIG_MAP), "data": {"storeOrigin": "https://mallory.example"}}
    with pytest.raises(Refused, match="has to be the endpoint of the store"):
        api.create(made, user=HUB_OPERATOR, dry_run=True)


def test_the_hub_operator_publishes_nothing_else(api: Api) -> None:
    changes: list[Object] = [{"data": {"release": "x"}}, {"binaryData": {"release": "eA=="}}, {"immutable": True}]
    for change in changes:
        with pytest.raises(Refused, match="may hold only fingerprint, storeOrigin, storeCABundle and tokenAudiences"):
            publish(api, **{"data": {}, **change})
    with pytest.raises(Refused, match="may write only labels"):
        publish(api, {}, metadata={"labels": {"owner": "helm"}})
    with pytest.raises(Refused, match=BOUNDS["ConfigMap"]):
        api.delete("ConfigMap", names.HUB_CONFIG_MAP, HUB, user=HUB_OPERATOR)


@contextlib.contextmanager
def external_store(api: Api, helm: Helm, bundle: str) -> Iterator[tuple[Object, Object]]:
    """While the hub has an external store with this CA: the values of the hub chart, and the facts to publish."""
    external, own = {"endpoint": "https://s3.example'&", "caBundle": bundle}, hub_values()
    values = {**own, "store": {**own["store"], "external": external}}
    facts = {"storeOrigin": external["endpoint"], "storeCABundle": bundle}
    helm.install("wardround-hub", "hub", HUB, values)
    try:
        until("the policies are those of the external store", lambda: settled(api, facts))
        yield values, facts
    finally:
        helm.install("wardround-hub", "hub", HUB, own)
        until("the policies are those of the hub's own store", lambda: admitted(api, {"storeOrigin": STORE_ORIGIN}))


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_hub_operator_publishes_no_other_ca_of_an_external_store(api: Api, helm: Helm, bundle: str) -> None:
    with external_store(api, helm, bundle) as (_, facts):
        for other in ("PEM", f"{bundle}\n", bundle.replace("\r", "") or "x"):
            changed = {**facts, "storeCABundle": other}
            with pytest.raises(Refused, match=r"has to be store\.external\.caBundle"):
                publish(api, changed)
            with pytest.raises(Refused, match=r"has to be store\.external\.caBundle"):
                api.create(
                    {**item("ConfigMap", names.HUB_CONFIG_MAP), "data": changed}, user=HUB_OPERATOR, dry_run=True
                )
        with pytest.raises(Refused, match="has to be the endpoint of the store"):
            publish(api, {**facts, "storeOrigin": STORE_ORIGIN})


def test_without_its_ca_of_the_store_the_cluster_writes_all_other_config_maps(api: Api, helm: Helm) -> None:
    """The API server evaluates no condition of a policy before it has the policy's parameter."""
    with external_store(api, helm, BUNDLES[1]) as (values, facts):
        api.delete("ConfigMap", "store-ca", HUB)
        until("the policy has no parameter", lambda: not admitted(api, facts))
        with pytest.raises(Refused, match="no params found"):
            publish(api, facts)
        with pytest.raises(Refused, match="no params found"):
            api.patch("ConfigMap", names.HUB_CONFIG_MAP, {"data": facts}, HUB, dry_run=True)
        for name, namespace in (("settings", HUB), ("settings", "default"), (names.HUB_CONFIG_MAP, "default")):
            api.create(item("ConfigMap", name, namespace=namespace))
            api.patch("ConfigMap", name, {"data": {"a": "b"}}, namespace)
            api.delete("ConfigMap", name, namespace)
        # As when somebody deletes the namespace.
        api.call("DELETE", f"/api/v1/namespaces/{HUB}/configmaps/{names.HUB_CONFIG_MAP}?dryRun=All")
        helm.install("wardround-hub", "hub", HUB, values)
        until("the policy has its parameter", lambda: admitted(api, facts))


def settled(api: Api, facts: Object) -> bool:
    """Whether all policies of the external store work. They start to work one after the other."""
    return admitted(api, facts) and not admitted(api, {**facts, "storeCABundle": "PEM"})


def admitted(api: Api, facts: Object) -> bool:
    try:
        publish(api, facts)
    except Refused:
        return False
    return True


def test_nobody_else_is_bound(api: Api) -> None:
    for kind in BOUNDS:
        api.create(item(kind, "of-a-person", labels={"owner": "helm"}), dry_run=True)
