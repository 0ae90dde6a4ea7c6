"""The sidecar that keeps asking whether the network is still closed while researchers' code runs; sees no data.

It exits 75 with the reason NetworkOpen, or IsolationUnknown where it can no longer ask; the site operator then ends the
Job. When the kubelet ends it, because the pod's work is over, it tells what it heard over IPv6 link-local. Standard
library only: it lives as long as the pod does and should weigh nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from wardround.pod.gate import (
    EARLY_SECONDS,
    PAUSE_SECONDS,
    ROUNDS,
    Finding,
    Gate,
    Look,
    Settings,
    read_settings,
    summary,
)
from wardround.pod.outcome import log, run
from wardround.wire.outcome import Outcome

INTERVAL_SECONDS = 2.0
# Neighbours that answer a question to everybody are asked by name once; what else answers only says more about it.
MOST_ANSWERED = 2


class Watch:
    """Looks every `interval_seconds`, and at neighbours only until they have answered twice.

    `finding`: what was heard over link-local so far; None before anybody there could be asked.
    """

    def __init__(self, settings: Settings, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self.finding: Finding | None = None
        self._settings = settings
        self._interval_seconds = interval_seconds
        self._gate = Gate(settings)
        self._answered: list[Look] = []
        self._early_until = time.monotonic() + EARLY_SECONDS

    def run(self) -> NoReturn:
        """Raises NetworkOpen as soon as something answers, IsolationUnknown when it can no longer ask."""
        self._gate.say_what_cannot_be_asked()
        while True:
            look = self._look()
            if (failure := look.failure(self._settings)) is not None:
                raise failure
            time.sleep(self._heed(look))

    def _heed(self, look: Look) -> float:
        """Remembers what was heard, and returns in how many seconds to look again."""
        if look.neighbours:
            self._answered.append(look)
            self.finding = summary(self._answered)
            if not self._asks_neighbours:
                log(f"isolation: {self.finding.line()}; it is not asked again")
            return PAUSE_SECONDS
        if look.early and time.monotonic() < self._early_until:
            return PAUSE_SECONDS
        if self.finding is None:
            self.finding = summary([look])
            log(f"isolation: {self.finding.line()}")
        return self._interval_seconds

    @property
    def _asks_neighbours(self) -> bool:
        return len(self._answered) < MOST_ANSWERED

    def _look(self) -> Look:
        """Memory that is short for a moment must not end training; a question that cannot be asked must be seen."""
        look = self._gate.look(neighbours=self._asks_neighbours)
        for _ in range(ROUNDS - 1):
            if not look.unknown:
                break
            time.sleep(PAUSE_SECONDS)
            look = self._gate.look(neighbours=self._asks_neighbours)
        return look


def main(argv: Sequence[str]) -> int:
    # Kubernetes ends a sidecar by SIGTERM when the pod's work is done, and a process with id 1 ignores it by default.
    signal.signal(signal.SIGTERM, _stop)
    return run("isolation", watch_until_stopped)


def watch_until_stopped() -> Outcome | None:
    """What is told at the end: nothing where nobody could be asked over link-local."""
    watch = Watch(read_settings(os.environ))
    try:
        watch.run()
    except SystemExit:
        return watch.finding.outcome if watch.finding else None


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
