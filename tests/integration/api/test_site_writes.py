"""What a site's two accounts may write into Secrets, ConfigMaps and Events: their own values, and nothing on which
Helm, the garbage collector or another program acts."""

from __future__ import annotations

import base64
import contextlib
import copy
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.api.apiserver import Api, Refused, account
from tests.integration.api.objects import site_task, site_values
from tests.integration.cluster import Helm

Object = dict[str, Any]
HERE = "hospital-a"
OPERATOR, COURIER = account(HERE, "site-operator"), account(HERE, "courier")
CREDENTIALS, KEYS = "hub-credentials", "courier-keys"
OWN = [(OPERATOR, CREDENTIALS), (COURIER, KEYS)]
USERS = [OPERATOR, COURIER]
ROLE_BINDINGS = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{HERE}/rolebindings"
SECRETS = f"/api/v1/namespaces/{HERE}/secrets"
CLUSTER_ROLE_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
UID = "01234567-89ab-cdef-0123-456789abcdef"
HELM = {"owner": "helm", "name": "forged", "status": "deployed", "version": "1"}
GONE = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": UID}
HOLDING = {**GONE, "blockOwnerDeletion": True}
ENROLMENT = {"server": "https://hub", "ca.crt": "PEM", "token": "old", "namespace": "site-a"}
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
NO_OTHER_SECRET = "may change only the Secret"
NO_NOTES = "may change only values of data"
NO_OTHER_KEYS = "may change only (token|signing and decryption)"


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def item(kind: str, name: str, namespace: str = HERE, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace, **metadata}}


@pytest.fixture(scope="module")
def site(api: Api) -> Iterator[Api]:
    """The administrator of a site whose accounts have their own rights alone."""
    api.create({**item("Secret", CREDENTIALS), "data": {key: b64(value) for key, value in ENROLMENT.items()}})
    yield api
    api.delete("Secret", CREDENTIALS, HERE)


@pytest.fixture
def empty_keys(site: Api) -> Iterator[None]:
    """The Secret as the chart makes it."""
    before = site.get("Secret", KEYS, HERE).get("data")
    site.patch("Secret", KEYS, {"data": None}, HERE)
    yield
    site.patch("Secret", KEYS, {"data": None}, HERE)
    site.patch("Secret", KEYS, {"data": before}, HERE)


@pytest.fixture
def status_task(site: Api) -> Iterator[None]:
    site.create(site_task(name="status-task"), user=OPERATOR)
    yield
    site.delete("SiteTask", "status-task", HERE)


