"""A command ends quietly if its reader closes the pipe, as `| head` does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MANY = "wardround.pipe.quietly(lambda: sum(print('x' * 1000) is None for _ in range(1000)))"


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "wardround.kubectl", "enrol", "site-d", "--new"],
        ["-m", "wardround.kubectl", "--help"],
        ["-m", "wardround.kubectl", "explain", "--help"],
        ["-m", "wardround", "predict", "--help"],
        ["-m", "wardround", "simulate", "--help"],
        ["-c", f"import sys, wardround.pipe; sys.exit({MANY})"],
    ],
)
def test_a_command_ends_without_a_traceback_if_its_pipe_is_closed(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator")},
            check=False,
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")
