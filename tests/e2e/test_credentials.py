"""The rights of each credential on the real clusters, tested with real tokens and not by impersonation."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.accounts import account, administrator, bearer, token_request
from tests.e2e.admission import training_job
from tests.e2e.federation import SCHEMA, Federation
from tests.integration.api import attack
from tests.integration.api.apiserver import HOSPITAL_MANAGER, Api, Refused
from tests.integration.api.attacks import ATTACKS
from tests.integration.api.objects import DIGEST, condition, pod_of

Object = dict[str, Any]
SITE, OTHERS = "site-b", ("site-a", "site-c")
JOBS, PODS = "/apis/batch/v1/namespaces/{}/jobs", "/api/v1/namespaces/{}/pods"
# The attacks on a training pod's shape that lead to keys, to the network, to raw data or to unlisted code.
# tests/integration has all attacks.
DECISIVE = (
    *(attack.ROLE, attack.ACCOUNT, attack.ENVIRONMENT, attack.CLAIMS, attack.SOURCES, attack.MOUNTS),
    *(attack.LISTED, attack.FEWEST, attack.KIND, attack.ALLOWED),
)
WORD_FOR_WORD = "WARDROUND_DATASET of prepare differs from the spec"


@pytest.fixture(scope="module")
def site(federation: Federation) -> Iterator[Api]:
    with administrator(SITE) as api:
        yield api


@pytest.fixture(scope="module")
def hub(federation: Federation) -> Iterator[Api]:
    with administrator("hub") as api:
        yield api


@pytest.fixture(scope="module")
def operator(federation: Federation) -> Iterator[Api]:
    with account(SITE, federation.site_namespace, "site-operator") as api:
        yield api


@pytest.fixture(scope="module")
def courier(federation: Federation) -> Iterator[Api]:
    with account(SITE, federation.site_namespace, "courier") as api:
        yield api


@pytest.fixture(scope="module")
def hospital(federation: Federation, site: Api) -> Iterator[Api]:
    """The hospital's account at the hub, with the token that the hospital holds."""
    with bearer("hub", _hub_token(site, federation), HOSPITAL_MANAGER) as api:
        yield api


@pytest.fixture(scope="module")
def editor(federation: Federation, hub: Api) -> Iterator[Api]:
    """An author of rounds: an account that has the hub chart's role only in the federation's namespace."""
    namespace, name = federation.namespace, federation.name("editor")
    meta = {"name": name, "namespace": namespace}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "wardround-federation-editor",
        },
        "subjects": [{"kind": "ServiceAccount", **meta}],
    }
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    hub.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    hub.call("POST", bindings, binding)
    user = f"system:serviceaccount:{namespace}:{name}"
    hub.await_right(user, "create", "federatedrounds.wardround.io", namespace)
    with account("hub", namespace, name) as api:
        yield api
    hub.call("DELETE", f"{bindings}/{name}")
    hub.delete("ServiceAccount", name, namespace)


def test_the_site_operator_reads_only_the_secret_of_its_hub_credentials(
    federation: Federation, site: Api, operator: Api
) -> None:
    assert _readable(site, operator) == {(federation.site_namespace, "hub-credentials")}


def test_the_courier_reads_only_the_secret_of_its_keys(federation: Federation, site: Api, courier: Api) -> None:
    assert _readable(site, courier) == {(federation.site_namespace, "courier-keys")}


def test_the_site_operators_own_job_is_admitted(federation: Federation, site: Api, operator: Api) -> None:
    """The control: without it, the refusals below would prove nothing."""
    operator.create(training_job(site, federation.site_namespace, "train"), dry_run=True)


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.words in DECISIVE])
def test_no_job_with_keys_network_raw_data_or_other_code_is_admitted(
    federation: Federation, site: Api, operator: Api, name: str
) -> None:
    attack = ATTACKS[name]
    job = training_job(site, federation.site_namespace, attack.case)
    attack.change(job)
    with pytest.raises(Refused) as refusal:
        operator.create(job, dry_run=True)
    assert attack.words in str(refusal.value)


WITH_ANOTHER: dict[str, tuple[Callable[[Object], Any], str]] = {
    "file": (lambda spec: spec.update(path="other.csv"), WORD_FOR_WORD),
    "column": (lambda spec: spec.update(fields=[{"name": "mean_area", "from": "worst_area"}]), WORD_FOR_WORD),
    "split": (lambda spec: spec["split"].update(test="0"), WORD_FOR_WORD),
    "claim": (lambda spec: spec.update(claimName="other"), "has to be the claim of Dataset breast"),
}


@pytest.mark.parametrize("change_name", WITH_ANOTHER)
def test_no_job_reads_a_dataset_against_the_hospitals_description(
    federation: Federation, site: Api, operator: Api, change_name: str
) -> None:
    """An attacker who chooses which rows are counted can read patients' values from the counts."""
    change, words = WITH_ANOTHER[change_name]
    spec = site.get("Dataset", "breast", federation.site_namespace)["spec"]
    change(spec)
    with pytest.raises(Refused, match=words):
        operator.create(training_job(site, federation.site_namespace, "train", spec), dry_run=True)
    with pytest.raises(Refused, match="forbidden"):
        operator.patch("Dataset", "breast", {"spec": spec}, federation.site_namespace)


