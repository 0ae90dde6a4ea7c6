"""Installs and upgrades of the charts with the real Helm, as users run it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documentation import section
from tests.integration.api.apiserver import Api
from tests.integration.api.objects import DIGEST, HUB, ROOT, hub_values, pod_of, site_values, training_job
from tests.integration.cluster import Helm

Object = dict[str, Any]
VALUES = {"crds": {}, "hub": hub_values(), "site": site_values("site-a")}
NAMESPACES = {"crds": "default", "hub": HUB, "site": "hospital-a"}


def render(helm: Helm, chart: str, **change: Any) -> list[Object]:
    values = {**VALUES[chart], **change}
    folder = str(ROOT / "charts" / chart)
    text = helm.ok("template", "wardround", folder, "--namespace", NAMESPACES[chart], "--values", helm.values(values))
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


@pytest.mark.parametrize("chart", VALUES)
def test_helm_lint_accepts_the_charts(helm: Helm, chart: str) -> None:
    done = helm.run("lint", "--strict", str(ROOT / "charts" / chart), "--values", helm.values(VALUES[chart]))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("chart", VALUES)
def test_helm_refuses_a_misspelt_value(helm: Helm, chart: str) -> None:
    values = {**VALUES[chart], "netwrok": {}}
    done = helm.run("template", "wardround", str(ROOT / "charts" / chart), "--values", helm.values(values))
    assert done.returncode != 0
    assert "netwrok" in done.stderr


def test_values_of_the_hub_do_not_replace_the_hospitals(helm: Helm, tmp_path: Path) -> None:
    """The command of docs/join.md, with a file of the hub that sets more than `enrol` writes."""
    own = {key: value for key, value in VALUES["site"].items() if key not in ("hub", "store")}
    own["policy"] = {**own["policy"], "approval": "Manual"}
    evil = {"approval": "Policy", "images": [f"evil@{DIGEST}"], "minQuorum": 7}
    from_hub = {key: VALUES["site"][key] for key in ("hub", "store")} | {"image": f"evil@{DIGEST}", "policy": evil}
    for name, values in (("site.yaml", own), ("from-hub.yaml", from_hub)):
        (tmp_path / name).write_text(yaml.safe_dump(values))
    [command] = [
        line
        for block in section("docs/join.md", "Install")
        for line in block.text.splitlines()
        if line.startswith("helm install wardround-site ")
    ]
    arguments = command.replace("charts/site", str(ROOT / "charts/site")).replace("-f ", f"-f {tmp_path}/").split()[2:]
    objects = [each for each in yaml.safe_load_all(helm.ok("template", *arguments)) if each]
    policy = of_kind(objects, "Site")["site"]["spec"]["policy"]
    assert {key: policy[key] for key in evil} == {key: own["policy"][key] for key in evil}
    [container] = of_kind(objects, "Deployment")["site-operator"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == own["image"]


def test_the_site_shows_its_operator_the_lists_that_the_admission_policies_compare(helm: Helm) -> None:
    shown = of_kind(render(helm, "site"), "Site")["site"]["spec"]["policy"]
    for name in ("datasets", "dataSchemas"):
        assert shown[name] == VALUES["site"]["policy"][name] != []


def test_no_pod_with_keys_or_network_mounts_the_state_of_training(helm: Helm) -> None:
    claims = {
        name: [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in each["spec"]["template"]["spec"].get("volumes", [])
            if "persistentVolumeClaim" in volume
        ]
        for name, each in of_kind(render(helm, "site"), "Deployment").items()
    }
    assert claims == {"site-operator": [], "courier": ["workspace", "models"]}


@pytest.mark.parametrize(
    "change",
    [{"models": {"claimName": ""}}, {"policy": {**VALUES["site"]["policy"], "tasks": ["Train"]}}],
    ids=["no claim", "no deliveries"],
)
def test_the_courier_mounts_no_models_unless_the_hospital_takes_them(helm: Helm, change: Object) -> None:
    courier = of_kind(render(helm, "site", **change), "Deployment")["courier"]["spec"]["template"]["spec"]
    assert [each["name"] for each in courier["volumes"]] == ["tmp", "pins", "workspace"]
    [container] = courier["containers"]
    assert "WARDROUND_MODELS" not in {each["name"] for each in container["env"]}


@pytest.mark.parametrize("claim", ["workspace", "state"])
def test_the_chart_refuses_models_on_a_claim_that_training_pods_write(helm: Helm, claim: str) -> None:
    values = helm.values({**VALUES["site"], "models": {"claimName": claim}})
    done = helm.run("template", "wardround", str(ROOT / "charts" / "site"), "--values", values)
    assert done.returncode != 0
    assert f"models.claimName is {claim}" in done.stderr


def versions(api: Api, helm: Helm, chart: str) -> dict[str, str]:
    """Returns the resource versions of the objects that define pods or that other programs write."""
    kinds = {
        "Deployment": "apis/apps/v1",
        "Secret": "api/v1",
        "Site": "apis/wardround.io/v1alpha1",
        "Service": "api/v1",
    }
    versions = {}
    for kind, group in kinds.items():
        plural = f"{kind.lower()}s"
        for name in of_kind(render(helm, chart), kind):
            there = api.call("GET", f"/{group}/namespaces/{NAMESPACES[chart]}/{plural}/{name}")
            versions[f"{kind}/{name}"] = there["metadata"]["resourceVersion"]
    return versions


@pytest.mark.parametrize("chart", ["hub", "site"])
def test_an_upgrade_to_the_same_chart_changes_nothing(api: Api, helm: Helm, chart: str) -> None:
    # The first upgrade stores the default of the Site's status. The API server drops this default on create.
    release = f"wardround-{chart}"
    helm.install(release, chart, NAMESPACES[chart], VALUES[chart])
    before = versions(api, helm, chart)
    helm.install(release, chart, NAMESPACES[chart], VALUES[chart])
    assert versions(api, helm, chart) == before


@pytest.mark.parametrize("chart", ["hub", "site"])
def test_only_a_first_installation_prints_the_steps_of_one(api: Api, helm: Helm, chart: str) -> None:
    policy = {"policy": {**site_values("site-a")["policy"], "images": []}} if chart == "site" else {}
    values = helm.values({**VALUES[chart], **policy})

    def notes(verb: str, release: str) -> str:
        place = (str(ROOT / "charts" / chart), "--namespace", NAMESPACES[chart])
        return helm.ok(verb, release, *place, "--values", values, "--dry-run=client").partition("NOTES:\n")[2]

    first, later = notes("install", "another"), notes("upgrade", f"wardround-{chart}")
    for word in ("Secret", "fingerprint", "by telephone"):
        assert word in first
        assert word not in later
    assert "has its new chart and values" in later
    assert all(("lists no training image" in each) == (chart == "site") for each in (first, later))


def test_an_upgrade_keeps_the_couriers_keys(api: Api, helm: Helm) -> None:
    path = "/api/v1/namespaces/hospital-a/secrets/courier-keys"
    assert "data" not in api.call("GET", path)
    keys = {"signing": "bm90LWEta2V5"}
    api.patch("Secret", "courier-keys", {"data": keys}, "hospital-a", user="system:serviceaccount:hospital-a:courier")
    changed = copy.deepcopy(VALUES["site"])
    changed["policy"]["minSamples"] = 20
    for values in (changed, VALUES["site"]):
        helm.install("wardround-site", "site", "hospital-a", values)
        assert api.call("GET", path)["data"] == keys


def test_a_site_with_an_empty_list_of_parameters_allows_none(api: Api, helm: Helm) -> None:
    """The default list would differ from the admission policy's list."""
    none = copy.deepcopy(VALUES["site"])
    none["policy"]["parameters"] = []
    seen = []
    for values in (none, VALUES["site"]):
        helm.install("wardround-site", "site", "hospital-a", values)
        seen.append(api.get("Site", "site", "hospital-a")["spec"]["policy"]["parameters"])
    assert seen[0] == []
    assert seen[1] != []


