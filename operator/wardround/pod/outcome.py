"""Says how a container of ours ended: exit code and termination message; knows nothing of what the container does.

Whatever goes wrong in code that sees patient data, the text of the exception is never written: it can hold a row.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wardround.reasons.reason import EXIT_OUR_FAULT
from wardround.reasons.registry import REASONS, class_of

# Kubernetes cuts a termination message after this many bytes, which would leave half a JSON document.
MESSAGE_LIMIT = 4096


class Failure(Exception):
    """One enumerated reason, and a message for the site's own people. Neither may hold a value of the data.

    `field` is the name of a field as the Dataset's schema has it, never as the data has it. `counted`: what is known of
    the rows all the same.
    """

    def __init__(self, reason: str, message: str, *, field: str = "", counted: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.category = class_of(reason)
        # The container ends with it; of a reason without one it is our fault to have raised it.
        self.exit_code = REASONS[reason].exit_code or EXIT_OUR_FAULT
        self.message = message
        self.field = field
        self.counted = counted or {}

    def document(self) -> dict[str, Any]:
        named = {"field": self.field} if self.field else {}
        return {"reason": self.reason, "class": self.category, **named, "message": self.message, **self.counted}


def run(verb: str, body: Callable[[], Mapping[str, Any] | None]) -> int:
    """Runs one verb; writes the termination message; returns the exit code. Nothing escapes with its text."""
    try:
        document = body()
    except Failure as failure:
        terminate(failure.document())
        log(f"{verb}: {failure.reason}: {failure.message}")
        return failure.exit_code
    except Exception as error:
        where = _where(error)
        message = f"{verb} failed with {type(error).__name__} at {where}: this is a fault of Wardround or of the node"
        terminate({"reason": "PodFailed", "class": "Platform", "message": message})
        log(message)
        return EXIT_OUR_FAULT
    if document is not None:
        terminate(document)
    log(f"{verb}: done")
    return 0


def terminate(document: Mapping[str, Any]) -> None:
    """Writes the termination message, `quality` and `message` shortened so that it stays whole JSON."""
    fitting = dict(document)
    while len(text := _dump(fitting)) > MESSAGE_LIMIT:
        if fitting.get("quality"):
            fitting["quality"] = fitting["quality"][:-1]
        else:
            fitting["message"] = str(fitting.get("message", ""))[: MESSAGE_LIMIT // 4]
    try:
        Path(os.environ.get("WARDROUND_TERMINATION_LOG", "/dev/termination-log")).write_bytes(text)
    except OSError as error:
        # Outside Kubernetes there is none; inside, the log line and the exit code still tell.
        log(f"the termination message could not be written: {type(error).__name__}")


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
