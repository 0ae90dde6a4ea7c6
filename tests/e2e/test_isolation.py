"""Hostile training code finds nothing inside its container on a real cluster; and what happens without isolation."""

from __future__ import annotations

import base64
import csv
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab import demo_data, install, lifecycle, network
from lab.topology import API_PORT, DNS_ADDRESS, STORE_PORT, clusters, named
from tests.conditions import condition
from tests.documentation import section
from tests.e2e import hostile
from tests.e2e.accounts import administrator
from tests.e2e.carried import COMMAND, carried
from tests.e2e.clusters import PATIENCE_SECONDS, eventually
from tests.e2e.federation import LOCAL_SOCKETS, SCHEMA, UNTRAINED, Federation, Finished
from tests.probes.findings import findings
from wardround.api.names import task_name
from wardround.api.times import parse_time
from wardround.plans import assignment, link_local
from wardround.tabular import split

Object = dict[str, Any]
Target = tuple[str, str, int]
SITE = LOCAL_SOCKETS
# Another hospital, whose policy does not allow local sockets.
STRICT = "site-b"
LOCAL_API = ("tcp", "10.96.0.1", 443)
# Computed from the lab's numbering, because the lab starts only with the first test.
HUB = clusters(1)[0].wan
HUB_API = ("tcp", HUB, API_PORT)
STORE = ("tcp", HUB, STORE_PORT)
RESOLVER = [("udp", DNS_ADDRESS, 53), ("tcp", DNS_ADDRESS, 53)]
NAMES = [("name", each, 0) for each in ("kubernetes.default.svc.cluster.local", "hub.lab.internal")]
[NODE] = [each for each in clusters(3) if each.name == SITE]
KUBELET, ECHOES = ("tcp", NODE.wan, 10250), [("icmp", host, 0) for host in (NODE.wan, NODE.pod_gateway)]
# The targets that answer a pod without isolation.
ANSWERS = [HUB_API, STORE, LOCAL_API, *RESOLVER, *NAMES, KUBELET, *ECHOES]
WITHOUT_WALLS = "without-walls"
BEHIND_POLICIES = "behind-policies"
# Runs only the gate, with a real Job's settings, in a pod that a policy isolates.
GATE = """
import json, sys
from wardround.pod import gate, outcome
from wardround.wire import codec
try:
    settings, seconds = gate.read_settings(json.loads(sys.argv[1])), float(sys.argv[2])
    print(json.dumps(codec.dump(gate.hold(settings, deadline_seconds=seconds).outcome.link_local)))
except outcome.PodError as failure:
    print(outcome.write(failure.outcome).decode())
"""
# An API server deletes Events after an hour, and the lab may be older.
EVENTS_LAST = timedelta(minutes=50)
ALONE: Object = {"participants": {"names": [SITE]}}


@dataclass(frozen=True)
class Inside:
    """The findings of the hostile code."""

    report: Object

    @property
    def open(self) -> set[Target]:
        return opened(self.report["reached"])


@dataclass(frozen=True)
class Link:
    """What the gate alone said over link-local: to `Warn` and `Refuse` while it was open, to `Refuse` once it was
    closed. `local`: a round with local sockets, of SITE and STRICT, while it was closed."""

    open: Object
    refused: Object
    closed: Object
    local: Finished


@pytest.fixture(scope="module")
def targets(federation: Federation) -> list[Target]:
    return _targets(federation)


@pytest.fixture(scope="module")
def inside(federation: Federation, targets: list[Target]) -> Inside:
    """A Train round whose training code probes its surroundings before it trains."""
    made = _round(federation, "hostile", f"main({targets!r})")
    [finished] = federation.run_rounds(made)
    return _inside(federation, finished)


