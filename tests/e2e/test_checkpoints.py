"""Stopped training resumes on a real cluster, and its checkpoint is removed after the round."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab import volumes
from lab.topology import named
from tests.e2e.accounts import administrator
from tests.e2e.carried import COMMAND, carried
from tests.e2e.clusters import Kubectl, eventually
from tests.e2e.federation import PARAMETERS, STEPS, UNTRAINED, Federation, Finished
from tests.e2e.troubles import node_dead
from tests.integration.api.apiserver import Api
from wardround.api import names

Stop = Callable[[Api, str, str], None]
BOTH = ("site-a", "site-b")
DEAD = "site-c"
RESUMED = "checkpoint: training continues from step"
# Waits inside the pod until training has made its first step, because before that there is nothing to save. Polling
# from outside could be too late.
FIRST_STEPS = """
import json, pathlib, time
progress = pathlib.Path("/wardround/out/progress.json")
while not progress.exists() or not json.loads(progress.read_text())["step"]:
    time.sleep(0.05)
"""
# A first attempt never ends by itself; the next one, which finds what the first left, ends at once.
NEVER_ENDS = """
import pathlib, shutil, signal, sys, time
begun = pathlib.Path("/wardround/checkpoint/begun")
if not begun.exists():
    begun.touch()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    time.sleep(600)
shutil.copy("/wardround/base/model.safetensors", "/wardround/out/model.safetensors")
"""


@dataclass(frozen=True)
class Stopped:
    """A round whose training pod was stopped once. `first`, `last`: logs of the two pods."""

    finished: Finished
    first: str
    last: str
    log: str

    @property
    def attempts(self) -> int:
        return max(int(task["spec"]["attempt"]) for task in self.finished.tasks)


@dataclass(frozen=True)
class Lost:
    """A round whose training pod's node died. `sides`: the first attempt's RoundTask and SiteTask, before the node
    came back."""

    finished: Finished
    sides: list[dict[str, Any]]


@pytest.fixture(scope="module")
def base(federation: Federation) -> Finished:
    return federation.run_round(
        "stopped-base", "Train", initial={}, parameters=UNTRAINED, participants={"names": list(BOTH)}
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Runs each trouble at another hospital at the same time, because most of the time is waiting."""
    with ThreadPoolExecutor(len(STOPS) + 1) as pool:
        yield pool


@pytest.fixture(scope="module")
def lost(federation: Federation, base: Finished, pool: ThreadPoolExecutor) -> Future[Lost]:
    return pool.submit(_lost, federation, base)


@pytest.fixture(scope="module")
def stopped(
    federation: Federation, base: Finished, pool: ThreadPoolExecutor, lost: Future[Lost]
) -> dict[Stop, Future[Stopped]]:
    return {stop: pool.submit(_stopped, federation, base, site, stop) for stop, site in zip(STOPS, BOTH, strict=True)}


