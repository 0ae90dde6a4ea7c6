"""A verb that says how its own process is confined."""

from __future__ import annotations

import ctypes
import json
import resource
from collections.abc import Sequence

PR_GET_DUMPABLE = 3


def main(argv: Sequence[str]) -> int:
    dumpable = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    print(json.dumps({"core": resource.getrlimit(resource.RLIMIT_CORE), "dumpable": dumpable}))
    return 0
