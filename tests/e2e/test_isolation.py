"""What hostile training code finds inside its container on a real cluster: nothing. And what happens without walls."""

from __future__ import annotations

import base64
import csv
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import demo_install, lifecycle
from lab.topology import API_PORT, DNS_ADDRESS, STORE_PORT, clusters, named
from tests.e2e import hostile
from tests.e2e.accounts import administrator
from tests.e2e.clusters import eventually
from tests.e2e.federation import Federation
from wardround.pod import split

Object = dict[str, Any]
Target = tuple[str, str, int]
SITE = "site-c"
LOCAL_API = ("tcp", "10.96.0.1", 443)
# By the lab's own numbering: the lab itself comes up only when the first test asks for it.
HUB = clusters(1)[0].wan
HUB_API = ("tcp", HUB, API_PORT)
STORE = ("tcp", HUB, STORE_PORT)
RESOLVER = [("udp", DNS_ADDRESS, 53), ("tcp", DNS_ADDRESS, 53)]
# Words of a command are at most 256 characters, and at most 16.
WORD, LOADER = 256, "import sys,zlib,base64;exec(zlib.decompress(base64.b85decode(''.join(sys.argv[1:-1]))))"
SLEEPS = """
import os, sys, time
if sys.argv[-1] == "train":
    time.sleep(600)
os.execvp("python", ["python", "-m", "wardround_trainer", sys.argv[-1]])
"""


@dataclass(frozen=True)
class Inside:
    """What the hostile code said of the place where it ran, and the targets that it was given."""

    found: Object
    outside: list[Target]

    @property
    def open(self) -> list[Target]:
        return [(way, host, port) for way, host, port, said in self.found["reached"] if said == "open"]


@pytest.fixture(scope="module")
def inside(federation: Federation) -> Inside:
    """One Train round whose training code looks around before it trains."""
    targets = _targets(federation)
    # No name in the image leads to this module, so its source goes with the command.
    source = Path(hostile.__file__).read_text("utf-8") + f"\nmain({targets!r})\n"
    finished = federation.run_round("hostile", "Train", initial={"seed": 7}, command=_command(source), **ALONE)
    task = finished.task(SITE)["metadata"]["name"]
    log = federation.kubectl(SITE)("logs", "-n", federation.site_namespace, f"job/{task}", "-c", "train")
    [line] = [each for each in log.splitlines() if each.startswith("FOUND ")]
    return Inside(json.loads(line.removeprefix("FOUND ")), targets)


ALONE: Object = {"participants": {"names": [SITE]}}


def test_the_same_probes_answer_outside(federation: Federation) -> None:
    """The positive control: the site operator's own pod reaches hub, store's neighbour and resolver with them."""
    targets = [HUB_API, LOCAL_API, *RESOLVER]
    source = Path(hostile.__file__).read_text("utf-8") + f"\nprint(json.dumps(reached({targets!r})))\n"
    deployment = ("exec", "-i", "-n", federation.site_namespace, "deploy/site-operator", "--", "python", "-")
    found = json.loads(federation.kubectl(SITE)(*deployment, stdin=source))
    assert [tuple(each[:3]) for each in found if each[3] == "open"] == targets


def test_hostile_code_reaches_nothing(inside: Inside) -> None:
    assert len(inside.found["reached"]) == len(inside.outside) > 20
    assert inside.open == []


def test_hostile_code_finds_no_token_and_no_secret(federation: Federation, inside: Inside) -> None:
    """Neither by name nor by content: what is in the Secrets of its own site is compared with all that it saw."""
    seen = json.dumps(inside.found)
    environment = inside.found["environment"]
    assert not [name for name in environment if any(word in name for word in ("TOKEN", "SECRET", "PASSWORD", "KEY"))]
    assert "secrets" not in "\n".join(inside.found["mounts"])
    assert not [path for path in inside.found["files"] if "secrets" in path]
    with administrator(SITE) as admin:
        secrets = admin.call("GET", f"/api/v1/namespaces/{federation.site_namespace}/secrets")["items"]
    values = [value for secret in secrets for value in (secret.get("data") or {}).values() if len(value) > 64]
    assert len(values) >= 4
    for value in values:
        assert value not in seen
        assert base64.b64decode(value).decode("latin-1")[:48] not in seen


def test_hostile_code_sees_no_process_of_its_neighbours(inside: Inside) -> None:
    assert all("wardround " not in line and "/pause" not in line for line in inside.found["processes"])
    assert len(inside.found["processes"]) == 1


def test_hostile_code_sees_the_files_of_its_task_alone(inside: Inside) -> None:
    files = [path for path in inside.found["files"] if path.startswith("/wardround/")]
    assert sorted(files) == [
        "/wardround/base/model.safetensors",
        "/wardround/data/train.parquet",
        "/wardround/data/validation.parquet",
        "/wardround/task/task.json",
    ]
    mounted = {line.split()[1] for line in inside.found["mounts"] if line.split()[1].startswith("/wardround")}
    assert mounted == {f"/wardround/{each}" for each in ("task", "data", "base", "out", "checkpoint")}