@pytest.fixture(scope="module")
def all_rights(site: Api) -> Iterator[Api]:
    """Both accounts have all rights in the namespace, so only a policy can refuse their requests."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "all-rights-of-both", "namespace": HERE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"} for user in USERS],
    }
    site.call("POST", ROLE_BINDINGS, binding)
    for user in USERS:
        site.await_right(user, "create", "configmaps", HERE)
    yield site
    site.call("DELETE", f"{ROLE_BINDINGS}/all-rights-of-both")


NOTES: list[Object] = [
    {"labels": HELM},
    {"labels": {"wardround.io/round-uid": UID}},
    {"labels": None},
    {"labels": {"app.kubernetes.io/name": None}},
    {"annotations": {"reflector.v1.k8s.emberstack.com/reflection-allowed": "true"}},
    {"annotations": {"helm.sh/resource-policy": None}},
    {"annotations": None},
    {"ownerReferences": [GONE]},
    {"ownerReferences": [HOLDING]},
    {"ownerReferences": None},
    {"finalizers": ["example.org/never"]},
    {"finalizers": None},
    {"generateName": "courier-"},
]


@contextlib.contextmanager
def noted(api: Api, name: str) -> Iterator[None]:
    """While the Secret has notes of people, which the account could remove."""
    before = api.get("Secret", name, HERE)["metadata"]
    notes: Object = {
        "labels": {"app.kubernetes.io/name": "wardround"},
        "annotations": {"helm.sh/resource-policy": "keep"},
        "finalizers": ["example.org/of-a-person"],
        "ownerReferences": [{**GONE, "name": "of-a-person"}],
    }
    api.patch("Secret", name, {"metadata": notes}, HERE)
    try:
        yield
    finally:
        api.patch("Secret", name, {"metadata": {**dict.fromkeys(notes), **_only(before, notes)}}, HERE)


def _only(metadata: Object, keys: Object) -> Object:
    return {key: metadata[key] for key in keys if key in metadata}


@pytest.mark.parametrize("notes", NOTES, ids=str)
@pytest.mark.parametrize(("user", "name"), OWN)
def test_an_account_of_a_site_changes_no_notes_of_its_secret(site: Api, user: str, name: str, notes: Object) -> None:
    with noted(site, name), pytest.raises(Refused, match=NO_NOTES):
        site.patch("Secret", name, {"metadata": notes}, HERE, user=user, dry_run=True)


@pytest.mark.parametrize(("user", "name"), OWN)
def test_no_kind_of_patch_makes_a_secret_one_of_helms(site: Api, user: str, name: str) -> None:
    """A label alone is enough: Helm reads Secrets of type Opaque, whatever their names are."""
    labelled: Object = {"metadata": {"labels": HELM}}
    whole = {**item("Secret", name, labels=HELM), "type": "Opaque"}
    only_metadata = {**item("Secret", name, labels=HELM)}
    asks: list[tuple[str, str, Any]] = [
        ("", MERGE, labelled),
        ("", STRATEGIC, labelled),
        ("", JSON_PATCH, [{"op": "add", "path": "/metadata/labels", "value": HELM}]),
        ("?fieldManager=forger", APPLY, whole),
        ("?fieldManager=forger&force=true", APPLY, only_metadata),
        ("?fieldManager=helm&force=true", APPLY, only_metadata),
    ]
    for query, kind, body in asks:
        with pytest.raises(Refused, match=NO_NOTES):
            site.call("PATCH", f"{SECRETS}/{name}{query}", body, user=user, kind_of_body=kind)
    assert "owner" not in site.get("Secret", name, HERE)["metadata"].get("labels", {})


@pytest.mark.parametrize(("user", "name"), OWN)
def test_an_account_of_a_site_replaces_nothing_but_values(all_rights: Api, user: str, name: str) -> None:
    there = all_rights.get("Secret", name, HERE)
    for change in ({"labels": HELM}, {"finalizers": ["example.org/never"]}, {"ownerReferences": [GONE]}):
        body = copy.deepcopy(there)
        body["metadata"] |= change
        with pytest.raises(Refused, match=NO_NOTES):
            all_rights.call("PUT", f"{SECRETS}/{name}", body, user=user)


@pytest.mark.parametrize(("user", "name"), OWN)
def test_an_account_of_a_site_makes_its_secret_neither_immutable_nor_of_another_type(
    site: Api, user: str, name: str
) -> None:
    with pytest.raises(Refused, match=NO_NOTES):
        site.patch("Secret", name, {"immutable": True}, HERE, user=user, dry_run=True)
    with pytest.raises(Refused, match="field is immutable"):
        site.patch("Secret", name, {"type": "helm.sh/release.v1"}, HERE, user=user, dry_run=True)


@pytest.mark.parametrize("key", ["release", "server", "more"])
@pytest.mark.parametrize(("user", "name"), OWN)
def test_an_account_of_a_site_writes_no_other_values(
    site: Api, empty_keys: None, user: str, name: str, key: str
) -> None:
    for change in ({"data": {key: b64("x")}}, {"stringData": {key: "x"}}):
        with pytest.raises(Refused, match=NO_OTHER_KEYS):
            site.patch("Secret", name, change, HERE, user=user, dry_run=True)


def test_the_site_operator_keeps_all_values_but_its_token(site: Api) -> None:
    for change in (
        {"data": None},
        {"data": {"ca.crt": None}},
        {"data": {"namespace": b64("site-b")}},
        {"data": {"token": b64("x"), "more": ""}},
    ):
        with pytest.raises(Refused, match=NO_OTHER_KEYS):
            site.patch("Secret", CREDENTIALS, change, HERE, user=OPERATOR, dry_run=True)
    with noted(site, CREDENTIALS):
        site.patch("Secret", CREDENTIALS, {"data": {"token": b64("new")}}, HERE, user=OPERATOR)
    data = site.get("Secret", CREDENTIALS, HERE)["data"]
    assert data == {key: b64(value) for key, value in {**ENROLMENT, "token": "new"}.items()}


def test_the_courier_fills_its_empty_secret_once(site: Api, empty_keys: None) -> None:
    """People empty the Secret when they want other keys."""
    keys = {"signing": b64("a"), "decryption": b64("b")}
    for _ in range(2):
        with noted(site, KEYS):
            site.patch("Secret", KEYS, {"data": keys}, HERE, user=COURIER)
        changes: list[Object | None] = [None, {"signing": b64("c")}, {"decryption": None}]
        for change in changes:
            with pytest.raises(Refused, match="only into an empty Secret courier-keys"):
                site.patch("Secret", KEYS, {"data": change}, HERE, user=COURIER)
        assert site.get("Secret", KEYS, HERE)["data"] == keys
        site.patch("Secret", KEYS, {"data": None}, HERE)


OTHERS = [
    (OPERATOR, KEYS),
    (COURIER, CREDENTIALS),
    *((user, name) for user in USERS for name in ("sh.helm.release.v1.wardround-site.v1", "pull-secret")),
]


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
@pytest.mark.parametrize(("user", "name"), OTHERS)
def test_an_account_of_a_site_writes_no_other_secret_or_config_map(
    all_rights: Api, user: str, name: str, kind: str
) -> None:
    """Even if a Role of the cluster's administrator lets it."""
    with contextlib.suppress(Refused):  # it exists
        all_rights.create(item(kind, name))
    with pytest.raises(Refused, match=NO_OTHER_SECRET):
        all_rights.patch(kind, name, {"data": {"token": b64("x")}}, HERE, user=user, dry_run=True)
    with pytest.raises(Refused, match=NO_OTHER_SECRET):
        all_rights.call("DELETE", f"/api/v1/namespaces/{HERE}/{kind.lower()}s/{name}?dryRun=All", user=user)
    if name == "pull-secret" or kind == "ConfigMap":
        all_rights.delete(kind, name, HERE)


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
@pytest.mark.parametrize("user", USERS)
def test_an_account_of_a_site_makes_and_deletes_no_secret_and_no_config_map(
    all_rights: Api, user: str, kind: str
) -> None:
    for metadata in ({"name": "forged"}, {"name": "forged", "labels": HELM}, {"name": "", "generateName": "forged-"}):
        with pytest.raises(Refused, match=NO_OTHER_SECRET):
            all_rights.create(item(kind, **metadata), user=user)
    with pytest.raises(Refused, match=NO_OTHER_SECRET):
        all_rights.apply({**item(kind, "forged", labels=HELM)}, user=user)
    path = f"/api/v1/namespaces/{HERE}/{kind.lower()}s"
    for made in (CREDENTIALS, KEYS) if kind == "Secret" else ("courier-pins",):
        with pytest.raises(Refused, match=NO_OTHER_SECRET):
            all_rights.call("DELETE", f"{path}/{made}?dryRun=All", user=user)
    with pytest.raises(Refused, match=NO_OTHER_SECRET):
        all_rights.call("DELETE", f"{path}?dryRun=All", user=user)