@pytest.fixture(scope="module")
def link(federation: Federation, inside: Inside) -> Link:
    """The policy closes IPv4 all the time. The lab leaves link-local open, like many clusters."""
    assert inside.open == set()
    close, reopen = (block.text for block in section("docs/operations.md", "IPv6 link-local"))
    kubectl, place = federation.kubectl(SITE), federation.name(BEHIND_POLICIES)
    texts = _log(federation)

    def condition_with(policy: str, seconds: float = PATIENCE_SECONDS) -> Object:
        settings = json.dumps({**texts, "WARDROUND_LINK_LOCAL": policy})
        answer: Object = json.loads(
            kubectl("exec", "-i", "-n", place, "probe", "--", "python", "-", settings, str(seconds), stdin=GATE)
        )
        return answer

    nobody: Object = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    deny = {"kind": "NetworkPolicy", "metadata": {"name": "default-deny", "namespace": place}, "spec": nobody}
    local = _round(federation, "local-sockets", f"main({ANSWERS!r})", participants={"names": [SITE, STRICT]})
    local["spec"] |= {"resources": {"nodes": 1, "localSockets": True}, "quorum": {"min": 1}}
    with kubectl.namespace(place):
        kubectl.apply(
            {"apiVersion": "networking.k8s.io/v1", **deny}, _bare_pod(place, federation.images.operator.reference)
        )
        kubectl("wait", "pod/probe", "-n", place, "--for=condition=Ready", f"--timeout={PATIENCE_SECONDS:.0f}s")
        opened, refused = condition_with("Warn"), condition_with("Refuse", 0.5)
        _on_the_node(close)
        try:
            federation.apply(local)
            return Link(opened, refused, condition_with("Refuse"), federation.completed(local["metadata"]["name"]))
        finally:
            _on_the_node(reopen)


@pytest.fixture(scope="module")
def without_walls(federation: Federation, targets: list[Target]) -> set[Target]:
    """What the same probes find open from a pod beside the hospital's namespace: same node, image and rights.

    They differ by the NetworkPolicies alone. Asked again where a busy machine's answer has come too late.
    """
    kubectl, place = federation.kubectl(SITE), federation.name(WITHOUT_WALLS)
    reached: set[Target] = set()

    def all_answer() -> bool:
        answer = kubectl("exec", "-i", "-n", place, "probe", "--", "python", "-", stdin=_source(_probe(targets)))
        reached.update(opened(json.loads(answer)))
        return reached >= {*ANSWERS}

    with kubectl.namespace(place):
        kubectl.apply(_bare_pod(place, federation.images.trainer.reference))
        kubectl("wait", "pod/probe", "-n", place, "--for=condition=Ready", f"--timeout={PATIENCE_SECONDS:.0f}s")
        eventually("what is there answers", all_answer)
    return reached


def test_the_same_probes_succeed_without_isolation(
    federation: Federation, targets: list[Target], without_walls: set[Target]
) -> None:
    """The positive control: without it, targets that do not exist would look closed, too."""
    assert without_walls >= {*ANSWERS}
    other_pods = _addresses(federation, "kube-system")
    for way, port in (("tcp", 53), ("udp", 53), ("icmp", 0)):
        assert any((way, address, port) in without_walls for address in other_pods), (way, port)


def test_hostile_code_reaches_nothing(inside: Inside, targets: list[Target], without_walls: set[Target]) -> None:
    assert {tuple(each[:3]) for each in inside.report["reached"]} == set(targets) > without_walls
    assert inside.open == set()


def test_hostile_code_opens_no_socket_out_of_its_pod(inside: Inside) -> None:
    """The code runs in a real round's pod, started by the launcher."""
    made = dict(inside.report["sockets"])
    assert made.pop("AF_UNIX") == "open"
    assert set(made.values()) == {"EAFNOSUPPORT"}


def test_hostile_code_finds_no_token_and_no_secret(federation: Federation, inside: Inside) -> None:
    """Compares the content of the site's Secrets with everything that the code saw."""
    seen = json.dumps(inside.report)
    environment = inside.report["environment"]
    assert not [name for name in environment if any(word in name for word in ("TOKEN", "SECRET", "PASSWORD", "KEY"))]
    assert "secrets" not in "\n".join(inside.report["mounts"])
    assert not [path for path in inside.report["files"] if "secrets" in path]
    with administrator(SITE) as admin:
        secrets = admin.call("GET", f"/api/v1/namespaces/{federation.site_namespace}/secrets")["items"]
    values = [value for secret in secrets for value in (secret.get("data") or {}).values() if len(value) > 64]
    assert len(values) >= 4
    for value in values:
        assert value not in seen
        assert base64.b64decode(value).decode("latin-1")[:48] not in seen