def test_hostile_code_sees_no_raw_data_and_no_held_out_row(federation: Federation, inside: Inside) -> None:
    raw = (demo_install.data_folder(SITE) / "cases.csv").read_text("utf-8")
    dataset = federation.kubectl(SITE).get("dataset", "breast", "-n", federation.site_namespace)["spec"]
    sides = split.parse(dataset["split"])
    patients = list(csv.DictReader(raw.splitlines()))
    identifier = dataset["schema"]["identifier"]
    everything = json.dumps(inside.found)
    assert dataset["split"]["key"] not in everything
    assert not [each[identifier] for each in patients if each[identifier] in everything]
    features = [each["name"] for each in dataset["schema"]["fields"] if each["name"].endswith(("_area", "_perimeter"))]
    seen = {_fingerprint(row, features) for view in inside.found["rows"].values() for row in view}
    held_out: set[tuple[str, ...]] = set()
    trained: set[tuple[str, ...]] = set()
    for patient in patients:
        if mark := _fingerprint(patient, features):
            (held_out if sides.side(patient[identifier]) == "test" else trained).add(mark)
    assert held_out
    assert seen & trained
    assert not seen & (held_out - trained)
    assert all(identifier not in row for view in inside.found["rows"].values() for row in view)


def test_without_a_policy_engine_no_row_is_read(federation: Federation) -> None:
    made = federation.manifest("unguarded", "Statistics", **ALONE)
    with _without_policies(federation):
        federation.apply(made)
        _network_open(federation, made)


def test_training_is_ended_when_the_walls_go(federation: Federation) -> None:
    made = federation.manifest("walls-go", "Train", initial={"seed": 7}, command=_command(SLEEPS), **ALONE)
    name = made["metadata"]["name"]
    federation.apply(made)
    eventually("the training code runs", lambda: _trains(federation, name), 60)
    with _without_policies(federation):
        _network_open(federation, made)
        kubectl, task = federation.kubectl(SITE), federation.tasks_of(name)[0]["metadata"]["name"]
        gone = ("get", "job", task, "-n", federation.site_namespace, "--ignore-not-found", "-o", "name")
        eventually("the Job is gone", lambda: not kubectl(*gone), 60)


def _network_open(federation: Federation, made: Object) -> None:
    """Hub and site both say so, and whose problem it is."""
    finished = federation.finished(made["metadata"]["name"], 120)
    task = finished.task(SITE)
    assert task["status"]["failure"]["class"] == "Site"
    assert task["status"]["failure"]["reason"] == "NetworkOpen"
    assert finished.attention(SITE)["reason"] == "NetworkOpen"
    own = federation.site_task(SITE, task["metadata"]["name"])["status"]
    assert own["failure"]["reason"] == "NetworkOpen"
    assert "no NetworkPolicy is enforced here" in own["failure"]["message"]
    assert "update" not in task["status"]


@contextmanager
def _without_policies(federation: Federation) -> Iterator[None]:
    site = lifecycle.open_existing(SITE)
    site.stop("kube-router")
    try:
        yield
    finally:
        site.start("kube-router")
        site.await_usable("kube-router")


def _trains(federation: Federation, name: str) -> bool:
    tasks = federation.tasks_of(name)
    if not tasks:
        return False
    selector = f"job-name={tasks[0]['metadata']['name']}"
    pods = federation.kubectl(SITE).get("pods", "-n", federation.site_namespace, "-l", selector)["items"]
    states = [each for pod in pods for each in pod["status"].get("initContainerStatuses", ())]
    return any(each["name"] == "train" and "running" in each["state"] for each in states)


def _targets(federation: Federation) -> list[Target]:
    """All that there is around a training pod: hub, store, other hospitals, its own cluster's parts and neighbours."""
    site = named(SITE)
    found = [HUB_API, STORE, LOCAL_API, *RESOLVER, ("name", "kubernetes.default.svc.cluster.local", 0)]
    found += [("name", "hub.lab.internal", 0), ("tcp", "169.254.169.254", 80)]
    for host in (site.wan, site.management, site.pod_gateway):
        found += [("icmp", host, 0), *(("tcp", host, port) for port in (22, API_PORT, 10250, 2379, 53))]
    found += [("icmp", HUB, 0), ("tcp", named("site-a").wan, API_PORT), ("icmp", named("site-a").wan, 0)]
    found += [("icmp", site.management_peer, 0)]
    for pod in federation.kubectl(SITE).get("pods", "-A")["items"]:
        if pod["status"]["phase"] == "Running" and (address := pod["status"].get("podIP")):
            found += [
                ("icmp", address, 0),
                *(("tcp", address, port) for port in (53, 8080, 9153)),
                ("udp", address, 53),
            ]
    return found


def _command(source: str) -> list[str]:
    packed = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    return ["python", "-c", LOADER, *(packed[at : at + WORD] for at in range(0, len(packed), WORD))]


def _fingerprint(row: Object, features: list[str]) -> tuple[str, ...]:
    """What a row can be recognised by, whether it was read from text or from float32."""
    try:
        return tuple(f"{float(row[name]):.4g}" for name in features)
    except ValueError:
        return ()