def test_nobody_else_is_bound(site: Api) -> None:
    neighbours = account("hospital-b", "courier")
    for kind, name in (("Secret", KEYS), ("ConfigMap", "courier-pins")):
        site.patch(kind, name, {"metadata": {"labels": HELM}}, HERE, dry_run=True)
    with pytest.raises(Refused) as refused:
        site.patch("Secret", KEYS, {"metadata": {"labels": HELM}}, HERE, user=neighbours)
    assert refused.value.status == 403
    assert "ValidatingAdmissionPolicy" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name", "user"),
    [("Site", "site", OPERATOR), ("Site", "site", COURIER), ("SiteTask", "status-task", COURIER)],
)
def test_a_write_of_a_status_writes_no_notes(site: Api, status_task: None, kind: str, name: str, user: str) -> None:
    """The API server itself drops them."""
    before = site.get(kind, name, HERE)["metadata"]
    notes = {"labels": HELM, "annotations": HELM, "finalizers": ["example.org/never"], "ownerReferences": [GONE]}
    site.patch(kind, name, {"metadata": notes}, HERE, user=user, subresource="status")
    after = site.get(kind, name, HERE)["metadata"]
    assert _only(after, notes) == _only(before, notes)


def event(**metadata: Any) -> Object:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "site.0123", "namespace": HERE, **metadata},
        "eventTime": "2026-11-30T00:00:00.000000Z",
        "reportingController": "wardround.io/site-operator",
        "reportingInstance": "x",
        "action": "Tested",
        "reason": "Tested",
        "regarding": {"apiVersion": "wardround.io/v1alpha1", "kind": "Site", "name": "site", "namespace": HERE},
        "note": "x",
        "type": "Normal",
    }


