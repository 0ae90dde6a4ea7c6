"""The pods of the site chart's Deployments mount no patient data. Each attack adds one volume to a pod of the chart, or
names the claim of a Dataset or a Prediction in the chart's values."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api.admission import refusal
from tests.integration.api.apiserver import Api, Refused, account, until
from tests.integration.api.attack import PATIENT_DATA
from tests.integration.api.objects import ROOT, dataset, prediction, site_values
from tests.integration.api.test_charts import of_kind, render
from tests.integration.cluster import Helm

Object = dict[str, Any]
REPLICAS = account("kube-system", "replicaset-controller")
# If several policies refuse a write, the API server names any one of them.
REFUSED = f"The courier mounts no claims but workspace, models, the site operator none|{PATIENT_DATA}"


def claim(name: str) -> Object:
    return {"persistentVolumeClaim": {"claimName": name}}


@pytest.fixture(scope="module")
def pods(helm: Helm) -> dict[str, Object]:
    """The pod of each Deployment, as the ReplicaSet controller makes it."""
    return {name: pod(each) for name, each in of_kind(render(helm, "site"), "Deployment").items()}


def pod(deployment: Object) -> Object:
    name, template = deployment["metadata"]["name"], deployment["spec"]["template"]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{name}-7d4b9c6f5",
        "uid": "00000000-0000-0000-0000-000000000001",
        "controller": True,
    }
    metadata = {**template["metadata"], "name": f"{name}-x", "namespace": "hospital-a", "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def with_volume(pod: Object, source: Object) -> Object:
    spec = pod["spec"]
    return {**pod, "spec": {**spec, "volumes": [*spec["volumes"], {"name": "more", **source}]}}


@pytest.mark.parametrize("name", ["courier", "site-operator"])
def test_the_pods_of_the_chart_are_admitted_also_with_a_clusters_additions(
    api: Api, pods: dict[str, Object], name: str
) -> None:
    api.create(pods[name], user=REPLICAS, dry_run=True)
    token = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    own: list[Object] = [{"emptyDir": {}}, token]
    for source in own:
        api.create(with_volume(pods[name], source), user=REPLICAS, dry_run=True)


ATTACKS: dict[str, tuple[str, Object]] = {
    "the courier mounts the data of a Dataset": ("courier", claim("breast-data")),
    "the courier mounts the data read-only": (
        "courier",
        {"persistentVolumeClaim": {"claimName": "breast-data", "readOnly": True}},
    ),
    "the courier mounts the state of training": ("courier", claim("state")),
    "the courier mounts a folder of its node": ("courier", {"hostPath": {"path": "/var/lib"}}),
    "the courier mounts a share of the network": ("courier", {"nfs": {"server": "203.0.113.9", "path": "/rows"}}),
    "the courier mounts a volume of a driver": ("courier", {"csi": {"driver": "example.org"}}),
    "the site operator mounts the data of a Dataset": ("site-operator", claim("breast-data")),
    "the site operator mounts the workspace": ("site-operator", claim("workspace")),
    "the site operator mounts the models": ("site-operator", claim("models")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_pod_with_network_mounts_what_a_pod_beside_the_data_can_write(
    api: Api, pods: dict[str, Object], attack: str
) -> None:
    name, source = ATTACKS[attack]
    with pytest.raises(Refused, match=REFUSED):
        api.create(with_volume(pods[name], source), user=REPLICAS, dry_run=True)


def test_only_the_controlling_owner_says_which_deployment_a_pod_is_of(api: Api, pods: dict[str, Object]) -> None:
    attack = copy.deepcopy(with_volume(pods["site-operator"], claim("workspace")))
    attack["metadata"]["ownerReferences"].append(
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "courier-1", "uid": "u"}
    )
    with pytest.raises(Refused, match=REFUSED):
        api.create(attack, user=REPLICAS, dry_run=True)


RELEASE = ("wardround-site", "site", "hospital-a")
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
DEPLOYMENTS = "/apis/apps/v1/namespaces/hospital-a/deployments"
SITES = "/apis/wardround.io/v1alpha1/namespaces/hospital-a/sites"
OF_A_DATASET = "The claim rows has the patient data of Dataset taken."
OF_A_PREDICTION = "The claim {} has patient data of Prediction asked."
# What names a claim that the courier mounts, and the refusal. A Prediction has claims that `predictions` lists no more.
CLAIM_VALUES: dict[str, tuple[Object, str]] = {
    "models": ({"models": {"claimName": "rows"}}, OF_A_DATASET),
    "workspace": ({"workspace": {"existingClaim": "rows"}}, OF_A_DATASET),
    "rows of a Prediction": (
        {"models": {"claimName": "new-cases"}, "predictions": {"rowsClaimNames": ["newer-cases"]}},
        OF_A_PREDICTION.format("new-cases"),
    ),
    "answers of a Prediction": (
        {"workspace": {"existingClaim": "answers"}, "predictions": {"answersClaimNames": ["newer-answers"]}},
        OF_A_PREDICTION.format("answers"),
    ),
}


# The state is a claim that only training pods mount.
NAMED_VALUES = {**CLAIM_VALUES, "state": ({"state": {"existingClaim": "rows"}}, OF_A_DATASET)}


@pytest.fixture(scope="module")
def taken(api: Api, helm: Helm) -> Iterator[Api]:
    """A Dataset has the claim `rows`, and a Prediction the claims `new-cases` and `answers`. Then somebody names one of
    these claims in the chart's values."""
    item = dataset("hospital-a", "taken")
    item["spec"]["claimName"] = "rows"
    api.create(item)
    api.create(prediction("hospital-a", "asked"))
    yield api
    api.delete("Dataset", "taken", "hospital-a")
    api.delete("Prediction", "asked", "hospital-a")
    helm.install(*RELEASE, site_values("site-a"), "--force-conflicts")


