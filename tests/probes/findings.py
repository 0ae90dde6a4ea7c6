"""What a probe printed, read from its container's log."""

from __future__ import annotations

import json
from typing import Any


def findings(log: str) -> Any:
    """The JSON that a probe printed behind the word FOUND, in one line or in several.

    A long JSON needs several (`hostile.report`): the container runtime writes a line of over 16 KiB in parts, and a
    line of standard error may come between them.
    """
    parts = [line.removeprefix("FOUND ") for line in log.splitlines() if line.startswith("FOUND ")]
    return json.loads("".join(parts))
