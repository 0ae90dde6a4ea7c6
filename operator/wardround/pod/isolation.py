"""The sidecar that keeps asking whether the network is still closed while researchers' code runs; sees no data.

It exits 75 with the reason NetworkOpen; the site operator then ends the Job. Standard library only: it lives as long
as the pod does and should weigh nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from wardround.pod import gate
from wardround.pod.outcome import run

INTERVAL_SECONDS = 2.0


def watch(targets: Sequence[gate.Target], interval_seconds: float = INTERVAL_SECONDS) -> None:
    """Never returns; raises NetworkOpen as soon as one target answers."""
    gate.say_what_cannot_be_asked(targets)
    while True:
        if found := gate.probe(targets):
            raise gate.network_open(found)
        time.sleep(interval_seconds)


def main(argv: Sequence[str]) -> int:
    # Kubernetes ends a sidecar by SIGTERM when the pod's work is done, and a process with id 1 ignores it by default.
    signal.signal(signal.SIGTERM, _stop)
    return run("isolation", lambda: watch(gate.parse(os.environ.get("WARDROUND_ISOLATION", "[]"))))


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
