"""The aggregation Job loads no library that it does not use: a small round waits for the start of its pod.

Each module of ours takes a millisecond or more, because dataclasses are made when a module is imported.
"""

from __future__ import annotations

import subprocess
import sys

LIBRARIES = {"botocore", "kopf", "kubernetes", "pandas", "pyarrow", "safetensors", "securesystemslib", "torch", "yaml"}
# With the modules below them.
OURS = (
    "wardround.reasons",
    "wardround.sealing.assignments",
    "wardround.sealing.cards",
    "wardround.sealing.grants",
    "wardround.sealing.opened",
    "wardround.wire.assignment",
    "wardround.wire.card",
    "wardround.wire.grants",
    "wardround.wire.versions",
)


def test_the_aggregation_loads_no_library_and_no_module_that_it_does_not_use() -> None:
    code = "import sys, wardround.__main__, wardround.aggregate.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert {"numpy", "wardround.aggregate.job"} <= {*loaded}
    assert LIBRARIES.isdisjoint(loaded)
    assert [each for each in loaded if f"{each}.".startswith(tuple(f"{name}." for name in OURS))] == []
