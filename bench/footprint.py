"""Measures memory and writes of idle operators and couriers: `python -m bench.footprint`, with the demo's clusters up.

Memory is the resident memory of each pod's main process. The API servers count the writes, over a minute.
"""

import argparse
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass

from lab.errors import LabError
from lab.install import HUB_NAMESPACE, SITE_NAMESPACE, kubectl
from lab.topology import Cluster, existing, named
from wardround.cli.cluster import Cluster as Api
from wardround.cli.errors import CommandError

LIMITS_MB = {"hub-operator": 100, "site-operator": 100, "courier": 64}
READ_STATUS = "print(open('/proc/1/status').read())"
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
REQUESTS = re.compile(r"^apiserver_request_total\{(?P<labels>.*)\} (?P<count>[0-9.e+]+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Write:
    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long writes are counted")
    seconds = parser.parse_args().seconds
    try:
        memory()
        writes(seconds)
    except (LabError, CommandError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def memory() -> None:
    for cluster in existing():
        for deployment in ("hub-operator",) if cluster.is_hub else ("site-operator", "courier"):
            now, peak = _resident(cluster, deployment)
            print(
                f"{cluster.name:8} {deployment:14} {now:6.1f} MB, at most {peak:6.1f} (bound {LIMITS_MB[deployment]})"
            )


def writes(seconds: int) -> None:
    """Prints the writes at each API server. They include Leases of nodes and Kubernetes' own controllers."""
    names = [cluster.name for cluster in existing()]
    before = {name: _counts(name) for name in names}
    time.sleep(seconds)
    for name in names:
        new = _counts(name) - before[name]
        listed = ", ".join(f"{count} {write}" for write, count in sorted(new.items(), key=str)) or "none"
        ours = sum(count for write, count in new.items() if write.group == "wardround.io")
        print(f"{name:8} writes in {seconds} s: {listed}; of wardround.io: {ours}")


def count_writes(metrics: str) -> Counter[Write]:
    """Answered writes in an API server's metrics, by verb, group and resource. Subresources count as their resource."""
    counts: Counter[Write] = Counter()
    for match in REQUESTS.finditer(metrics):
        labels = dict(LABEL.findall(match["labels"]))
        if labels.get("verb") in WRITES:
            counts[Write(labels["verb"], labels.get("group", ""), labels.get("resource", ""))] += int(
                float(match["count"])
            )
    return counts


def _counts(name: str) -> Counter[Write]:
    return count_writes(Api(str(named(name).kubeconfig)).raw("/metrics"))


def _resident(cluster: Cluster, deployment: str) -> tuple[float, float]:
    """Memory of the first process of a deployment, now and at most, in thousands of KiB, as in docs/figures.md."""
    into = HUB_NAMESPACE if cluster.is_hub else SITE_NAMESPACE
    status = kubectl(cluster, "exec", f"deployment/{deployment}", "-n", into, "--", "python", "-c", READ_STATUS)
    values = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE))
    return int(values["VmRSS"]) / 1000, int(values["VmHWM"]) / 1000


if __name__ == "__main__":
    sys.exit(main())
