"""The aggregation Job loads no library that it does not use: a small round waits for the start of its pod."""

from __future__ import annotations

import subprocess
import sys

UNUSED = {"botocore", "kopf", "kubernetes", "pandas", "pyarrow", "safetensors", "securesystemslib", "torch", "yaml"}


def test_the_aggregation_loads_no_library_that_it_does_not_use() -> None:
    code = "import sys, wardround.aggregate.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "numpy" in loaded
    assert UNUSED.isdisjoint(loaded)