def upgraded(helm: Helm, change: Object) -> str:
    """What Helm says of an upgrade that it refuses."""
    values = helm.values(site_values("site-a") | change)
    release, chart, namespace = RELEASE[0], str(ROOT / "charts" / "site"), RELEASE[2]
    done = helm.run("upgrade", release, chart, "--namespace", namespace, "--values", values, "--force-conflicts")
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("value", NAMED_VALUES)
def test_an_upgrade_fails_before_it_writes_a_claim_of_patient_data(taken: Api, helm: Helm, value: str) -> None:
    change, words = NAMED_VALUES[value]
    before = taken.get("Site", "site", "hospital-a")["spec"]
    assert words in upgraded(helm, change)
    assert taken.get("Site", "site", "hospital-a")["spec"] == before


@pytest.mark.parametrize("value", CLAIM_VALUES)
def test_a_deployment_of_the_courier_with_a_claim_of_patient_data_is_refused(
    taken: Api, helm: Helm, value: str
) -> None:
    change, words = CLAIM_VALUES[value]
    courier = of_kind(render(helm, "site", **change), "Deployment")["courier"]
    # The volumes alone: the release of the rendered chart has another name.
    courier["spec"] = {"template": {"spec": {"volumes": courier["spec"]["template"]["spec"]["volumes"]}}}
    until("the Deployment is refused", lambda: words in applied(taken, DEPLOYMENTS, courier, dry_run=True))


@pytest.mark.parametrize("value", CLAIM_VALUES)
def test_the_courier_does_not_mount_the_claim_of_patient_data_that_the_chart_names(
    taken: Api, helm: Helm, value: str
) -> None:
    """Another tool than Helm may write the policies first. They then admit this claim by its name."""
    change, words = CLAIM_VALUES[value]
    chart = render(helm, "site", **change)
    [own] = [each for each in of_kind(chart, "ValidatingAdmissionPolicy").values() if "own-pods" in str(each)]
    assert applied(taken, POLICIES, own) == ""
    courier = of_kind(chart, "Deployment")["courier"]
    until_refused_only(taken, pod(courier), words)
    # The site operator's pod mounts nothing.
    taken.create(pod(of_kind(chart, "Deployment")["site-operator"]), user=REPLICAS, dry_run=True)


