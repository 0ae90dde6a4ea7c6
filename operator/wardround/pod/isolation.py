"""The sidecar that keeps probing whether the network is closed while researchers' code runs; sees no data.

It exits 75 with the reason NetworkOpen, or IsolationUnknown if it cannot probe; the site operator then ends the Job.
When the pod's work is over, the kubelet ends the sidecar, which then reports its finding on IPv6 link-local. Standard
library only: the sidecar lives as long as the pod, so its memory must stay small.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from wardround.pod.gate import (
    EARLY_SECONDS,
    PAUSE_SECONDS,
    ROUNDS,
    SYSTEM_TIMER,
    Finding,
    Gate,
    Look,
    Settings,
    Timer,
    read_settings,
    summary,
)
from wardround.pod.outcome import log, run
from wardround.wire.outcome import Outcome

INTERVAL_SECONDS = 2.0
# The first look that is answered finds neighbours by multicast, the second probes them by address. More looks would add
# nothing: link-local is open.
MOST_ANSWERED = 2


class Watch:
    """Probes every `interval_seconds`, and probes neighbours until two looks were answered.

    `finding`: the finding on link-local so far; None before the pod could probe neighbours.
    """

    def __init__(
        self, settings: Settings, interval_seconds: float = INTERVAL_SECONDS, timer: Timer = SYSTEM_TIMER
    ) -> None:
        self.finding: Finding | None = None
        self._settings = settings
        self._interval_seconds = interval_seconds
        self._timer = timer
        self._gate = Gate(settings, timer)
        self._answered: list[Look] = []
        self._early_until = self._timer.now() + EARLY_SECONDS

    def run(self) -> NoReturn:
        """Raises PodError: NetworkOpen when a target answers, IsolationUnknown when targets cannot be probed."""
        self._gate.log_unprobed_protocols()
        while True:
            look = self._look()
            if (failure := look.failure(self._settings)) is not None:
                raise failure
            self._timer.sleep(self._record(look))

    def _record(self, look: Look) -> float:
        """Updates the finding, and returns the seconds until the next look."""
        if look.neighbours:
            self._answered.append(look)
            self.finding = summary(self._answered)
            if not self._probes_neighbours:
                log(f"isolation: {self.finding.line()}; neighbours are not probed again")
            return PAUSE_SECONDS
        if look.early and self._timer.now() < self._early_until:
            return PAUSE_SECONDS
        if self.finding is None:
            self.finding = summary([look])
            log(f"isolation: {self.finding.line()}")
        return self._interval_seconds

    @property
    def _probes_neighbours(self) -> bool:
        return len(self._answered) < MOST_ANSWERED

    def _look(self) -> Look:
        """Looks up to ROUNDS times while a target cannot be probed: a moment's lack of memory must not end training."""
        look = self._gate.look(neighbours=self._probes_neighbours)
        for _ in range(ROUNDS - 1):
            if not look.unknown:
                break
            self._timer.sleep(PAUSE_SECONDS)
            look = self._gate.look(neighbours=self._probes_neighbours)
        return look


def main(argv: Sequence[str]) -> int:
    # Kubernetes ends a sidecar by SIGTERM, which a process with id 1 ignores by default.
    signal.signal(signal.SIGTERM, _stop)
    return run("isolation", watch_until_stopped)


def watch_until_stopped() -> Outcome | None:
    """Returns the termination message: None if the pod never could probe neighbours over link-local."""
    watch = Watch(read_settings(os.environ))
    try:
        watch.run()
    except SystemExit:
        return watch.finding.outcome if watch.finding else None


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
