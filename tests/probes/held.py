"""A verb that says how its own process is confined, how many threads it has with numpy, and what Python's collector
does."""

from __future__ import annotations

import ctypes
import gc
import json
import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np

PR_GET_DUMPABLE = 3


def main(argv: Sequence[str]) -> int:
    wide = np.ones(1 << 20)
    assert np.dot(wide, wide) == wide.size
    threads = len([*Path("/proc/self/task").iterdir()])
    dumpable = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    output = {
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "dumpable": dumpable,
        "threads": threads,
        "collects": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
    }
    print(json.dumps(output))
    return 0