EVENT_NOTES: list[Object] = [
    {"labels": HELM},
    {"annotations": {"x": "y"}},
    {"ownerReferences": [HOLDING]},
    {"finalizers": ["example.org/never"]},
]


@pytest.mark.parametrize("notes", EVENT_NOTES, ids=str)
def test_the_site_operator_makes_only_events_without_notes(site: Api, notes: Object) -> None:
    path = f"/apis/events.k8s.io/v1/namespaces/{HERE}/events?dryRun=All"
    site.call("POST", path, event(), user=OPERATOR)
    with pytest.raises(Refused, match="An Event of the site operator has no labels"):
        site.call("POST", path, event(**notes), user=OPERATOR)


def test_the_older_name_of_events_is_no_way_around(all_rights: Api) -> None:
    older = {
        **item("Event", "site.0123", finalizers=["example.org/never"]),
        "involvedObject": {"kind": "Site", "name": "site", "namespace": HERE},
    }
    with pytest.raises(Refused, match="An Event of the site operator has no labels"):
        all_rights.call("POST", f"/api/v1/namespaces/{HERE}/events?dryRun=All", older, user=OPERATOR)


# What Helm runs and deletes with the rights of the administrator: a hook, and an object of another namespace.
HOOK = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "forged-by-a-hook", "annotations": {"helm.sh/hook": "pre-delete"}},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "courier", "namespace": HERE}],
}


def forged_release(real: Object) -> str:
    """The value of the key `release`, made of one of Helm's."""
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(real["data"]["release"]))))
    victim = item("ConfigMap", "victim", "default")
    hook = {"name": "forged-by-a-hook", "kind": "ClusterRoleBinding", "path": "forged/hook.yaml", "weight": 0}
    release |= {
        "name": "forged",
        "version": 1,
        "manifest": f"---\n# Source: forged/victim.yaml\n{yaml.safe_dump(victim)}",
        "hooks": [{**hook, "manifest": yaml.safe_dump(HOOK), "events": ["pre-delete"]}],
    }
    return b64(base64.b64encode(gzip.compress(json.dumps(release).encode())))


def exists(read: Callable[[], Object]) -> bool:
    try:
        read()
    except Refused as refused:
        if refused.status != 404:
            raise
        return False
    return True


