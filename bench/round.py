"""Measures a Train round with no epochs beside empty Jobs on the same clusters: `python -m bench.round`.

The demo's clusters must be up: the round starts from the round that made the demo's model. The difference between the
round and a Job of its pod's shape is Wardround's own time. While it runs, the demo's hospitals allow a round with no
epochs.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import yaml

from lab import demo_model, demo_report, demo_rounds
from lab.demo_data import HOSPITALS
from lab.demo_report import Finished
from lab.errors import LabError
from lab.install import SITE_NAMESPACE, WRITTEN, helm, kubectl, merged, namespace
from lab.topology import named
from tests.conditions import is_true
from wardround.api.site import DEFAULT_PARAMETERS
from wardround.cli import verbs
from wardround.cli.cluster import Cluster as Api
from wardround.cli.errors import CommandError
from wardround.wire import codec

SITE, NAMESPACE = "site-a", "bench"
NAMES = [hospital.name for hospital in HOSPITALS]
PATIENCE_SECONDS = 300.0
POLL_SECONDS = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    try:
        measure(runs)
    except (LabError, CommandError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def measure(runs: int) -> None:
    hub, site = Api(str(named("hub").kubeconfig)), Api(str(named(SITE).kubeconfig))
    base = verbs.needed(hub, "FederatedRound", demo_model.current_round(hub), demo_rounds.NAMESPACE)
    image = _operator_image()
    namespace(named(SITE), NAMESPACE)
    with _no_epochs_allowed():
        # The first round may wait until the hospitals use their new policy.
        _round(hub, base, f"bench-{time.time_ns() // 1_000_000:x}-first")
        _measure(runs, hub, site, base, image)


def _measure(runs: int, hub: Api, site: Api, base: dict[str, Any], image: str) -> None:
    seconds: dict[str, list[float]] = {"plain Job": [], "Job of that shape": [], "round": []}
    parts: list[dict[str, float]] = []
    # In turns, so that other load on the machine affects all three equally.
    for number in range(runs):
        stamp = f"{time.time_ns() // 1_000_000:x}-{number}"
        seconds["plain Job"].append(_job(site, f"plain-{stamp}", image, shaped=False))
        seconds["Job of that shape"].append(_job(site, f"shaped-{stamp}", image, shaped=True))
        duration, spans = _round(hub, base, f"bench-{stamp}")
        seconds["round"].append(duration)
        parts.append(spans)
    middle = {name: median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        print(f"{name:18} median {middle[name]:5.1f} s   min {min(values):5.1f}   max {max(values):5.1f}   n={runs}")
    for name in ("plain Job", "Job of that shape"):
        print(f"round / {name}: {middle['round'] / middle[name]:.2f}")
    print("where the round's seconds went (medians):")
    for name in parts[0]:
        print(f"  {name:18} {median(each.get(name, 0.0) for each in parts):5.2f} s")


@contextmanager
def _no_epochs_allowed() -> Iterator[None]:
    """Lets the hospitals accept a round with no epochs. By default they refuse one, because it would measure a model
    that the hub chooses."""
    values = {
        name: yaml.safe_load((WRITTEN / f"values-{name}-wardround-site.yaml").read_text("utf-8")) for name in NAMES
    }
    allowed = [
        {**each, "minimum": "0"} if each["name"] == "epochs" else each for each in codec.dump(DEFAULT_PARAMETERS)
    ]
    changed = {name: merged(own, {"policy": {"parameters": allowed}}) for name, own in values.items()}
    try:
        for name, own in changed.items():
            helm(named(name), "wardround-site", "site", SITE_NAMESPACE, own)
        yield
    finally:
        for name, own in values.items():
            helm(named(name), "wardround-site", "site", SITE_NAMESPACE, own)


def _round(hub: Api, base: dict[str, Any], name: str) -> tuple[float, dict[str, float]]:
    """Seconds from apply to Complete of a round like that of the current version with no epochs, and its spans."""
    spec = copy.deepcopy(base["spec"])
    spec.pop("initial", None)
    spec["base"] = {"roundName": base["metadata"]["name"]}
    spec["parameters"] = {**spec["parameters"], "epochs": "0"}
    item = {
        "apiVersion": base["apiVersion"],
        "kind": "FederatedRound",
        "metadata": {"name": name, "namespace": demo_rounds.NAMESPACE},
        "spec": spec,
    }
    started = time.monotonic()
    hub.apply(item)

    def ended() -> bool:
        item = verbs.needed(hub, "FederatedRound", name, demo_rounds.NAMESPACE)
        if is_true(item, "Failed"):
            raise LabError(f"round {name} failed: kubectl wardround explain federatedround/{name} says why")
        return is_true(item, "Complete")

    duration = seconds_until(ended, f"round {name}", started)
    return duration, demo_report.spans(Finished(*verbs.round_with_tasks(hub, name, demo_rounds.NAMESPACE)))


def _job(site: Api, name: str, image: str, shaped: bool) -> float:
    """Seconds from create to Complete of a Job that does nothing. `shaped`: with the training pod's containers."""
    kubectl(named(SITE), "create", "-f", "-", given=json.dumps(_manifest(name, image, shaped)))
    started = time.monotonic()

    def ended() -> bool:
        return is_true(site.get("Job", name, NAMESPACE) or {}, "Complete")

    duration = seconds_until(ended, f"Job {name}", started)
    kubectl(named(SITE), "delete", "job", name, "-n", NAMESPACE, "--wait=false")
    return duration


def _manifest(name: str, image: str, shaped: bool) -> dict[str, Any]:
    def container(container_name: str, command: list[str]) -> dict[str, Any]:
        restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        return {"name": container_name, "image": image, "command": command, "securityContext": restricted}

    sidecar = {**container("isolation", ["sleep", "3600"]), "restartPolicy": "Always"}
    before = [container("prepare", ["true"]), sidecar, container("train", ["true"])] if shaped else []
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": before,
        "containers": [container("check", ["true"])],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def _operator_image() -> str:
    output = "jsonpath={.spec.template.spec.containers[0].image}"
    return kubectl(named(SITE), "get", "deployment", "site-operator", "-n", "wardround-site", "-o", output)


def seconds_until(ended: Callable[[], bool], name: str, started: float) -> float:
    """Wait until `ended()`. Returns the seconds since `started`. Raises LabError after PATIENCE_SECONDS."""
    while not ended():
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise LabError(f"{name} did not end within {PATIENCE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
