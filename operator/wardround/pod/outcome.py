"""Reports how a container of ours ended, by exit code and termination message; knows nothing of the container's work.

The text of an unexpected exception is never written: it can hold a row of patient data.
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

# Bytes. Kubernetes cuts a longer termination message, and half a JSON document cannot be read.
MESSAGE_LIMIT = 4096
# What a message says of a variable that the site operator has set wrongly.
UNREADABLE = "cannot be read. This is a fault of the site operator: report it to the developers of Wardround"


class PodError(Exception):
    """A registered reason, and a message for the site's own people. Neither may hold a value of the data.

    `field`: a field's name in the Dataset's schema, never a column's name in the data. `counted`: row counts known
    despite the failure.
    """

    def __init__(self, reason: str, message: str, *, field: str = "", counted: Outcome | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.category = class_of(reason)
        # A reason without an exit code must not be raised here, so raising it is our fault.
        self.exit_code = REASONS[reason].exit_code or EXIT_OUR_FAULT
        self.message = message
        self.field = field
        self._counted = counted or Outcome()

    @property
    def outcome(self) -> Outcome:
        """The container's termination message."""
        return replace(
            self._counted,
            reason=self.reason,
            failure_class=self.category,
            message=self.message,
            field=self.field or None,
        )


def run(verb: str, body: Callable[[], Outcome | None]) -> int:
    """Runs one verb, writes the termination message, and returns the exit code. Never writes an exception's text."""
    try:
        outcome = body()
    except PodError as failure:
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
    """Writes the termination message. Shortens the names of ignored columns, then `quality`, `metrics` and `message`,
    to stay within MESSAGE_LIMIT."""
    while len(text := write(outcome)) > MESSAGE_LIMIT:
        ignored = outcome.ignored_columns
        if ignored and ignored.named:
            outcome = replace(outcome, ignored_columns=replace(ignored, named=ignored.named[:-1]))
        elif outcome.quality:
            outcome = replace(outcome, quality=outcome.quality[:-1])
        elif outcome.metrics:
            # A round may declare 16 names of 64 characters each for numbers that the training code reports.
            outcome = replace(outcome, metrics=outcome.metrics[:-1])
        else:
            # Characters, of which one may take several bytes.
            message = outcome.message or ""
            outcome = replace(outcome, message=message[: min(MESSAGE_LIMIT // 4, len(message) // 2)])
    try:
        Path(os.environ.get("WARDROUND_TERMINATION_LOG", "/dev/termination-log")).write_bytes(text)
    except OSError as error:
        # Outside Kubernetes there is no such file. Inside, the log line and the exit code still report the outcome.
        log(f"the termination message could not be written: {type(error).__name__}")


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
