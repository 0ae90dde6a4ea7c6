"""Measures the Job of a small aggregation beside an empty Job of its shape: `python -m bench.aggregation_pod`.

Needs root. Starts the lab if it is not up. The store runs beside the hub cluster's node, at an address that this
machine reaches too. So the pods of both Jobs use the network of their node, and have a namespace without Wardround's
policies. The Job controller looks at the pods of a Job at most once a second, so a Job may take a second longer than
another one whose pod ended a moment earlier. So the pods are measured too. The last line is JSON.
"""

import argparse
import asyncio
import copy
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from bench.round import seconds_until
from lab import images, lifecycle
from lab.install import apply, import_images, kubectl
from lab.topology import Cluster, named
from tests.conditions import is_true
from tests.e2e.conftest import SITES
from tests.e2e.federation import say
from tests.players.store import Server, serving
from tests.players.stored_round import Round
from wardround.cli.cluster import Cluster as Api
from wardround.manifests import aggregation
from wardround.manifests.aggregation import AggregationJob
from wardround.manifests.pod import Manifest
from wardround.store import admin

NAMESPACE = "bench-aggregation"
HOSPITALS, PARAMETERS = 3, 1000
PORT = 30999


@dataclass(frozen=True)
class Bench:
    """Where the Jobs run, and with which image."""

    hub: Cluster
    image: str

    def job(self, played: Round, number: int, plan: bytes, *, empty: bool) -> tuple[float, float]:
        """Seconds from the creation of a Job until its pod has succeeded, and until the Job is Complete. `empty`: its
        container does nothing."""
        planned = AggregationJob(
            namespace=NAMESPACE,
            round_namespace=NAMESPACE,
            round_name="small",
            round_uid=played.uid,
            number=number,
            image=self.image,
            scratch_bytes=16 << 20,
        )
        manifest = _on_the_network_of_the_node(aggregation.build(planned))
        if empty:
            [container] = manifest["spec"]["template"]["spec"]["containers"]
            del container["args"]
            container["command"] = ["true"]
        apply(self.hub, [aggregation.secret(planned, plan)], NAMESPACE)
        api = Api(str(self.hub.kubeconfig))
        started = time.monotonic()
        kubectl(self.hub, "create", "-f", "-", given=json.dumps(manifest))

        def succeeded() -> bool:
            pods = api.list("Pod", NAMESPACE, labels=f"job-name={planned.name}")
            phases = [each.get("status", {}).get("phase") for each in pods]
            if "Failed" in phases:
                raise SystemExit(kubectl(self.hub, "logs", "-n", NAMESPACE, f"job/{planned.name}"))
            return phases == ["Succeeded"]

        def complete() -> bool:
            return is_true(api.get("Job", planned.name, NAMESPACE) or {}, "Complete")

        of_pod = seconds_until(succeeded, f"the pod of Job {planned.name}", started)
        of_job = seconds_until(complete, f"Job {planned.name}", started)
        kubectl(self.hub, "delete", "job,secret", planned.name, "-n", NAMESPACE)
        return of_pod, of_job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    built = images.build_all(say)
    lifecycle.up(SITES, built.unpacked)
    import_images([], built)
    hub = named("hub")
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": aggregation.SERVICE_ACCOUNT}}
    apply(
        hub, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}], "default"
    )
    apply(hub, [account], NAMESPACE)
    try:
        within = ("ip", "netns", "exec", hub.namespace)
        with (
            TemporaryDirectory(prefix="wardround-bench-") as name,
            serving(Path(name), hub.management, PORT, within) as server,
        ):
            seconds = asyncio.run(_measure(Bench(hub, built.operator.reference), server, Path(name), runs))
    finally:
        kubectl(hub, "delete", "namespace", NAMESPACE, "--wait=false")
    for label, values in seconds.items():
        spread = f"min {min(values):5.2f}   max {max(values):5.2f}   n={len(values)}"
        print(f"{label:24} median {median(values):5.2f} s   {spread}")
    print(json.dumps({label: round(median(values), 2) for label, values in seconds.items()}))


async def _measure(bench: Bench, server: Server, folder: Path, runs: int) -> dict[str, list[float]]:
    """The seconds of each kind of Job, in turn. The first two Jobs are not counted."""
    dice = np.random.default_rng(7)
    seconds = defaultdict(list)
    async with server.client() as store:
        await admin.ensure_bucket(store, server.presigner, datetime.now(UTC))
        played = Round(server, store, folder)
        await played.with_base({"layer": dice.standard_normal(PARAMETERS, np.float32)})
        for number in range(HOSPITALS):
            await played.update(f"site-{number}", {"layer": dice.standard_normal(PARAMETERS, np.float32)})
        for number in range(1 + runs):
            plan = await played.plan(2 * number + 1)
            for place, label in enumerate(("of the aggregation", "that does nothing")):
                taken = await asyncio.to_thread(
                    bench.job, played, 2 * number + 1 + place, plan, empty=label == "that does nothing"
                )
                if number:
                    for measured, each in zip(("pod", "Job"), taken, strict=True):
                        seconds[f"{measured} {label}"].append(each)
    return seconds


def _on_the_network_of_the_node(job: Manifest) -> Manifest:
    changed = copy.deepcopy(job)
    changed["spec"]["template"]["spec"]["hostNetwork"] = True
    return changed


if __name__ == "__main__":
    main()