def test_hostile_code_sees_no_process_of_its_neighbours(inside: Inside) -> None:
    assert all("wardround " not in line and "/pause" not in line for line in inside.report["processes"])
    assert len(inside.report["processes"]) == 1


def test_hostile_code_sees_only_the_files_of_its_task(inside: Inside) -> None:
    files = [path for path in inside.report["files"] if path.startswith("/wardround")]
    assert sorted(files) == [
        "/wardround/base/model.safetensors",
        "/wardround/data/train.parquet",
        "/wardround/data/validation.parquet",
        "/wardround/task/task.json",
    ]
    mounted = {line.split()[1] for line in inside.report["mounts"] if line.split()[1].startswith("/wardround")}
    folders = ("task", "data", "base", "out", "checkpoint", "state/in", "state/out")
    [launcher] = mounted - {f"/wardround/{each}" for each in folders}
    assert re.fullmatch("/wardround-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/mounted/after/others", launcher)
    assert len(mounted) == len(folders) + 1


def test_hostile_code_sees_neither_raw_data_nor_test_rows(federation: Federation, inside: Inside) -> None:
    raw = (install.data_folder(SITE) / "cases.csv").read_text("utf-8")
    dataset = federation.kubectl(SITE).get("dataset", "breast", "-n", federation.site_namespace)["spec"]
    key = (install.state_folder(SITE) / demo_data.SPLIT_KEY).read_bytes()
    sides = split.parse(dataset["split"], key)
    patients = list(csv.DictReader(raw.splitlines()))
    identifier = dataset["identifier"]["column"]
    schema = federation.kubectl(SITE).get("dataschema", SCHEMA, "-n", federation.site_namespace)["spec"]
    everything = json.dumps(inside.report)
    assert key.decode() not in everything
    assert not [each[identifier] for each in patients if each[identifier] in everything]
    features = [each["name"] for each in schema["fields"] if each["name"].endswith(("_area", "_perimeter"))]
    seen = {_fingerprint(row, features) for view in inside.report["rows"].values() for row in view}
    held_out: set[tuple[str, ...]] = set()
    trained: set[tuple[str, ...]] = set()
    for patient in patients:
        if mark := _fingerprint(patient, features):
            (held_out if sides.side(patient[identifier]) == "test" else trained).add(mark)
    assert held_out
    assert seen & trained
    assert not seen & (held_out - trained)
    assert all(identifier not in row for view in inside.report["rows"].values() for row in view)


def test_without_a_policy_engine_no_row_is_read(federation: Federation) -> None:
    made = federation.manifest("unguarded", "Statistics", **ALONE)
    with _without_policies(federation):
        federation.apply(made)
        message = _network_open(federation, made)
    assert "node (ICMP)" in message


def test_training_ends_when_its_sidecar_or_its_isolation_ends(federation: Federation) -> None:
    """A task without its sidecar is retried. A task with an open network is not."""
    made = _round(federation, "walls-go", "sleep()")
    name = made["metadata"]["name"]
    federation.apply(made)
    uid = federation.kubectl("hub").get("federatedround", name, "-n", federation.namespace)["metadata"]["uid"]
    first, second = (task_name(name, uid, attempt) for attempt in (1, 2))
    eventually("the training code runs", lambda: _trains(federation, first))
    kubectl, place = federation.kubectl(SITE), federation.site_namespace
    sidecar = ("-n", place, f"job/{first}", "-c", "isolation")
    # The training code does not wait for the sidecar's first look. Before it, process 1 may have no handler of SIGTERM.
    eventually("the sidecar has looked", lambda: "isolation: " in kubectl("logs", *sidecar))
    kubectl("exec", *sidecar, "--", "python", "-c", "import os; os.kill(1, 15)")
    eventually("the Job without a watch is gone", lambda: kubectl.find("job", first, "-n", place) is None)
    failure = federation.site_task(SITE, first)["status"]["failure"]
    assert (failure["class"], failure["reason"]) == ("Platform", "IsolationUnknown")
    eventually("the training code runs again", lambda: _trains(federation, second))
    with _without_policies(federation):
        _network_open(federation, made)
        eventually("the Job without walls is gone", lambda: kubectl.find("job", second, "-n", place) is None)


