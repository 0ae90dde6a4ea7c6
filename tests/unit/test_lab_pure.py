"""The lab's pure functions: names, addresses, packet rules, configuration, texts."""

import datetime
import ipaddress
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import addons, lifecycle, network, node, sweep, toolchain, volumes
from lab.errors import LabError
from lab.topology import MOST_SITES, ROOT, Cluster, clusters

HUB, SITE = Cluster("hub", 0), Cluster("site-a", 1)


def test_every_cluster_has_its_own_addresses() -> None:
    everyone = clusters(MOST_SITES)
    for addresses in ([c.wan for c in everyone], [c.management for c in everyone], [c.pods for c in everyone]):
        assert len(set(addresses)) == len(everyone)
    assert all(ipaddress.ip_address(c.pod_gateway) in ipaddress.ip_network(c.node_pods) for c in everyone)


def test_interface_names_fit_the_kernels_fifteen_characters() -> None:
    assert all(len(cluster.namespace) <= 15 for cluster in clusters(MOST_SITES))


@pytest.mark.parametrize("sites", [0, MOST_SITES + 1])
def test_a_lab_of_impossible_size_is_refused(sites: int) -> None:
    with pytest.raises(LabError, match="1 to 20 sites"):
        clusters(sites)


def test_sites_accept_no_connections_and_the_hub_only_to_api_and_store() -> None:
    assert network.inbound_rules(network.usual_inbound(SITE)).splitlines() == [
        "flush chain inet wardround inbound",
        "add rule inet wardround inbound counter drop",
    ]
    assert network.inbound_rules(network.usual_inbound(HUB)).splitlines() == [
        "flush chain inet wardround inbound",
        "add rule inet wardround inbound tcp dport 6443 accept",
        "add rule inet wardround inbound tcp dport 30443 accept",
        "add rule inet wardround inbound counter drop",
    ]


def test_every_input_changes_the_hash_of_a_build() -> None:
    same = toolchain.content_hash({"go.mod": b"a", "go.sum": b"b"}, "go1.26.8", ["-trimpath"])
    assert same == toolchain.content_hash({"go.sum": b"b", "go.mod": b"a"}, "go1.26.8", ["-trimpath"])
    others = {
        toolchain.content_hash({"go.mod": b"ab", "go.sum": b""}, "go1.26.8", ["-trimpath"]),
        toolchain.content_hash({"go.mod": b"a", "go.sum": b"b"}, "go1.26.9", ["-trimpath"]),
        toolchain.content_hash({"go.mod": b"a", "go.sum": b"b"}, "go1.26.8", []),
    }
    assert len(others | {same}) == 4


def test_the_build_collects_garbage_less_often_unless_the_user_has_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOGC", "GOMEMLIMIT"):
        monkeypatch.delenv(name, raising=False)
    assert {name: toolchain._environment()[name] for name in ("GOGC", "GOMEMLIMIT")} == {
        "GOGC": "400",
        "GOMEMLIMIT": "2GiB",
    }
    monkeypatch.setenv("GOGC", "50")
    assert toolchain._environment()["GOGC"] == "50"


def test_only_the_labs_programs_on_its_folders_belong_to_a_cluster() -> None:
    cache, arguments = Path("/cache"), f"kubelet --root-dir={SITE.state}/kubelet"
    assert sweep.belongs("/cache/kubernetes-1/kubelet", arguments, cache, SITE)
    assert sweep.belongs("/cache/containerd-1/containerd-shim-runc-v2", f"-address {SITE.run}/x.sock", cache, SITE)
    assert not sweep.belongs("/usr/bin/kubelet", arguments, cache, SITE)
    assert not sweep.belongs("/cache/kubernetes-1/kubelet", "kubelet --root-dir=/var/lib/kubelet", cache, SITE)
    assert not sweep.belongs("/cache/kubernetes-1/kubelet", arguments, cache, Cluster("site-b", 2))


def test_a_volume_is_reserved_for_one_claim() -> None:
    spec = volumes.volume(SITE, "wardround-site", "state", "1Gi")["spec"]
    assert (spec["claimRef"]["namespace"], spec["claimRef"]["name"]) == ("wardround-site", "state")
    assert "local" in spec  # fsGroup does nothing on hostPath


