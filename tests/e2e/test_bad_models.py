"""Models that the hub did not sign, and initial weights that differ, are refused and reported."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab import volumes
from lab.topology import named
from tests.conditions import is_true
from tests.e2e.carried import COMMAND, carried
from tests.e2e.federation import UNTRAINED, Federation, Finished
from tests.e2e.troubles import nothing_restarts
from wardround.sealing.body import Body
from wardround.sealing.envelope import MODEL, open_envelope
from wardround.sealing.keys import load_signing_key
from wardround.sealing.manifests import parse_model

Object = dict[str, Any]
SITE, DIFFERENT = "site-b", ("site-a", "site-c")
ALONE: Object = {"participants": {"names": [SITE]}}
# Code whose initial weights differ between hospitals, like code that uses the clock or the host's name as a seed.
DIFFERS = """
import json, sys
import numpy as np
from safetensors.numpy import load_file, save_file
if sys.argv[-1] == "init":
    place = sum(json.load(open("/wardround/task/task.json"))["participant"].encode())
    model = {"weights": np.full(8, place, np.float32)}
else:
    model = load_file("/wardround/base/model.safetensors")
save_file(model, "/wardround/out/model.safetensors")
"""


@pytest.fixture(scope="module", autouse=True)
def steady(federation: Federation) -> Iterator[None]:
    with nothing_restarts(federation):
        yield


@pytest.fixture(scope="module")
def different(federation: Federation) -> str:
    """The name of a round whose code makes different initial weights. It runs while other tests work."""
    spec = {"participants": {"names": list(DIFFERENT)}, "command": COMMAND, "parameters": carried(DIFFERS)}
    made = federation.manifest("different", "Train", initial={}, **spec)
    federation.apply(made)
    return str(made["metadata"]["name"])


@pytest.fixture(scope="module")
def base(federation: Federation, different: str) -> Finished:
    return federation.run_round("genuine", "Train", initial={}, parameters=UNTRAINED, **ALONE)


def test_the_courier_refuses_a_model_that_a_key_holder_replaced(federation: Federation, base: Finished) -> None:
    """Every recipient of a model has its data key. The hub's signature covers the digest of the plaintext."""
    with replaced(federation, base):
        made = federation.manifest("replaced", "Train", base={"roundName": base.name}, retryLimit=0, **ALONE)
        federation.apply(made)
        finished = federation.finished(made["metadata"]["name"])
    assert finished.failed.reason == "QuorumNotMet"
    assert "Altered" in finished.failed.message
    attention = finished.attention(SITE)
    assert attention["reason"] == "Altered"
    assert attention["message"]
    [task] = finished.tasks
    own = federation.site_task(SITE, task["metadata"]["name"])
    for side in (task, own):
        assert (side["status"]["failure"]["class"], side["status"]["failure"]["reason"]) == ("Network", "Altered")
    assert own["status"]["failure"]["message"]
    jobs = federation.kubectl(SITE)("get", "jobs", "-n", federation.site_namespace, "-o", "name")
    assert f"job.batch/{task['metadata']['name']}" not in jobs.split()


def test_the_courier_accepts_the_original_model_afterwards(federation: Federation, base: Finished) -> None:
    again = federation.run_round("genuine-again", "Train", base={"roundName": base.name}, parameters=UNTRAINED, **ALONE)
    assert again.complete


def test_different_initial_weights_are_never_combined(federation: Federation, different: str) -> None:
    finished = federation.finished(different)
    failed = finished.failed
    assert failed.reason == "InitialWeightsDiffer"
    assert "init" in failed.message
    assert all(site in failed.message for site in DIFFERENT)
    assert "result" not in finished.round["status"]
    # Each hospital completed its task. Only the comparison at the hub shows the fault.
    for site in DIFFERENT:
        assert is_true(federation.site_task(site, finished.task(site)["metadata"]["name"]), "Complete")


@contextmanager
def replaced(federation: Federation, model: Finished) -> Iterator[None]:
    """Replaces a model in the store by another, sealed with the model's data key, with a matching list of segments."""
    hub, where = federation.kubectl("hub"), ("-n", federation.hub_namespace)
    held = hub.get("secret", f"model-{model.uid}", *where)["data"]
    key = load_signing_key(base64.b64decode(hub.get("secret", "hub-signing-key", *where)["data"]["key"]))
    manifest = parse_model(open_envelope(base64.b64decode(held["manifest"]).decode(), MODEL, key.public_key()))
    body = Body(base64.b64decode(held["dataKey"]), manifest.header)
    stored = volumes.folder_of(named("hub"), volumes.HUB_NAMESPACE, "store") / "wardround" / manifest.location
    files = [stored / "part-00000", stored / "segments"]
    genuine = [file.read_bytes() for file in files]
    assert body.segments == 1
    plain = bytearray(body.open(0, genuine[0]))
    plain[-1] ^= 1
    sealed = body.seal(0, bytes(plain))
    for file, data in zip(files, [sealed, hashlib.sha256(sealed).digest()], strict=True):
        file.write_bytes(data)
    try:
        yield
    finally:
        for file, data in zip(files, genuine, strict=True):
            file.write_bytes(data)
