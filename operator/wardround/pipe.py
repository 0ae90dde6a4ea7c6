"""Ends a command quietly if the reader of its output has closed the pipe, as `| head` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

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
