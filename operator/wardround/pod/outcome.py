"""Says how a container of ours ended: exit code and termination message; knows nothing of what the container does.

Whatever goes wrong in code that sees patient data, the text of the exception is never written: it can hold a row.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from wardround.reasons.reason import EXIT_OUR_FAULT
from wardround.reasons.registry import REASONS, class_of
from wardround.wire.outcome import Outcome, write

# Kubernetes cuts a termination message after this many bytes, which would leave half a JSON document.
MESSAGE_LIMIT = 4096


class Failure(Exception):
    """One enumerated reason, and a message for the site's own people. Neither may hold a value of the data.

    `field` is the name of a field as the Dataset's schema has it, never as the data has it. `counted`: what is known of
    the rows all the same.
    """

    def __init__(self, reason: str, message: str, *, field: str = "", counted: Outcome | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.category = class_of(reason)
        # The container ends with it; of a reason without one it is our fault to have raised it.
        self.exit_code = REASONS[reason].exit_code or EXIT_OUR_FAULT
        self.message = message
        self.field = field
        self._counted = counted or Outcome()

    @property
    def outcome(self) -> Outcome:
        """What the container says."""
        return replace(
            self._counted,
            reason=self.reason,
            failure_class=self.category,
            message=self.message,
            field=self.field or None,
        )


def run(verb: str, body: Callable[[], Outcome | None]) -> int:
    """Runs one verb; writes the termination message; returns the exit code. Nothing escapes with its text."""
    try:
        outcome = body()
    except Failure as failure:
        terminate(failure.outcome)
        log(f"{verb}: {failure.reason}: {failure.message}")
        return failure.exit_code
    except Exception as error:
        where = _where(error)
        message = f"{verb} failed with {type(error).__name__} at {where}: this is a fault of Wardround or of the node"
        terminate(Outcome(reason="PodFailed", failure_class="Platform", message=message))
        log(message)
        return EXIT_OUR_FAULT
    if outcome is not None:
        terminate(outcome)
    log(f"{verb}: done")
    return 0


def terminate(outcome: Outcome) -> None:
    """Writes the termination message, `quality` and `message` shortened so that it stays whole JSON."""
    while len(text := write(outcome)) > MESSAGE_LIMIT:
        if outcome.quality:
            outcome = replace(outcome, quality=outcome.quality[:-1])
        else:
            outcome = replace(outcome, message=(outcome.message or "")[: MESSAGE_LIMIT // 4])
    try:
        Path(os.environ.get("WARDROUND_TERMINATION_LOG", "/dev/termination-log")).write_bytes(text)
    except OSError as error:
        # Outside Kubernetes there is none; inside, the log line and the exit code still tell.
        log(f"the termination message could not be written: {type(error).__name__}")


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