@pytest.mark.parametrize("value", NAMED_VALUES)
def test_the_site_names_no_claim_of_patient_data_for_our_own_use(taken: Api, helm: Helm, value: str) -> None:
    """Another tool than Helm asks no cluster before it writes."""
    change, words = NAMED_VALUES[value]
    [site] = of_kind(render(helm, "site", **change), "Site").values()
    until("the Site is refused", lambda: words in applied(taken, SITES, site, dry_run=True))
    assert "state.existingClaim" in applied(taken, SITES, site, dry_run=True)


# Values of a first installation, and the claim that a Dataset has already.
FIRST: dict[str, tuple[Object, str, str]] = {
    "workspace": ({"workspace": {"existingClaim": "rows"}}, "rows", "workspace.existingClaim"),
    "the default workspace": ({}, "workspace", "workspace.existingClaim"),
    "state": ({"state": {"existingClaim": "rows"}}, "rows", "state.existingClaim"),
    "the default state": ({}, "state", "state.existingClaim"),
    "models": ({"models": {"claimName": "rows"}}, "rows", "models.claimName"),
}


@pytest.fixture(scope="module")
def fresh(api: Api) -> str:
    """A namespace without the site chart, and so without its policies."""
    name = "hospital-fresh"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.mark.parametrize("case", FIRST)
def test_a_first_installation_fails_if_a_dataset_has_a_claim_of_ours(
    api: Api, helm: Helm, fresh: str, case: str
) -> None:
    """Helm makes the policies last, so they come after the courier."""
    change, claim_name, value = FIRST[case]
    item = dataset(fresh, "early")
    item["spec"]["claimName"] = claim_name
    values = helm.values(site_values("site-b") | change)
    chart = str(ROOT / "charts" / "site")
    command = ("install", "first", chart, "--namespace", fresh, "--values", values, "--dry-run=server")
    helm.ok(*command)
    api.create(item)
    try:
        refused = helm.run(*command)
        helm.ok("template", "first", chart, "--namespace", fresh, "--values", values)
    finally:
        api.delete("Dataset", "early", fresh)
    assert refused.returncode != 0
    words = f"The claim {claim_name} has the patient data of Dataset early."
    assert words in refused.stderr
    assert f"Write the name of another claim into {value} of the values." in refused.stderr


def test_no_dataset_has_the_claim_of_an_answer_that_the_chart_lists_no_more(taken: Api, helm: Helm) -> None:
    """Rows that train must not come from a model."""
    [policy] = [
        each
        for each in of_kind(render(helm, "site", predictions={}), "ValidatingAdmissionPolicy").values()
        if each["metadata"]["name"].startswith("dataset-claim.")
    ]
    assert applied(taken, POLICIES, policy) == ""
    item = dataset("hospital-a", "poisoned")
    item["spec"]["claimName"] = "answers"
    words = "The claim answers has the answer of Prediction asked"
    until(
        "only the Prediction refuses the Dataset", lambda: "predictions.answersClaimNames" not in refusal(taken, item)
    )
    assert words in refusal(taken, item)


def applied(api: Api, path: str, item: Object, *, dry_run: bool = False) -> str:
    """The API server's refusal of a server-side apply; empty if none."""
    path += f"/{item['metadata']['name']}?fieldManager=other&force=true" + ("&dryRun=All" if dry_run else "")
    try:
        api.call("PATCH", path, item, kind_of_body="application/apply-patch+yaml")
    except Refused as refused:
        return str(refused)
    return ""


def until_refused_only(api: Api, attack: Object, expected: str) -> None:
    """Waits until only an object with patient data refuses the pod, and not the names of the chart's claims."""

    def only() -> bool:
        words = refusal(api, attack, REPLICAS)
        assert words, "the pod is admitted"
        return expected in words and REFUSED not in words

    until("only the object refuses the pod", only)
