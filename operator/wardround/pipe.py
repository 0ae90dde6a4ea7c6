"""Ends a command: quietly if the reader of its output has closed the pipe, as `| head` does, and whole after Arrow."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

# The exit code of a program that SIGPIPE has ended, as a shell shows it.
NOBODY_READS = 141


def quietly(run: Callable[[], int]) -> int:
    """The exit code of `run`, or NOBODY_READS."""
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes again when it exits, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS


def leave(code: int) -> NoReturn:
    """Ends the process. If it has loaded Arrow, Python's own end is left out.

    A thread of Arrow may still drop our function for malformed rows (pod/dataset.py). For that it needs Python's lock,
    and if Python ends meanwhile, the thread aborts the process (exit code 134), although all work is done.
    """
    if "pyarrow" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
