"""Training that is stopped on a real cluster goes on where it was, and nothing of it stays once the round is over."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import volumes
from lab.topology import named
from tests.e2e.clusters import Kubectl, eventually
from tests.e2e.federation import PARAMETERS, Federation, Finished
from tests.e2e.policy import parameters, policy
from wardround.api import names

SITE = "site-a"
ALONE: dict[str, Any] = {"participants": {"names": [SITE]}}
# Long enough to be stopped on the way, short enough to be waited for.
STEPS = 30_000
RESUMED = "checkpoint: going on from step"


@pytest.fixture(scope="module", autouse=True)
def _steps(federation: Federation) -> Iterator[None]:
    """By default a hospital takes no round that says how many steps; this one takes many."""
    with policy([SITE], parameters=parameters({"name": "steps", "minimum": str(STEPS)})):
        yield


@pytest.fixture(scope="module")
def base(federation: Federation) -> Finished:
    return federation.run_round("stopped-base", "Train", initial={"seed": 7}, **ALONE)


def checkpoints(federation: Federation) -> Path:
    return volumes.folder_of(named(SITE), federation.site_namespace, "state") / "checkpoints"


def training_pods(federation: Federation, round_uid: str) -> list[dict[str, Any]]:
    found = Kubectl(SITE).get("pods", "-n", federation.site_namespace, "-l", f"{names.ROUND_UID}={round_uid}")
    pods: list[dict[str, Any]] = found["items"]
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def is_training(pod: dict[str, Any]) -> bool:
    steps = pod["status"].get("initContainerStatuses", [])
    return any(each["name"] == "train" and "running" in each["state"] for each in steps)


def evict(federation: Federation, pod: str) -> None:
    """As a drained node does; the Job makes another pod."""
    meta = {"name": pod, "namespace": federation.site_namespace}
    body = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta})
    path = f"/api/v1/namespaces/{federation.site_namespace}/pods/{pod}/eviction"
    Kubectl(SITE)("create", "--raw", path, "-f", "-", stdin=body)


def kill(federation: Federation, pod: str) -> None:
    """The Job fails, and the hub asks for another attempt."""
    Kubectl(SITE)("delete", "pod", pod, "-n", federation.site_namespace, "--wait=false")


@pytest.mark.parametrize(("stop", "attempts"), [(evict, 1), (kill, 2)], ids=["evicted", "deleted"])
def test_who_follows_a_stopped_training_pod_goes_on_from_its_checkpoint(
    federation: Federation, base: Finished, stop: Any, attempts: int
) -> None:
    given = {**PARAMETERS, "steps": str(STEPS)}
    del given["epochs"]
    made = federation.manifest(f"stopped-{attempts}", "Train", base={"roundName": base.name}, parameters=given, **ALONE)
    federation.apply(made)
    name = made["metadata"]["name"]
    uid = Kubectl("hub").get("federatedround", name, "-n", federation.namespace)["metadata"]["uid"]
    eventually("training runs", lambda: any(map(is_training, training_pods(federation, uid))), 120)
    [first] = training_pods(federation, uid)
    # Torch takes some seconds to start, and what was asked to stop before its first step has nothing to save.
    log = ("logs", first["metadata"]["name"], "-n", federation.site_namespace, "-c", "train")
    out = ("exec", first["metadata"]["name"], "-n", federation.site_namespace, "-c", "train", "--")
    eventually("the first steps are taken", lambda: '"step": 0' not in progress(out), 60)
    stop(federation, first["metadata"]["name"])
    print(Kubectl(SITE).run(*log, check=False).stdout)

    done = federation.completed(name)
    assert max(int(task["spec"]["attempt"]) for task in done.tasks) == attempts
    last = training_pods(federation, uid)[-1]
    assert last["metadata"]["uid"] != first["metadata"]["uid"]
    said = Kubectl(SITE)("logs", last["metadata"]["name"], "-n", federation.site_namespace, "-c", "train")
    [line] = [each for each in said.splitlines() if RESUMED in each]
    assert 0 < int(line.removeprefix(RESUMED)) < STEPS


def progress(out: tuple[str, ...]) -> str:
    found = Kubectl(SITE).run(*out, "cat", "/wardround/out/progress.json", check=False).stdout
    return found or '"step": 0'


def test_the_next_training_pod_removes_the_checkpoints_of_rounds_that_are_over(
    federation: Federation, base: Finished
) -> None:
    over = checkpoints(federation) / base.uid
    assert over.is_dir()
    os.utime(over, (0, 0))  # what changed a moment ago is left alone
    federation.run_round("sweeping", "Statistics", **ALONE)
    assert not over.exists()