def test_the_site_reports_an_open_link(federation: Federation, inside: Inside) -> None:
    """The round continues, and the Site stays Ready."""
    assert inside.open == set()
    kubectl, place = federation.kubectl(SITE), federation.site_namespace
    site = kubectl.get("site", "site", "-n", place)
    closed, ready = (condition(site, each) for each in (link_local.CONDITION, "Ready"))
    assert closed is not None
    assert (closed.status, closed.reason) == ("False", "LinkLocalOpen")
    assert link_local.COMMAND in closed.message
    assert ready is not None
    assert ready.status == "True"
    if datetime.now(UTC) - parse_time(closed.since) < EVENTS_LAST:
        kinds = ("-n", place, "--field-selector", "reason=LinkLocalOpen,type=Warning,involvedObject.kind=Site")
        assert kubectl.get("events", *kinds)["items"]


def test_the_documented_commands_close_an_open_link(link: Link) -> None:
    assert link.open["heard"] == "Open"
    assert {f"neighbour over link-local ({way})" for way in ("ICMP", "TCP 53", "UDP 53")} <= {*link.open["answers"]}
    assert "site-operator over link-local (TCP 8080)" in link.open["answers"]
    assert link.refused["reason"] == "NetworkOpen"
    assert link.closed == {"heard": "Silent", "answers": []}


def test_a_round_with_local_sockets_has_loopback_and_reaches_nothing(federation: Federation, link: Link) -> None:
    inside = _inside(federation, link.local)
    assert inside.report["loopback"] == "heard"
    assert {name for name, state in inside.report["sockets"].items() if state == "open"} == {
        *("AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK")
    }
    assert inside.open == set()
    assert link.local.round["status"]["participants"]["aggregated"] == 1


def test_hub_and_site_report_that_a_round_has_local_sockets(federation: Federation, link: Link) -> None:
    task = link.local.task(SITE)
    for side in (task, federation.site_task(SITE, task["metadata"]["name"])):
        accepted = condition(side, "Accepted")
        assert accepted is not None
        assert accepted.status == "True"
        assert assignment.LOCAL_SOCKETS in accepted.message


def test_a_hospital_that_does_not_allow_local_sockets_refuses_them(federation: Federation, link: Link) -> None:
    task = link.local.task(STRICT)
    for side in (task, federation.site_task(STRICT, task["metadata"]["name"])):
        accepted = condition(side, "Accepted")
        assert accepted is not None
        assert (accepted.status, accepted.reason) == ("False", "LocalSocketsNotAllowed")
    assert link.local.attention(STRICT)["reason"] == "LocalSocketsNotAllowed"


def _log(federation: Federation) -> dict[str, str]:
    """The gate's settings in this site's last training pod."""
    jobs = federation.kubectl(SITE).get(
        "jobs",
        "-n",
        federation.site_namespace,
        "-l",
        "wardround.io/role=training,wardround.io/round-uid",
        "--sort-by=.metadata.creationTimestamp",
    )["items"]
    sidecar = next(
        each for each in jobs[-1]["spec"]["template"]["spec"]["initContainers"] if each["name"] == "isolation"
    )
    return {each["name"]: each["value"].replace("$$", "$") for each in sidecar["env"]}