def test_no_job_reads_a_dataset_by_another_schema(federation: Federation, site: Api, operator: Api) -> None:
    schema = site.get("DataSchema", SCHEMA, federation.site_namespace)["spec"]
    schema["fields"][1]["minimum"] = "14.2"
    with pytest.raises(Refused, match=f"WARDROUND_SCHEMA of prepare differs from the spec of DataSchema {SCHEMA}"):
        operator.create(training_job(site, federation.site_namespace, "train", schema=schema), dry_run=True)
    theirs = {**site.get("DataSchema", SCHEMA, federation.site_namespace), "metadata": {"name": "theirs"}}
    path = f"/apis/wardround.io/v1alpha1/namespaces/{federation.site_namespace}/dataschemas"
    _forbidden(operator, "POST", path, theirs)
    _forbidden(operator, "DELETE", f"{path}/{SCHEMA}")


def test_the_site_operator_cannot_make_a_dataset(federation: Federation, site: Api, operator: Api) -> None:
    theirs = {**site.get("Dataset", "breast", federation.site_namespace), "metadata": {"name": "theirs"}}
    _forbidden(operator, "POST", f"/apis/wardround.io/v1alpha1/namespaces/{federation.site_namespace}/datasets", theirs)
    job = training_job(site, federation.site_namespace, "train")
    job["metadata"]["labels"]["wardround.io/dataset"] = "theirs"
    with pytest.raises(Refused, match=r"policy\.datasets of the site chart"):
        operator.create(job, dry_run=True)


def test_the_site_operator_can_neither_make_nor_enter_pods(federation: Federation, site: Api, operator: Api) -> None:
    namespace = federation.site_namespace
    pods = PODS.format(namespace)
    _forbidden(operator, "POST", pods, pod_of(training_job(site, federation.site_namespace, "train")))
    for pod in site.call("GET", pods)["items"]:
        name = pod["metadata"]["name"]
        _forbidden(operator, "GET", f"{pods}/{name}/log")
        _forbidden(operator, "POST", f"{pods}/{name}/exec?command=true&container=train")
        _forbidden(operator, "PATCH", f"{pods}/{name}", {"metadata": {"labels": {"wardround.io/role": "courier"}}})
    _forbidden(operator, "POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", {})


@pytest.mark.parametrize("account", ["courier", "training", "site-operator"])
def test_the_site_operator_cannot_get_a_token(federation: Federation, operator: Api, account: str) -> None:
    with pytest.raises(Refused, match="forbidden"):
        token_request(operator, federation.site_namespace, account, 3600)


def test_the_courier_can_make_neither_jobs_nor_pods(federation: Federation, site: Api, courier: Api) -> None:
    job = training_job(site, federation.site_namespace, "train")
    _forbidden(courier, "POST", JOBS.format(federation.site_namespace), job)
    _forbidden(courier, "POST", PODS.format(federation.site_namespace), pod_of(job))
    _forbidden(courier, "GET", PODS.format(federation.site_namespace))
    with pytest.raises(Refused, match="forbidden"):
        courier.get("Dataset", "breast", federation.site_namespace)


def test_a_hospital_can_read_its_own_participant(hospital: Api) -> None:
    assert hospital.get("Participant", SITE, SITE)["metadata"]["name"] == SITE


@pytest.mark.parametrize("other", OTHERS)
def test_a_hospital_cannot_read_another_hospitals_objects(hospital: Api, other: str) -> None:
    root = f"/apis/wardround.io/v1alpha1/namespaces/{other}"
    _forbidden(hospital, "GET", f"{root}/roundtasks")
    _forbidden(hospital, "GET", f"{root}/participants/{other}")
    _forbidden(hospital, "PATCH", f"{root}/participants/{other}/status", {"status": {}})
    _forbidden(hospital, "GET", f"/api/v1/namespaces/{other}/secrets")
    _forbidden(hospital, "GET", f"/apis/coordination.k8s.io/v1/namespaces/{other}/leases/site")


def test_a_hospital_can_read_neither_secrets_nor_rounds(federation: Federation, hub: Api, hospital: Api) -> None:
    assert _readable(hub, hospital) == set()
    _forbidden(hospital, "GET", f"/apis/wardround.io/v1alpha1/namespaces/{federation.namespace}/federatedrounds")
    for kind in ("participants", "roundtasks", "federatedrounds"):
        _forbidden(hospital, "GET", f"/apis/wardround.io/v1alpha1/{kind}")


