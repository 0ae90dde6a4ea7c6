"""Begins the pod of a Prediction: proves that the network is closed, then gives it up for good and reads.

The launcher starts the same image again without sockets, because the next program reads files that others wrote.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from wardround.pod import gate, launcher
from wardround.pod.folders import Folders
from wardround.pod.outcome import run

# The next program. With `view`, containers with the code of a model follow, and need the launcher.
ANSWER, VIEW = "answer", "view"


def main(argv: Sequence[str]) -> int:
    """Returns only if the gate refuses, or on a machine without the launcher."""
    following = VIEW if list(argv) == [VIEW] else ANSWER

    def hold() -> None:
        gate.hold(gate.read_settings(os.environ))
        if following == VIEW:
            launcher.place(Folders.from_environment())

    if code := run("prediction", hold):
        return code
    if program := os.environ.get(launcher.VARIABLE):
        words = [program, "--", sys.executable, "-m", "wardround", following]
        os.execv(program, words)  # noqa: S606 - our own launcher, no shell
    # Arrow is slow to import, and the gate runs first.
    return int(importlib.import_module(f"wardround.card.{following}").main(()))