def _on_the_node(script: str) -> None:
    command = [*network.inside(named(SITE)), "bash", "-euc", script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _network_open(federation: Federation, made: Object) -> str:
    """Checks reason and class of the failure on hub and site. Returns the message for the site's people."""
    finished = federation.finished(made["metadata"]["name"])
    task = finished.task(SITE)
    assert task["status"]["failure"]["class"] == "Site"
    assert task["status"]["failure"]["reason"] == "NetworkOpen"
    assert finished.attention(SITE)["reason"] == "NetworkOpen"
    own = federation.site_task(SITE, task["metadata"]["name"])["status"]
    assert own["failure"]["reason"] == "NetworkOpen"
    assert "this node enforces no NetworkPolicy" in own["failure"]["message"]
    assert "update" not in task["status"]
    return str(own["failure"]["message"])


@contextmanager
def _without_policies(federation: Federation) -> Iterator[None]:
    site = lifecycle.open_existing(SITE)
    site.stop("kube-router")
    try:
        yield
    finally:
        site.start("kube-router")
        site.await_usable("kube-router")


def _trains(federation: Federation, task: str) -> bool:
    pods = federation.kubectl(SITE).get("pods", "-n", federation.site_namespace, "-l", f"job-name={task}")["items"]
    states = [each for pod in pods for each in pod["status"].get("initContainerStatuses", ())]
    return any(each["name"] == "train" and "running" in each["state"] for each in states)


def _targets(federation: Federation) -> list[Target]:
    """All targets around a training pod: hub, store, other hospitals, its cluster's components, and its neighbours."""
    site = named(SITE)
    targets = [HUB_API, STORE, LOCAL_API, *RESOLVER, *NAMES, ("tcp", "169.254.169.254", 80)]
    for host in (site.wan, site.management, site.pod_gateway):
        targets += [("icmp", host, 0), *(("tcp", host, port) for port in (22, API_PORT, 10250, 2379, 53))]
    targets += [("icmp", HUB, 0), ("tcp", named("site-a").wan, API_PORT), ("icmp", named("site-a").wan, 0)]
    targets += [("icmp", site.management_peer, 0)]
    for address in _addresses(federation, "kube-system") + _addresses(federation, federation.site_namespace):
        targets += [("icmp", address, 0), *(("tcp", address, port) for port in (53, 8080, 9153)), ("udp", address, 53)]
    return targets


def _addresses(federation: Federation, namespace: str) -> list[str]:
    """Addresses of the pods that run there."""
    pods = federation.kubectl(SITE).get("pods", "-n", namespace)["items"]
    running = [pod["status"] for pod in pods if pod["status"]["phase"] == "Running"]
    return [address for status in running if (address := status.get("podIP"))]


def _round(federation: Federation, name: str, call: str, **spec: Any) -> Object:
    """A Train round of this hospital whose training code is `hostile` with `call` at its end."""
    usual = {**ALONE, "initial": {}, "command": COMMAND}
    parameters = {**UNTRAINED, **carried(_source(call))}
    return federation.manifest(name, "Train", parameters=parameters, **(usual | spec))


def _inside(federation: Federation, finished: Finished) -> Inside:
    task = finished.task(SITE)["metadata"]["name"]
    log = federation.kubectl(SITE)("logs", "-n", federation.site_namespace, f"job/{task}", "-c", "train")
    return Inside(findings(log))


def _source(call: str) -> str:
    """The module's source with the call. The image does not hold the module, so the parameters carry its source."""
    return Path(hostile.__file__).read_text("utf-8") + f"\n{call}\n"


def _probe(targets: list[Target]) -> str:
    return f"print(json.dumps(reached({targets!r})))"


def opened(reached: list[list[Any]]) -> set[Target]:
    return {(way, host, port) for way, host, port, state in reached if state == "open"}


def _bare_pod(namespace: str, image: str) -> Object:
    """A pod like a training pod, but in another namespace."""
    container = {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", "import time; time.sleep(300)"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": security,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": namespace}, "spec": spec}


def _fingerprint(row: Object, features: list[str]) -> tuple[str, ...]:
    """A row's fingerprint, equal for rows read from text and from float32."""
    try:
        return tuple(f"{float(row[name]):.4g}" for name in features)
    except ValueError:
        return ()
