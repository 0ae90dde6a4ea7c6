"""Runs a command behind all else on the machine, which has the processors first: `python -m lab.behind COMMAND ...`.

Niceness alone does not do that. Where the kernel shares the processors out among sessions (sched(7), autogroup), a
process is nice to those of its own session only, and each of the lab's components has one. So the command gets a
session as well, and that is nice as a whole.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

NICEST = 19


def share_niceness(leader: int) -> None:
    """Let the session of that leader be as nice to others as this process is to those of its own."""
    own = os.nice(0)
    # A kernel that does not schedule by session has no such file; a leader that is gone needs none.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while own:
            # For those who are not root the kernel does it ten times a second, whoever asks.
            with contextlib.suppress(BlockingIOError):
                Path(f"/proc/{leader}/autogroup").write_text(str(own))
                return
            time.sleep(0.05)


def main(command: list[str]) -> int:
    """The command's exit code. What ends this ends all that the command has started in its session."""
    os.nice(NICEST)
    # What make hands to another make stays open.
    with subprocess.Popen(command, start_new_session=True, close_fds=False) as child:
        share_niceness(child.pid)

        def forward(number: int, _: FrameType | None) -> None:
            os.killpg(child.pid, number)

        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, forward)
        code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
