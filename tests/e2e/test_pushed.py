"""A FederatedModel starts from weights that a person pushed, with real pods: where a hospital allows it alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab import demo_rounds, demo_use, install
from tests.e2e.clusters import eventually
from tests.e2e.federation import SCHEMA, UNTRAINED, Federation
from tests.e2e.series import Series, applied
from wardround import tensors
from wardround.card import folder
from wardround.plans.push import DEVIATION, MEAN
from wardround.tabular import dataschema
from wardround.wire import digests

HIDDEN = int(UNTRAINED["hidden"])
ALLOWS, REFUSES = "site-a", "site-c"


@contextmanager
def allowed(federation: Federation, site: str) -> Iterator[None]:
    """The hospital takes rounds that start from pushed weights."""
    patch = ("patch", "site", "site", "-n", federation.site_namespace, "--type=merge", "-p")
    federation.kubectl(site)(*patch, '{"spec": {"policy": {"pushedModels": true}}}')
    try:
        yield
    finally:
        federation.kubectl(site)(*patch, '{"spec": {"policy": {"pushedModels": false}}}')


def network() -> dict[str, np.ndarray[Any, Any]]:
    """Weights of the built-in trainer's network, not as it makes first weights."""
    features = len(dataschema.parse(demo_rounds.data_schema()["spec"]).features)
    draw = np.random.default_rng(7)
    shapes = {
        "hidden.0.weight": (HIDDEN, features),
        "hidden.0.bias": (HIDDEN,),
        "output.weight": (1, HIDDEN),
        "output.bias": (1,),
    }
    made = {name: draw.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    return {**made, MEAN: np.full(features, 10, np.float32), DEVIATION: np.full(features, 20, np.float32)}


@pytest.fixture(scope="module")
def pushed(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The name of a pushed ModelVersion, and the digest of its file."""
    place: Path = tmp_path_factory.mktemp("pretrained")
    tensors.write(place / folder.MODEL_FILE, network())
    name = federation.name("pretrained")
    own = ("--name", name, "--schema", SCHEMA, "-n", federation.namespace)
    done = demo_use.by_person("model", "push", place, *own, "--hub-fingerprint", install.fingerprint(federation.hub))
    assert done.returncode == 0, done.stderr
    return name, digests.file_digest(place / folder.MODEL_FILE)


def model(federation: Federation, name: str, start: str, sites: tuple[str, ...]) -> Series:
    """Without training, so that each round leaves the weights as it got them."""
    return applied(
        federation,
        name,
        rounds=1,
        sites=sites,
        spec={"initial": {"pushed": start}, "evaluation": {"testRows": False}, "deliver": {}},
        series={"parameters": dict(UNTRAINED), "onFailure": {"retries": 0}},
    )


@pytest.fixture(scope="module")
def trained(federation: Federation, pushed: tuple[str, str]) -> Series:
    """A model of pushed weights, at the hospital that allows them. Its series has ended."""
    with allowed(federation, ALLOWS):
        series = model(federation, "of-pushed", pushed[0], (ALLOWS,))
        series.version()
    return series


def test_a_model_starts_from_pushed_weights_where_the_hospital_allows_it(
    federation: Federation, pushed: tuple[str, str], trained: Series
) -> None:
    name, digest = pushed
    first, version = trained.round(0), trained.version()
    assert first.round["spec"]["base"] == {"versionName": name}
    assert first.result["digest"] == digest, "the pod started from the pushed weights"
    assert version["spec"]["digest"] == digest
    # A person gets the version that was pushed, and not the one that the hospital made of it.
    target, where = f"modelversion/{name}", ("-n", federation.namespace)
    hub = ("--hub-fingerprint", install.fingerprint(federation.hub))
    place = install.WRITTEN / federation.name("pulled")
    done = demo_use.by_person("model", "pull", target, "-o", place, *where, *hub)
    assert done.returncode == 0, done.stderr
    assert digests.file_digest(place / folder.MODEL_FILE) == digest
    target = f"modelversion/{version['metadata']['name']}"
    done = demo_use.by_person("model", "pull", target, "-o", f"{place}-2", *where, *hub)
    assert (done.returncode, "TransferNotReleased" in done.stderr) == (2, True)


def test_a_hospital_refuses_pushed_weights_by_default_and_says_whose_they_are(
    federation: Federation, pushed: tuple[str, str]
) -> None:
    name, digest = pushed
    series = model(federation, "refused-pushed", name, (REFUSES,))
    eventually("the series waits for people", lambda: "SeriesRoundFailed" in series.ask("explain").stdout)
    round_name = series.live()["status"]["series"]["rounds"][0]["name"]
    finished = federation.finished(round_name)
    assert finished.attention(REFUSES)["reason"] == "PushedModelNotAllowed"
    refusal = federation.site_task(REFUSES, finished.task(REFUSES)["metadata"]["name"])["status"]["conditions"]
    [message] = [each["message"] for each in refusal if each["type"] == "Accepted"]
    assert f"weights {digest} pushed by " in message


def test_a_deleted_model_leaves_its_current_version_and_that_one_keeps_the_result(
    federation: Federation, trained: Series
) -> None:
    """With the garbage collector of a real cluster. A reader may need the version after nobody needs the model."""
    hub, here = federation.kubectl("hub"), ("-n", federation.namespace)
    version, made = trained.version(), trained.round(0)
    others = [each["name"] for each in trained.live()["status"]["series"]["rounds"] if each["name"] != made.name]
    key = ("secret", f"model-{made.uid}", "-n", install.HUB_NAMESPACE)
    hub("delete", "federatedmodel", trained.name, *here)
    eventually("the other rounds are gone", lambda: not any(hub.find("federatedround", name, *here) for name in others))
    kept = hub.get("modelversion", version["metadata"]["name"], *here)
    assert (kept["metadata"]["uid"], "ownerReferences" in kept["metadata"]) == (version["metadata"]["uid"], False)
    assert hub.get(*key)["data"]
    hub("delete", "modelversion", version["metadata"]["name"], *here)
    eventually("the key of its result is gone", lambda: hub.find(*key) is None)
    eventually("its round is gone", lambda: hub.find("federatedround", made.name, *here) is None)
