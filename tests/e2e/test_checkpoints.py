"""Training that is stopped on a real cluster goes on where it was, and nothing of it stays once the round is over."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from lab import volumes
from lab.topology import named
from tests.e2e.accounts import administrator
from tests.e2e.clusters import Kubectl, eventually
from tests.e2e.federation import PARAMETERS, STEPS, UNTRAINED, Federation, Finished
from tests.integration.api.apiserver import Api
from wardround.api import names

Stop = Callable[[Api, str, str], None]
BOTH = ("site-a", "site-b")
RESUMED = "checkpoint: going on from step"
# Begun while torch starts, which takes some seconds, it ends with the first steps: what was asked to stop before those
# has nothing to save, and who asks from outside, again and again, may be told too late.
FIRST_STEPS = """
import json, pathlib, time
told = pathlib.Path("/wardround/out/progress.json")
while not told.exists() or not json.loads(told.read_text())["step"]:
    time.sleep(0.05)
"""


@dataclass(frozen=True)
class Stopped:
    """A round whose training pod was stopped once, and what the one after it said."""

    finished: Finished
    first: str
    last: str
    said: str

    @property
    def attempts(self) -> int:
        return max(int(task["spec"]["attempt"]) for task in self.finished.tasks)


@pytest.fixture(scope="module")
def base(federation: Federation) -> Finished:
    return federation.run_round(
        "stopped-base", "Train", initial={"seed": 7}, parameters=UNTRAINED, participants={"names": list(BOTH)}
    )


@pytest.fixture(scope="module")
def stopped(federation: Federation, base: Finished) -> Iterator[dict[Stop, Future[Stopped]]]:
    """Both ways to stop one, each at a hospital of its own: at the same time, for nearly all of it is waiting."""
    with ThreadPoolExecutor(len(STOPS)) as pool:
        yield {
            stop: pool.submit(_stopped, federation, base, site, stop) for stop, site in zip(STOPS, BOTH, strict=True)
        }


def evict(site: Api, namespace: str, pod: str) -> None:
    """As a drained node does; the Job makes another pod."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    site.call("POST", f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", body)


def kill(site: Api, namespace: str, pod: str) -> None:
    """The Job fails, and the hub asks for another attempt."""
    site.delete("Pod", pod, namespace)


# How, and how many attempts it takes then.
STOPS: dict[Stop, int] = {evict: 1, kill: 2}


@pytest.mark.parametrize("stop", STOPS, ids=["evicted", "deleted"])
def test_who_follows_a_stopped_training_pod_goes_on_from_its_checkpoint(
    stopped: dict[Stop, Future[Stopped]], stop: Stop
) -> None:
    seen = stopped[stop].result()
    assert seen.attempts == STOPS[stop]
    assert seen.last != seen.first
    [line] = [each for each in seen.said.splitlines() if RESUMED in each]
    assert 0 < int(line.removeprefix(RESUMED)) < STEPS


def _stopped(federation: Federation, base: Finished, site: str, stop: Stop) -> Stopped:
    kubectl, here = Kubectl(site), ("-n", federation.site_namespace)
    given = {**PARAMETERS, "steps": str(STEPS)}
    del given["epochs"]
    alone = {"participants": {"names": [site]}, "parameters": given}
    made = federation.manifest(f"stopped-at-{site}", "Train", base={"roundName": base.name}, **alone)
    federation.apply(made)
    name = made["metadata"]["name"]
    uid = Kubectl("hub").get("federatedround", name, "-n", federation.namespace)["metadata"]["uid"]

    def pods() -> list[dict[str, Any]]:
        found = kubectl.get("pods", *here, "-l", f"{names.ROUND_UID}={uid}")["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    eventually("training runs", lambda: any(map(is_training, pods())))
    [first] = [pod["metadata"]["name"] for pod in pods()]
    with administrator(site) as api:
        api.get("Pod", first, federation.site_namespace)  # connected before it matters
        kubectl("exec", first, *here, "-c", "train", "--", "python", "-c", FIRST_STEPS)
        stop(api, federation.site_namespace, first)
    print(kubectl.run("logs", first, *here, "-c", "train", check=False).stdout)
    finished = federation.completed(name)
    last = pods()[-1]["metadata"]["name"]
    return Stopped(finished, first, last, kubectl("logs", last, *here, "-c", "train"))


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
def test_each_hospital_has_a_secret_of_its_own_for_the_order_of_rows(federation: Federation) -> None:
    folders = [volumes.folder_of(named(site), federation.site_namespace, "state") for site in BOTH]
    keys = [(folder / "secrets" / "order" / "key").read_bytes() for folder in folders]
    assert [len(key) for key in keys] == [32, 32]
    assert keys[0] != keys[1]
