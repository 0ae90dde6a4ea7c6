"""Begins the pod of a Prediction: proves that the network is closed, then gives it up for good and predicts.

The launcher starts the same image again without sockets, because the next program reads files that others wrote.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from wardround.pod import gate
from wardround.pod.launcher import VARIABLE
from wardround.pod.outcome import run

COMMAND = ("-m", "wardround", "answer")


def main(argv: Sequence[str]) -> int:
    """Returns only if the gate refuses, or on a machine without the launcher."""
    if code := run("prediction", _hold):
        return code
    if launcher := os.environ.get(VARIABLE):
        os.execv(launcher, [launcher, "--", sys.executable, *COMMAND])  # noqa: S606 - our own launcher, no shell
    # Arrow is slow to import, and the gate runs first.
    from wardround.card import answer

    return answer.main(argv)


def _hold() -> None:
    gate.hold(gate.read_settings(os.environ))