def evict(site: Api, namespace: str, pod: str) -> None:
    """Evicts the pod like a drained node. The Job makes another pod."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    site.call("POST", f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", body)


def kill(site: Api, namespace: str, pod: str) -> None:
    """Deletes the pod. The Job fails, and the hub makes another attempt."""
    site.delete("Pod", pod, namespace)


# The ways to stop a pod, with the number of attempts that the round then needs.
STOPS: dict[Stop, int] = {evict: 1, kill: 2}


@pytest.mark.parametrize("stop", STOPS, ids=["evicted", "deleted"])
def test_the_pod_after_a_stopped_pod_resumes_from_the_checkpoint(
    stopped: dict[Stop, Future[Stopped]], stop: Stop
) -> None:
    seen = stopped[stop].result()
    assert seen.attempts == STOPS[stop]
    assert seen.last != seen.first
    [line] = [each for each in seen.log.splitlines() if RESUMED in each]
    assert 0 < int(line.removeprefix(RESUMED)) < STEPS


def test_a_task_on_a_dead_node_is_a_platform_failure_and_is_retried(lost: Future[Lost]) -> None:
    seen = lost.result()
    for side in seen.sides:
        failure = side["status"]["failure"]
        assert (failure["reason"], failure["class"]) == ("NodeLost", "Platform")
    assert max(int(task["spec"]["attempt"]) for task in seen.finished.tasks) == 2
    assert seen.finished.round["status"]["participants"]["aggregated"] == 1


def _stopped(federation: Federation, base: Finished, site: str, stop: Stop) -> Stopped:
    kubectl, here = Kubectl(site), ("-n", federation.site_namespace)
    given = {**PARAMETERS, "steps": str(STEPS)}
    del given["epochs"]
    name = _begun(federation, base, site, parameters=given)
    [first] = _pods(federation, site, name)
    with administrator(site) as api:
        api.get("Pod", first, federation.site_namespace)  # connected before it matters
        kubectl("exec", first, *here, "-c", "train", "--", "python", "-c", FIRST_STEPS)
        stop(api, federation.site_namespace, first)
    print(kubectl.run("logs", first, *here, "-c", "train", check=False).stdout)
    finished = federation.completed(name)
    last = _pods(federation, site, name)[-1]
    return Stopped(finished, first, last, kubectl("logs", last, *here, "-c", "train"))


def _lost(federation: Federation, base: Finished) -> Lost:
    kubectl, here = Kubectl(DEAD), ("-n", federation.site_namespace)
    name = _begun(federation, base, DEAD, command=COMMAND, parameters=carried(NEVER_ENDS))
    [pod] = _pods(federation, DEAD, name)
    with node_dead(DEAD):
        # A node counts as dead a while after the pod's deadline. The pod is made that old: no kubelet contradicts.
        long_ago = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        patch = json.dumps({"status": {"startTime": long_ago}})
        kubectl("patch", "pod", pod, *here, "--subresource=status", "--type=merge", "-p", patch)
        eventually("the hub asks again", lambda: len(federation.tasks_of(name)) == 2)
        [task] = [each for each in federation.tasks_of(name) if int(each["spec"]["attempt"]) == 1]
        sides = [task, federation.site_task(DEAD, task["metadata"]["name"])]
    return Lost(federation.completed(name), sides)


def _begun(federation: Federation, base: Finished, site: str, **training: Any) -> str:
    """Applies a long round of one hospital, waits until it trains, and returns its name."""
    alone = {"participants": {"names": [site]}, **training}
    made = federation.manifest(f"stopped-at-{site}", "Train", base={"roundName": base.name}, **alone)
    federation.apply(made)
    name = str(made["metadata"]["name"])
    eventually("training runs", lambda: any(map(is_training, _pod_objects(federation, site, name))))
    return name


def _pods(federation: Federation, site: str, name: str) -> list[str]:
    """A round's training pods at a hospital, oldest first."""
    return [pod["metadata"]["name"] for pod in _pod_objects(federation, site, name)]


def _pod_objects(federation: Federation, site: str, name: str) -> list[dict[str, Any]]:
    uid = Kubectl("hub").get("federatedround", name, "-n", federation.namespace)["metadata"]["uid"]
    pods = Kubectl(site).get("pods", "-n", federation.site_namespace, "-l", f"{names.ROUND_UID}={uid}")["items"]
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def is_training(pod: dict[str, Any]) -> bool:
    steps = pod["status"].get("initContainerStatuses", [])
    return any(each["name"] == "train" and "running" in each["state"] for each in steps)


def test_the_next_training_pod_removes_the_checkpoints_of_rounds_that_are_over(
    federation: Federation, base: Finished
) -> None:
    folder = volumes.folder_of(named(BOTH[0]), federation.site_namespace, "state") / "checkpoints"
    over = folder / base.uid
    assert over.is_dir()
    os.utime(over, (0, 0))  # what changed a moment ago is left alone
    federation.run_round("sweeping", "Statistics", participants={"names": [BOTH[0]]})
    assert not over.exists()


@pytest.mark.usefixtures("base")
def test_each_hospital_has_its_own_key_for_the_order_of_rows(federation: Federation) -> None:
    folders = [volumes.folder_of(named(site), federation.site_namespace, "state") for site in BOTH]
    keys = [(folder / "secrets" / "order" / "key").read_bytes() for folder in folders]
    assert [len(key) for key in keys] == [32, 32]
    assert keys[0] != keys[1]