def test_a_hospital_cannot_change_a_spec_or_approve_itself(hospital: Api) -> None:
    root = f"/apis/wardround.io/v1alpha1/namespaces/{SITE}"
    _forbidden(hospital, "PATCH", f"{root}/participants/{SITE}", {"spec": {"keyFingerprint": DIGEST}})
    _forbidden(hospital, "PATCH", f"{root}/roundtasks/any", {"spec": {"cancel": True}})
    _forbidden(hospital, "POST", f"{root}/roundtasks", {})
    for claim in ({"conditions": [condition("Ready")]}, {"fingerprint": DIGEST}):
        with pytest.raises(Refused, match="only the hub operator"):
            hospital.patch_status("Participant", SITE, claim, SITE)


def test_a_hospitals_token_is_valid_for_a_day_at_most(federation: Federation, site: Api, hospital: Api) -> None:
    claims = _claims(_hub_token(site, federation))
    assert claims["sub"] == f"system:serviceaccount:{SITE}:site"
    assert claims["exp"] - claims["iat"] <= 24 * 3600
    assert _claims(token_request(hospital, SITE, "site", 3600)["status"]["token"])["sub"] == claims["sub"]
    with pytest.raises(Refused, match="at most 24 hours"):
        token_request(hospital, SITE, "site", 24 * 3600 + 1)
    # The token above has the API server as its audience, as the hub operator requires.
    with pytest.raises(Refused, match="Ask for a token without audiences"):
        token_request(hospital, SITE, "site", 3600, "vault")


def test_a_hospital_cannot_get_another_accounts_token(federation: Federation, hospital: Api) -> None:
    for namespace, name in [(SITE, "default"), ("site-a", "site"), (federation.hub_namespace, "hub-operator")]:
        with pytest.raises(Refused, match="forbidden"):
            token_request(hospital, namespace, name, 3600)


def test_a_federation_editor_cannot_read_keys(federation: Federation, hub: Api, editor: Api) -> None:
    secrets = hub.call("GET", f"/api/v1/namespaces/{federation.hub_namespace}/secrets")["items"]
    assert "hub-signing-key" in {each["metadata"]["name"] for each in secrets}
    assert _readable(hub, editor) == set()
    # The Secret of a round that may be made at the next moment is also forbidden.
    _forbidden(editor, "GET", f"/api/v1/namespaces/{federation.hub_namespace}/secrets/round-0")


def test_a_federation_editor_cannot_access_aggregations(federation: Federation, editor: Api) -> None:
    for namespace in (federation.hub_namespace, federation.namespace):
        for collection in (JOBS, PODS):
            _forbidden(editor, "GET", collection.format(namespace))
            _forbidden(editor, "POST", collection.format(namespace), {})
        _forbidden(editor, "GET", f"{PODS.format(namespace)}/any/log")
        _forbidden(editor, "POST", f"{PODS.format(namespace)}/any/exec?command=true")
    for name in ("hub-operator", "aggregation", "store"):
        with pytest.raises(Refused, match="forbidden"):
            token_request(editor, federation.hub_namespace, name, 3600)


def test_a_federation_editor_runs_rounds_only_in_the_federation(federation: Federation, editor: Api) -> None:
    made = federation.manifest("edited", "Statistics")
    editor.create(made, dry_run=True)
    namespace, name = federation.namespace, made["metadata"]["name"]
    rounds = "/apis/wardround.io/v1alpha1/namespaces/{}/federatedrounds"
    _forbidden(editor, "PATCH", f"{rounds.format(namespace)}/{name}/status", {"status": {}})
    elsewhere = {**made, "metadata": {"name": name, "namespace": "breast-cancer"}}
    _forbidden(editor, "POST", rounds.format("breast-cancer"), elsewhere)
    _forbidden(editor, "POST", f"/apis/wardround.io/v1alpha1/namespaces/{SITE}/roundtasks", {})
    _forbidden(editor, "PATCH", f"/apis/wardround.io/v1alpha1/namespaces/{SITE}/participants/{SITE}", {"spec": {}})


def _readable(admin: Api, holder: Api) -> set[tuple[str, str]]:
    """Every Secret of the cluster that the token's holder can get or list."""
    readable = set()
    _forbidden(holder, "GET", "/api/v1/secrets")
    for secret in admin.call("GET", "/api/v1/secrets")["items"]:
        namespace, name = secret["metadata"]["namespace"], secret["metadata"]["name"]
        _forbidden(holder, "GET", f"/api/v1/namespaces/{namespace}/secrets")
        try:
            holder.get("Secret", name, namespace)
        except Refused as refusal:
            if refusal.status != 403:
                raise
        else:
            readable.add((namespace, name))
    return readable


def _forbidden(holder: Api, method: str, path: str, body: Object | None = None) -> None:
    """Checks that RBAC forbids the request."""
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    with pytest.raises(Refused, match="forbidden") as refusal:
        holder.call(method, path, body, kind_of_body=kind)
    assert refusal.value.status == 403


def _hub_token(site: Api, federation: Federation) -> str:
    secret = site.get("Secret", "hub-credentials", federation.site_namespace)
    return base64.b64decode(secret["data"]["token"]).decode()


def _claims(token: str) -> Object:
    payload = token.split(".")[1]
    claims: Object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
