"""The real store holds only ciphertext, and needs credentials. A site accepts only assignments that its hub signed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import network, volumes
from lab.topology import STORE_PORT, named
from tests.conditions import condition, is_true
from tests.e2e.accounts import account
from tests.e2e.clusters import eventually
from tests.e2e.federation import ROUND_SECONDS, UNTRAINED, Federation, Finished
from tests.integration.api.apiserver import Api
from wardround.sealing.envelope import ASSIGNMENT, sign_envelope
from wardround.sealing.keys import dump_verification_key, generate_signing_key
from wardround.wire.canonical import encode

Object = dict[str, Any]
SITE, OTHER = "site-a", "site-b"
BOTH = {"participants": {"names": [SITE, OTHER]}}
# Short enough for every tensor, and long enough that ciphertext does not contain one by chance.
CHUNK = 16


@dataclass
class Spy:
    """Copies the store's disk all the time, and the plaintext at a site for comparison."""

    sealed: dict[str, bytes] = field(default_factory=dict)
    clear: dict[str, bytes] = field(default_factory=dict)

    def look(self) -> None:
        store = volumes.folder_of(named("hub"), volumes.HUB_NAMESPACE, "store")
        workspace = volumes.folder_of(named(SITE), volumes.SITE_NAMESPACE, "workspace")
        _copy(files_below(store), self.sealed)
        _copy([each for each in files_below(workspace / "tasks") if each.suffix == ".safetensors"], self.clear)

    def objects_in(self, folder: str) -> dict[str, bytes]:
        return {path: content for path, content in self.sealed.items() if f"/{folder}/" in path}


@dataclass(frozen=True)
class Observed:
    first: Finished
    second: Finished
    spy: Spy


@pytest.fixture(scope="module")
def observed(federation: Federation) -> Observed:
    """Two Train rounds, the second from the result of the first, and the spy's copies."""
    spy = Spy()
    first = federation.manifest("seen", "Train", initial={}, parameters=UNTRAINED, **BOTH)
    second = federation.manifest("seen-again", "Train", base={"roundName": first["metadata"]["name"]}, **BOTH)
    federation.apply(first, second)
    until = time.monotonic() + ROUND_SECONDS
    looked = 0
    while time.monotonic() < until:
        spy.look()
        looked += 1
        if looked % 20 == 0 and is_true(_round(federation, second), "Complete"):
            break
        time.sleep(0.05)
    finished = [federation.completed(each["metadata"]["name"], 5) for each in (first, second)]
    spy.look()
    return Observed(finished[0], finished[1], spy)


def test_the_spy_copied_all_objects(observed: Observed) -> None:
    """The control: without it, the tests below would prove nothing."""
    assert {Path(path).name for path in observed.spy.clear} >= {"model.safetensors", "update.safetensors"}
    for finished in (observed.first, observed.second):
        assert observed.spy.objects_in(f"models/{finished.uid}")
        assert observed.spy.objects_in(f"updates/{finished.uid}")


def test_the_store_holds_no_byte_of_a_tensor(observed: Observed) -> None:
    chunks = {
        content[at : at + CHUNK]
        for content in observed.spy.clear.values()
        for at in range(_tensors_at(content), len(content) - CHUNK + 1, CHUNK)
    }
    telling = {chunk for chunk in chunks if len(set(chunk)) > CHUNK // 2}
    assert len(telling) > 20
    stored = b"\n".join(observed.spy.sealed.values())
    assert not [chunk for chunk in telling if chunk in stored]
    assert b"__metadata__" not in stored
    assert b'"dtype"' not in stored


def test_updates_are_deleted_when_they_are_no_longer_needed(observed: Observed) -> None:
    store = volumes.folder_of(named("hub"), volumes.HUB_NAMESPACE, "store")
    for finished in (observed.first, observed.second):
        eventually(
            "updates are deleted",
            lambda uid=finished.uid: not [p for p in files_below(store) if f"/updates/{uid}/" in str(p)],  # type: ignore[misc]
        )


@dataclass(frozen=True)
class Passerby:
    """A client in a hospital's network without credentials. It checks the certificate that sites pin."""

    host: str
    ca_bundle: str

    def request(self, method: str, path: str) -> tuple[int, bytes]:
        arguments = [self.host, self.ca_bundle, named("hub").wan, str(STORE_PORT), method, path]
        command = [*network.inside(named(SITE)), sys.executable, "-c", REQUEST, *arguments]
        status, _, body = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.partition(b" ")
        return int(status), body


REQUEST = """
import http.client, socket, ssl, sys
host, bundle, address, port, method, path = sys.argv[1:]
connection = http.client.HTTPSConnection(host)
plain = socket.create_connection((address, int(port)), 10)
connection.sock = ssl.create_default_context(cadata=bundle).wrap_socket(plain, server_hostname=host)
connection.request(method, path, body=b"" if method == "PUT" else None)
answer = connection.getresponse()
sys.stdout.buffer.write(str(answer.status).encode() + b" " + answer.read())
"""


@pytest.fixture(scope="module")
def anyone(federation: Federation) -> Passerby:
    facts = federation.kubectl("hub").get("configmap", "wardround-hub", "-n", federation.hub_namespace)["data"]
    return Passerby(facts["storeOrigin"].removeprefix("https://").partition(":")[0], facts["storeCABundle"])


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", ""),
        ("HEAD", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "?acl"),
        ("PUT", "?acl"),
        ("POST", "?uploads"),
    ],
)
def test_a_client_without_credentials_cannot_access_an_object(
    observed: Observed, anyone: Passerby, method: str, query: str
) -> None:
    location = observed.second.result["location"]
    status, _ = anyone.request(method, f"/wardround/{location}/part-00000{query}")
    assert status == 403


