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
    """Let the session of that leader be as nice to others as this process is to those of its own, where that can be."""
    own = os.nice(0)
    for _ in range(20 if own else 0):
        try:
            Path(f"/proc/{leader}/autogroup").write_text(str(own))
            return
        except BlockingIOError:
            time.sleep(0.05)  # for those who are not root the kernel does it ten times a second, whoever asks
        except OSError:
            return  # no such file: this kernel does not schedule by session, or the leader is gone already


def main(command: list[str]) -> int:
    """The command's exit code. Signals that would end this go to the process group of the command."""
    group: list[int] = []
    early: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if not group:
            early.append(number)
            return
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(group[0], number)

    for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:  # under nohup, say
            signal.signal(each, forward)
    os.setpriority(os.PRIO_PROCESS, 0, NICEST)  # whatever it was before
    # What make hands to another make stays open.
    with subprocess.Popen(command, start_new_session=True, close_fds=False) as child:
        group.append(child.pid)
        for number in early:
            forward(number, None)
        share_niceness(child.pid)
        code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
