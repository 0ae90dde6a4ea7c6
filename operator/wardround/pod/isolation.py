"""The sidecar that keeps asking whether the network is still closed while researchers' code runs; sees no data.

It exits 75 with the reason NetworkOpen, or IsolationUnknown where it can no longer ask; the site operator then ends the
Job. Standard library only: it lives as long as the pod does and should weigh nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from wardround.pod.gate import PAUSE_SECONDS, ROUNDS, Gate, Look, Settings, read_settings
from wardround.pod.outcome import log, run

INTERVAL_SECONDS = 2.0


def watch(settings: Settings, interval_seconds: float = INTERVAL_SECONDS) -> None:
    """Never returns; raises NetworkOpen as soon as something answers, IsolationUnknown when it can no longer ask."""
    gate = Gate(settings)
    gate.say_what_cannot_be_asked()
    neighbours = True
    while True:
        look = _look(gate, neighbours=neighbours)
        if (failure := look.failure(settings)) is not None:
            raise failure
        if look.neighbours:
            answered = sorted({each.called for each in look.neighbours})
            log(f"isolation: IPv6 link-local is open: {', '.join(answered)} answered; it is not asked again")
            neighbours = False
        time.sleep(interval_seconds)


def _look(gate: Gate, *, neighbours: bool) -> Look:
    """Memory that is short for a moment must not end training; that a question cannot be asked must not stay unseen."""
    look = gate.look(neighbours=neighbours)
    for _ in range(ROUNDS - 1):
        if not look.unknown:
            break
        time.sleep(PAUSE_SECONDS)
        look = gate.look(neighbours=neighbours)
    return look


def main(argv: Sequence[str]) -> int:
    # Kubernetes ends a sidecar by SIGTERM when the pod's work is done, and a process with id 1 ignores it by default.
    signal.signal(signal.SIGTERM, _stop)
    return run("isolation", lambda: watch(read_settings(os.environ)))


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