@pytest.mark.parametrize("path", ["/", "/wardround", "/wardround?list-type=2", "/wardround?uploads", "/wardround?acl"])
def test_a_client_without_credentials_cannot_list(observed: Observed, anyone: Passerby, path: str) -> None:
    status, body = anyone.request("GET", path)
    assert status == 403
    assert observed.second.uid.encode() not in body


@pytest.fixture(scope="module")
def forger(federation: Federation) -> Iterator[Api]:
    """An attacker with the hub operator's account, which alone may write RoundTasks, but without the signing key."""
    with account("hub", federation.hub_namespace, "hub-operator") as api:
        yield api


def test_a_changed_assignment_is_refused(federation: Federation, observed: Observed, forger: Api) -> None:
    spec = _spec(observed, SITE)
    envelope = json.loads(spec["assignment"])
    payload = base64.b64decode(envelope["payload"])
    changed = payload.replace(b'"epochs":"1"', b'"epochs":"9"')
    assert changed != payload
    envelope["payload"] = base64.b64encode(changed).decode()
    spec["assignment"] = json.dumps(envelope, sort_keys=True, separators=(",", ":"))
    assert _refusal(federation, forger, "changed", spec) == "AssignmentUnreadable"


def test_another_hospitals_assignment_is_refused(federation: Federation, observed: Observed, forger: Api) -> None:
    assert _refusal(federation, forger, "misdirected", _spec(observed, OTHER)) == "NotAddressee"


def test_a_repeated_assignment_is_refused(federation: Federation, observed: Observed, forger: Api) -> None:
    assert _refusal(federation, forger, "replayed", _spec(observed, SITE)) == "Replayed"


def test_an_assignment_as_another_attempt_is_refused(federation: Federation, observed: Observed, forger: Api) -> None:
    assert _refusal(federation, forger, "attempt", _spec(observed, SITE) | {"attempt": 2}) == "Replayed"


def test_an_assignment_as_another_rounds_is_refused(federation: Federation, observed: Observed, forger: Api) -> None:
    spec = _spec(observed, SITE)
    spec["roundRef"] = dict(spec["roundRef"], uid=observed.first.uid)
    assert _refusal(federation, forger, "other-round", spec) == "Replayed"


@pytest.mark.parametrize(("admits", "reason"), [(True, "HubNotPinned"), (False, "AssignmentUnreadable")])
def test_an_assignment_by_another_key_is_refused(
    federation: Federation, observed: Observed, forger: Api, admits: bool, reason: str
) -> None:
    """`admits`: whether the RoundTask names the other key, or the hub's."""
    spec, key = _spec(observed, SITE), generate_signing_key()
    payload = json.loads(base64.b64decode(json.loads(spec["assignment"])["payload"]))
    spec["assignment"] = sign_envelope(payload, ASSIGNMENT, key)
    if admits:
        spec["hubKey"] = encode(dump_verification_key(key.public_key()))
    assert _refusal(federation, forger, f"forged-{str(admits).lower()}", spec) == reason


def _refusal(federation: Federation, forger: Api, name: str, spec: Object) -> str:
    """The reason with which the site refuses a task. Checks that both sides have it, and that there is no Job."""
    full = federation.name(f"attack-{name}")
    task = {
        "apiVersion": "wardround.io/v1alpha1",
        "kind": "RoundTask",
        # Without the hub's labels it is not a task of the round, so the hub does not touch it.
        "metadata": {"name": full, "namespace": SITE},
        "spec": spec,
    }
    forger.create(task)
    try:

        def failed() -> bool:
            return is_true(federation.kubectl("hub").get("roundtask", full, "-n", SITE), "Failed")

        eventually("the site refuses", failed)
        there = federation.kubectl("hub").get("roundtask", full, "-n", SITE)
        here = federation.site_task(SITE, full)
        accepted = [condition(side, "Accepted") for side in (there, here)]
        assert [(each.status, each.reason) for each in accepted if each] == [("False", accepted[0].reason)] * 2  # type: ignore[union-attr]
        assert here["status"]["failure"]["class"] == "Site"
        jobs = federation.kubectl(SITE)("get", "jobs", "-n", federation.site_namespace, "-o", "name")
        assert f"job.batch/{full}" not in jobs.split()
        return str(there["status"]["failure"]["reason"])
    finally:
        forger.delete("RoundTask", full, SITE)


def _spec(observed: Observed, participant: str) -> Object:
    spec: Object = observed.second.task(participant)["spec"]
    return {key: value for key, value in spec.items() if key not in ("grants", "cancel")}


def _round(federation: Federation, made: Object) -> Object:
    return federation.kubectl("hub").get("federatedround", made["metadata"]["name"], "-n", federation.namespace)


def files_below(folder: Path) -> list[Path]:
    """All files below a folder. Unlike Path.rglob, it ignores folders that are deleted meanwhile."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def _copy(paths: Iterable[Path], into: dict[str, bytes]) -> None:
    for path in paths:
        try:
            if path.is_file() and str(path) not in into and (content := path.read_bytes()):
                into[str(path)] = content
        except OSError:
            continue  # it went while it was looked at


def _tensors_at(content: bytes) -> int:
    """The offset of the tensors in a safetensors file."""
    return 8 + int.from_bytes(content[:8], "little")
