"""A command ends quietly if its reader closes the pipe, as `| head` does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("arguments", [["enrol", "site-d", "--new"], ["--help"], ["explain", "--help"]])
def test_a_command_ends_without_a_traceback_if_its_pipe_is_closed(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "wardround.cli", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator")},
            check=False,
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")