@pytest.mark.parametrize("chart", ["hub", "site"])
def test_pods_keep_to_the_restricted_standard(api: Api, helm: Helm, chart: str) -> None:
    namespace = f"restricted-{chart}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    objects = render(helm, chart)
    for account in of_kind(objects, "ServiceAccount").values():
        api.create({**account, "metadata": {"name": account["metadata"]["name"], "namespace": namespace}})
    pods = [each["spec"]["template"] for each in of_kind(objects, "Deployment").values()]
    if chart == "site":
        pods.append(pod_of(training_job("train-initial")))
    assert len(pods) > 1
    for template in pods:
        meta = {"name": "probe", "namespace": namespace, "labels": template["metadata"]["labels"]}
        api.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}, dry_run=True)


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
@pytest.mark.parametrize("chart", ["hub", "site"])
def test_a_chart_that_ends_other_pods_of_its_namespace_refuses_that_of_a_cluster(
    helm: Helm, chart: str, namespace: str
) -> None:
    folder, values = str(ROOT / "charts" / chart), helm.values(VALUES[chart])
    done = helm.run("template", "wardround", folder, "--namespace", namespace, "--values", values)
    assert done.returncode != 0
    assert f"Install it into a namespace of its own, and not into {namespace}" in done.stderr


def test_each_policy_and_each_binding_of_a_site_names_its_namespace(helm: Helm) -> None:
    """Why both: charts/site/templates/admission.yaml."""
    here = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACES["site"]}}
    objects = render(helm, "site")
    policies = of_kind(objects, "ValidatingAdmissionPolicy").values()
    bindings = of_kind(objects, "ValidatingAdmissionPolicyBinding").values()
    assert [each for each in policies if each["spec"]["matchConstraints"]["namespaceSelector"] != here] == []
    assert [each for each in bindings if each["spec"]["matchResources"]["namespaceSelector"] != here] == []


