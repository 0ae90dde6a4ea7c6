"""Troubles of real federations, as context managers: each causes a trouble, and undoes it at the end as people do."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab import lifecycle, volumes
from lab.install import HUB_SERVER
from lab.topology import named
from tests.conditions import is_true
from tests.e2e.clusters import PATIENCE_SECONDS, eventually
from tests.e2e.federation import Federation
from wardround.kubectl import main as kubectl_wardround

Object = dict[str, Any]
DAY_SECONDS = 24 * 3600
OURS = "wardround.io/role in (operator, courier)"


@contextmanager
def nothing_restarts(federation: Federation) -> Iterator[None]:
    """Fails the test if an operator or a courier was restarted or replaced meanwhile."""
    # An earlier test may have replaced one. The old pod ends a moment later.
    eventually("every operator and courier is ready, and is there once", lambda: _settled(federation))
    before = _restarts(federation)
    yield
    assert _restarts(federation) == before


@contextmanager
def not_approved(federation: Federation, site: str) -> Iterator[None]:
    """The hub has not pinned a hospital's keys. Approved with the command line at the end."""
    hub = federation.kubectl("hub")
    hub("patch", "participant", site, "-n", site, "--type=merge", "-p", '{"spec":{"keyFingerprint":null}}')
    try:
        yield
    finally:
        assert kubectl_wardround(["approve", site, "--yes", *_hub_kubeconfig()]) == 0


@contextmanager
def another_hub_pinned(federation: Federation, site: str) -> Iterator[None]:
    """A hospital pins a wrong fingerprint of the hub."""
    kubectl, where = federation.kubectl(site), ("site", "site", "-n", federation.site_namespace)

    def pin(fingerprint: str) -> None:
        kubectl("patch", *where, "--type=merge", "-p", json.dumps({"spec": {"hub": {"fingerprint": fingerprint}}}))

    right = kubectl.get(*where)["spec"]["hub"]["fingerprint"]
    pin("sha256:" + "0" * 64)
    try:
        yield
    finally:
        pin(right)


@contextmanager
def enrolment_expired(federation: Federation, site: str) -> Iterator[None]:
    """A hospital's token has expired two days ago. Enrolled again with the command line at the end."""
    kubectl, where = federation.kubectl(site), ("-n", federation.site_namespace)
    held = kubectl.get("secret", "hub-credentials", *where)["data"]["token"]
    old = base64.b64encode(aged(base64.b64decode(held).decode(), 2 * DAY_SECONDS).encode()).decode()
    kubectl("patch", "secret", "hub-credentials", *where, "--type=merge", "-p", json.dumps({"data": {"token": old}}))
    # The operator reads the Secret when its Site changes, so change the Site.
    kubectl("annotate", "site", "site", *where, f"e2e.wardround.io/look={time.time_ns()}", "--overwrite")
    try:
        yield
    finally:
        with TemporaryDirectory() as folder:
            file = Path(folder, "secret.yaml")
            enrol = ["enrol", site, "--bootstrap", str(file), "--hub-server", HUB_SERVER]
            assert kubectl_wardround([*enrol, *_hub_kubeconfig()]) == 0
            kubectl("apply", "--server-side", "--force-conflicts", *where, "-f", str(file))


@contextmanager
def store_down(federation: Federation) -> Iterator[None]:
    """The store is gone, and connections to it fail at once. On a dead line, they would fail only after a minute."""
    hub, where = federation.kubectl("hub"), ("-n", federation.hub_namespace)
    hub("scale", "deployment/store", *where, "--replicas=0")
    try:
        # The pod may also end by itself, even between kubectl's read and delete.
        store = ("-l", "wardround.io/role=store", "--ignore-not-found")
        hub("delete", "pod", *where, *store, "--force", "--grace-period=0")
        yield
    finally:
        hub("scale", "deployment/store", *where, "--replicas=1")
        hub("rollout", "status", "deployment/store", *where, f"--timeout={PATIENCE_SECONDS:.0f}s")


@contextmanager
def node_dead(cluster: str) -> Iterator[None]:
    """A node is cut off from its API server: its kubelet is stopped. Its containers run on."""
    node = lifecycle.open_existing(cluster)
    node.stop("kubelet")
    try:
        yield
    finally:
        node.start("kubelet")
        node.await_usable("kubelet")


def change_a_byte(federation: Federation, name: str, site: str) -> None:
    """Changes a byte of the update that a hospital sent in its first attempt, on the store's disk."""
    uid = federation.tasks_of(name)[0]["spec"]["roundRef"]["uid"]
    store = volumes.folder_of(named("hub"), federation.hub_namespace, "store") / "wardround"
    with (store / f"updates/{uid}/1/{site}/part-00000").open("r+b") as file:
        file.seek(-1, 2)
        [last] = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))


def aged(token: str, seconds: int) -> str:
    """A service account's token at the hub, with all times moved back by `seconds`, signed with the hub's key."""
    header, payload, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims |= {each: claims[each] - seconds for each in ("iat", "nbf", "exp")}
    signed = f"{header}.{_base64url(json.dumps(claims).encode())}"
    key = load_pem_private_key((named("hub").pki / "service-accounts.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_base64url(b''.join(number.to_bytes(32, 'big') for number in numbers))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _hub_kubeconfig() -> tuple[str, str]:
    return "--kubeconfig", str(named("hub").kubeconfig)


def _settled(federation: Federation) -> bool:
    pods = _staying(federation)
    return len(pods) == 1 + 2 * len(federation.sites) and all(is_true(pod, "Ready") for pod in pods.values())


def _restarts(federation: Federation) -> dict[str, int]:
    return {
        name: sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ()))
        for name, pod in _staying(federation).items()
    }


def _staying(federation: Federation) -> dict[str, Object]:
    """Our long-running pods, by cluster and name."""
    namespaces = {"hub": federation.hub_namespace} | dict.fromkeys(federation.sites, federation.site_namespace)
    return {
        f"{cluster}/{pod['metadata']['name']}": pod
        for cluster, namespace in namespaces.items()
        for pod in federation.kubectl(cluster).get("pods", "-n", namespace, "-l", OURS)["items"]
    }
