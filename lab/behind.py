"""Runs a command with the lowest priority on the machine: `python -m lab.behind COMMAND ...`.

A process's niceness alone is not enough. If the kernel schedules by session (sched(7), autogroup), niceness only counts
within a session, and each of the lab's components has its own. So the command gets a session, and this module sets the
niceness of that session.
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
    """Give the leader's session the niceness of this process, if the kernel schedules by session."""
    own = os.nice(0)
    for _ in range(20 if own else 0):
        try:
            Path(f"/proc/{leader}/autogroup").write_text(str(own))
            return
        except BlockingIOError:
            time.sleep(0.05)  # for users other than root, the kernel allows ten changes a second on the whole machine
        except OSError:
            return  # no such file: the kernel does not schedule by session, or the leader has ended


def main(command: list[str]) -> int:
    """Runs the command and returns its exit code. Forwards terminating signals to the command's process group."""
    group: list[int] = []
    early: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if not group:
            early.append(number)
            return
        with contextlib.suppress(ProcessLookupError):  # the group has ended
            os.killpg(group[0], number)

    for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(each, forward)
    os.setpriority(os.PRIO_PROCESS, 0, NICEST)
    # The child sets the niceness of its own session before the command starts: this process may then wait long for a
    # processor. File descriptors stay open: make passes its jobserver to a child make by them.
    with subprocess.Popen(
        command, start_new_session=True, preexec_fn=lambda: share_niceness(os.getpid()), close_fds=False
    ) as child:
        group.append(child.pid)
        for number in early:
            forward(number, None)
        code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