def test_no_component_has_an_insecure_setting(tmp_path: Path) -> None:
    site = Cluster("site-a", 1, tmp_path)
    written = node.write(site, tmp_path, "image", datetime.datetime.now(datetime.UTC))
    assert set(written.commands) == set(node.COMPONENTS)
    text = " ".join(word for command in written.commands.values() for word in command)
    text += " ".join(path.read_text() for path in tmp_path.rglob("*kubeconfig"))
    assert "insecure" not in text
    assert "token-auth-file" not in text
    assert "http://" not in text
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*tmp_path.rglob("*.key"), *tmp_path.rglob("*kubeconfig")])


def test_dns_knows_the_hubs_outer_address() -> None:
    corefile = next(m for m in addons.dns(HUB, "image", Path("/coredns")) if m["kind"] == "ConfigMap")["data"][
        "Corefile"
    ]
    assert "198.18.0.1 hub.lab.internal store.lab.internal" in corefile


def test_a_node_may_read_the_claims_of_a_pod_that_the_node_authorizer_does_not_know_yet() -> None:
    objects = {(each["kind"], each["metadata"]["name"]): each for each in addons.access()}
    binding = objects["ClusterRoleBinding", "wardround-lab:node"]
    assert [each["name"] for each in binding["subjects"]] == ["system:nodes"]
    [rule] = objects["ClusterRole", binding["roleRef"]["name"]]["rules"]
    assert {"persistentvolumeclaims", "persistentvolumes"} <= set(rule["resources"])
    assert set(rule["verbs"]) == {"get", "list", "watch"}


def test_names_are_resolved_while_training_pods_use_all_processors() -> None:
    [deployment] = [each for each in addons.dns(HUB, "image", Path("/coredns")) if each["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == "100m"


# The kernel takes weights up to 10,000, and answers a greater one with an error.
@pytest.mark.parametrize(
    ("processors", "shares", "weight"),
    [(2, "8192", "313"), (64, "262144", "10000"), (192, "262144", "10000")],
)
def test_the_pods_of_all_nodes_weigh_as_many_processors_as_the_nodes_have(
    processors: int, shares: str, weight: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    files = {"v1/cpu.shares": shares, "v2/cpu.weight": weight}
    for name in files:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for group in ("v1", "v2", "memory"):
        sweep.weigh(tmp_path / group, 4)
    assert {name: (tmp_path / name).read_text() for name in files} == files
    assert list((tmp_path / "memory").iterdir()) == []


def test_a_lab_that_runs_is_refused_to_other_checkouts_unless_its_own_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, tools = tmp_path / "owner", tmp_path / "cache" / "wardround" / "tools"
    for folder in (owner, tools):
        folder.mkdir(parents=True)
    record = tmp_path / "lab.json"
    record.write_text(json.dumps({"checkout": str(owner)}))
    monkeypatch.setattr("lab.lifecycle.RECORD", record)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    component = Path(shutil.copy("/bin/sh", tools / "kubelet"))
    lifecycle.refuse_foreign()
    (owner / "Makefile").touch()
    # Nothing runs any more: the lab's checkout was interrupted.
    lifecycle.refuse_foreign()
    with subprocess.Popen([component, "-c", "read line", f"{owner}/build/lab/hub/kubelet"], stdin=subprocess.PIPE):
        with pytest.raises(LabError, match=f"belongs to {owner}"):
            lifecycle.refuse_foreign()
        (owner / "Makefile").unlink()
        lifecycle.refuse_foreign()


def test_the_text_about_running_clusters_has_their_memory_and_make_down() -> None:
    assert lifecycle.left_running([]) == ""
    text = lifecycle.left_running([1100, 1000, 1000, 996])
    assert text.startswith("Clusters that still run: 4, with 4.0 GB of memory.")
    assert "`make down` stops them" in text


@pytest.mark.parametrize("code", [0, 3])
def test_make_reports_running_clusters_after_passed_and_failed_tests(tmp_path: Path, code: int) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (("pytest", f"exit {code}"), ("python", "echo asked for: $*")):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o700)
    command = ["make", "--assume-old=built", "e2e", f"VENV={tmp_path}", "SUDO="]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "asked for: -m lab left" in done.stdout
    assert (done.returncode == 0) == (code == 0)
