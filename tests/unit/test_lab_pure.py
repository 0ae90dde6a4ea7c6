"""What the lab decides before it touches the machine."""

import datetime
import ipaddress
import json
import subprocess
from pathlib import Path

import pytest

from lab import addons, lifecycle, network, node, sweep, toolchain, volumes
from lab.errors import LabError
from lab.topology import MOST_SITES, ROOT, Cluster, clusters

HUB, SITE = Cluster("hub", 0), Cluster("site-a", 1)


def test_every_cluster_has_addresses_of_its_own() -> None:
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


def test_a_site_lets_nobody_in_and_the_hub_only_to_its_api_and_store() -> None:
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


def test_a_build_is_another_one_when_anything_that_decides_it_changes() -> None:
    same = toolchain.content_hash({"go.mod": b"a", "go.sum": b"b"}, "go1.26.8", ["-trimpath"])
    assert same == toolchain.content_hash({"go.sum": b"b", "go.mod": b"a"}, "go1.26.8", ["-trimpath"])
    others = {
        toolchain.content_hash({"go.mod": b"ab", "go.sum": b""}, "go1.26.8", ["-trimpath"]),
        toolchain.content_hash({"go.mod": b"a", "go.sum": b"b"}, "go1.26.9", ["-trimpath"]),
        toolchain.content_hash({"go.mod": b"a", "go.sum": b"b"}, "go1.26.8", []),
    }
    assert len(others | {same}) == 4


def test_only_our_programs_on_our_folders_are_ours_to_end() -> None:
    cache, arguments = Path("/cache"), f"kubelet --root-dir={SITE.state}/kubelet"
    assert sweep.belongs("/cache/kubernetes-1/kubelet", arguments, cache, SITE)
    assert sweep.belongs("/cache/containerd-1/containerd-shim-runc-v2", f"-address {SITE.run}/x.sock", cache, SITE)
    assert not sweep.belongs("/usr/bin/kubelet", arguments, cache, SITE)
    assert not sweep.belongs("/cache/kubernetes-1/kubelet", "kubelet --root-dir=/var/lib/kubelet", cache, SITE)
    assert not sweep.belongs("/cache/kubernetes-1/kubelet", arguments, cache, Cluster("site-b", 2))


def test_a_volume_waits_for_one_claim_alone() -> None:
    spec = volumes.volume(SITE, "wardround-site", "state", "1Gi")["spec"]
    assert (spec["claimRef"]["namespace"], spec["claimRef"]["name"]) == ("wardround-site", "state")
    assert "local" in spec  # fsGroup does nothing on hostPath


def test_no_component_is_told_to_trust_blindly(tmp_path: Path) -> None:
    site = Cluster("site-a", 1, tmp_path)
    written = node.write(site, tmp_path, "image", datetime.datetime.now(datetime.UTC))
    assert set(written.commands) == set(node.COMPONENTS)
    said = " ".join(word for command in written.commands.values() for word in command)
    said += " ".join(path.read_text() for path in tmp_path.rglob("*kubeconfig"))
    assert "insecure" not in said
    assert "token-auth-file" not in said
    assert "http://" not in said
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*tmp_path.rglob("*.key"), *tmp_path.rglob("*kubeconfig")])


def test_dns_knows_the_hub_from_outside() -> None:
    corefile = next(m for m in addons.dns(HUB, "image", Path("/coredns")) if m["kind"] == "ConfigMap")["data"][
        "Corefile"
    ]
    assert "198.18.0.1 hub.lab.internal store.lab.internal" in corefile


def test_a_lab_whose_checkout_was_deleted_is_anybodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = tmp_path / "owner"
    (owner / "build" / "lab").mkdir(parents=True)
    record = tmp_path / "lab.json"
    record.write_text(json.dumps({"checkout": str(owner)}))
    monkeypatch.setattr("lab.lifecycle.RECORD", record)
    lifecycle.refuse_foreign()
    (owner / "Makefile").touch()
    with pytest.raises(LabError, match=f"belongs to {owner}"):
        lifecycle.refuse_foreign()


def test_what_still_runs_is_said_with_what_it_takes_and_how_to_stop_it() -> None:
    assert lifecycle.left_running([]) == ""
    said = lifecycle.left_running([1100, 1000, 1000, 996])
    assert said.startswith("Clusters that still run: 4, with 4.0 GB of memory.")
    assert "`make down` stops them" in said


@pytest.mark.parametrize("code", [0, 3])
def test_make_says_what_still_runs_whatever_came_of_the_tests(tmp_path: Path, code: int) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (("pytest", f"exit {code}"), ("python", "echo asked for: $*")):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o700)
    command = ["make", "--assume-old=built", "e2e", f"VENV={tmp_path}", "SUDO="]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "asked for: -m lab left" in done.stdout
    assert (done.returncode == 0) == (code == 0)