@pytest.fixture
def victim(site: Api, empty_keys: None) -> Iterator[Callable[[], tuple[bool, bool]]]:
    """A ConfigMap of another namespace. Says whether it is there, and whether the hook's binding is."""

    def state() -> tuple[bool, bool]:
        binding = f"{CLUSTER_ROLE_BINDINGS}/forged-by-a-hook"
        there = exists(lambda: site.get("ConfigMap", "victim", "default"))
        return there, exists(lambda: site.call("GET", binding))

    site.create(item("ConfigMap", "victim", "default"))
    yield state
    there, bound = state()
    if there:
        site.delete("ConfigMap", "victim", "default")
    if bound:
        site.call("DELETE", f"{CLUSTER_ROLE_BINDINGS}/forged-by-a-hook")


@pytest.fixture
def upgrade(helm: Helm, tmp_path: Path) -> Iterator[Callable[[], bool]]:
    """The administrator upgrades a release `forged` to a chart without objects, if Helm knows the release."""
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "forged", "version": "1.0.0"}))
    yield lambda: helm.run("upgrade", "forged", str(tmp_path), "-n", HERE).returncode == 0
    helm.run("uninstall", "forged", "-n", HERE)


@contextlib.contextmanager
def forged_by_a_person(api: Api, name: str, forged: Object) -> Iterator[None]:
    before = api.get("Secret", name, HERE)["metadata"].get("labels", {})
    api.patch("Secret", name, forged, HERE)
    try:
        yield
    finally:
        labels = {**dict.fromkeys(HELM), **before}
        api.patch("Secret", name, {"metadata": {"labels": labels}, "data": {"release": None}}, HERE)


@pytest.mark.parametrize(("user", "name"), OWN)
def test_no_account_of_a_site_forges_a_release_of_helm(
    site: Api,
    helm: Helm,
    victim: Callable[[], tuple[bool, bool]],
    upgrade: Callable[[], bool],
    user: str,
    name: str,
) -> None:
    """The whole attack: a label patch and a value, and then the administrator upgrades or uninstalls the release."""
    [real, *_] = site.call("GET", f"{SECRETS}?labelSelector=owner=helm,name=wardround-site")["items"]
    forged = {"metadata": {"labels": HELM}, "data": {"release": forged_release(real)}}
    with pytest.raises(Refused, match="this account may change only"):
        site.patch("Secret", name, forged, HERE, user=user)
    assert helm.run("history", "forged", "-n", HERE).returncode != 0
    assert helm.run("uninstall", "forged", "-n", HERE).returncode != 0
    assert not upgrade()
    assert victim() == (True, False)
    # The control: from the same Secret of a person, Helm runs the hook, and deletes the other namespace's object.
    with forged_by_a_person(site, name, forged):
        helm.run("uninstall", "forged", "-n", HERE)
        assert victim() == (True, True)
        assert upgrade()
        assert victim() == (False, True)


def test_an_administrator_upgrades_while_the_accounts_have_written(site: Api, helm: Helm, empty_keys: None) -> None:
    keys = {"signing": b64("a"), "decryption": b64("b")}
    site.patch("Secret", KEYS, {"data": keys}, HERE, user=COURIER)
    changed = copy.deepcopy(site_values("site-a"))
    changed["policy"]["minSamples"] = 20
    for values in (changed, site_values("site-a")):
        helm.install("wardround-site", "site", HERE, values)
    assert site.get("Secret", KEYS, HERE)["data"] == keys


def test_a_site_with_another_secret_of_its_enrolment_renews_its_token_there(site: Api, helm: Helm) -> None:
    values = site_values("site-a")
    values["hub"]["enrolmentSecretName"] = "another"
    text = helm.ok(
        *("template", "wardround-site", "charts/site", "-n", HERE, "--values", helm.values(values)),
        *("--show-only", "templates/admission.yaml"),
    )
    [policy] = [
        each
        for each in yaml.safe_load_all(text)
        if each and each["metadata"]["name"] == f"secret.{HERE}.wardround.io" and each["kind"].endswith("Policy")
    ]
    [own] = [each["expression"] for each in policy["spec"]["variables"] if each["name"] == "own"]
    assert own == "variables.byCourier ? 'courier-keys' : 'another'"