@pytest.mark.parametrize("chart", ["hub", "site"])
def test_only_pods_with_a_named_role_have_a_network_policy_that_allows_traffic(helm: Helm, chart: str) -> None:
    policies = of_kind(render(helm, chart), "NetworkPolicy")
    assert policies.pop("default-deny")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    roles = {each["spec"]["podSelector"]["matchLabels"]["wardround.io/role"] for each in policies.values()}
    assert roles == {"hub": {"operator", "aggregation", "store"}, "site": {"operator", "courier"}}[chart]
    # Only the store accepts connections from outside the cluster.
    assert [name for name, each in policies.items() if "ingress" in each["spec"]] == ["store"] * (chart == "hub")


def test_egress_goes_only_to_named_addresses(helm: Helm) -> None:
    policies = of_kind(render(helm, "site"), "NetworkPolicy") | of_kind(render(helm, "hub"), "NetworkPolicy")
    for policy in policies.values():
        for rule in policy["spec"].get("egress", []):
            assert rule["to"]
            assert rule["ports"]
    courier = policies["courier"]["spec"]["egress"]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": HUB}}} in [
        each["to"][0] for each in courier
    ]
    without_dns = render(helm, "site", network={**VALUES["site"]["network"], "dns": None})
    for policy in of_kind(without_dns, "NetworkPolicy").values():
        assert not [
            rule for rule in policy["spec"].get("egress", []) if {"protocol": "UDP", "port": 53} in rule["ports"]
        ]


def test_the_hub_works_with_another_s3(helm: Helm) -> None:
    store = {"external": {"endpoint": "https://s3.example", "bucket": "models", "caBundle": "PEM"}}
    network = {**VALUES["hub"]["network"], "store": [{"cidr": "198.51.100.1/32", "port": 443}]}
    objects = render(helm, "hub", store=store, network=network)
    assert of_kind(objects, "Deployment").keys() == {"hub-operator"}
    [container] = of_kind(objects, "Deployment")["hub-operator"]["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["WARDROUND_STORE_ENDPOINT"] == "https://s3.example"
    assert variables["WARDROUND_STORE_BUCKET"] == "models"
    assert "WARDROUND_STORE_INTERNAL_ENDPOINT" not in variables
    egress = of_kind(objects, "NetworkPolicy")["aggregation"]["spec"]["egress"]
    assert egress[0]["to"] == [{"ipBlock": {"cidr": "198.51.100.1/32"}}]


def test_only_operators_and_courier_have_a_token(helm: Helm) -> None:
    for chart in ("hub", "site"):
        objects = render(helm, chart)
        assert all(
            each["automountServiceAccountToken"] is False for each in of_kind(objects, "ServiceAccount").values()
        )
        held = {
            name
            for name, each in of_kind(objects, "Deployment").items()
            if each["spec"]["template"]["spec"]["automountServiceAccountToken"]
        }
        assert held == {"hub": {"hub-operator"}, "site": {"site-operator", "courier"}}[chart]
