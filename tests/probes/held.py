"""A verb that says how its own process is confined, and how many threads it has with numpy."""

from __future__ import annotations

import ctypes
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
    print(json.dumps({"core": resource.getrlimit(resource.RLIMIT_CORE), "dumpable": dumpable, "threads": threads}))
    return 0
