"""Starts programs in the background, finds them by pid file, and stops only these programs.

A pid file holds the pid, the process's start time and the boot, so a reused pid is never touched.
"""

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.behind import share_niceness
from lab.errors import LabError

BOOT = Path("/proc/sys/kernel/random/boot_id")
# Children outlive this process on purpose. A Popen object that is garbage collected would warn about its child.
_CHILDREN: list["subprocess.Popen[bytes]"] = []


@dataclass(frozen=True)
class Process:
    """A named program, with a folder for its pid file and log."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run the command detached from this process. Its output is appended to the log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # A shell's default limit of open files is too low for containerd and etcd.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        share_niceness(child.pid)
        _CHILDREN.append(child)
        self._pid_file.write_text(f"{child.pid} {start_time(child.pid)} {BOOT.read_text().strip()}")

    def pid(self) -> int | None:
        """The pid of the process that we started, or None if it has ended."""
        try:
            pid, started, boot = self._pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        if boot != BOOT.read_text().strip() or start_time(int(pid)) != started:
            return None
        return int(pid)

    def stop(self, grace: float = 5.0) -> None:
        """Send SIGTERM, and SIGKILL after `grace` seconds. With `grace` 0, send SIGKILL at once."""
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if grace else signal.SIGKILL)
            if not self._gone_within(grace or 5.0):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                self._gone_within(5.0)
        self._pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = 15) -> str:
        """The end of the log, for an error message."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def start_time(pid: int) -> str | None:
    """The process's start time in clock ticks since boot; None if it has ended or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def wait_for(name: str, ready: Callable[[], bool], process: Process, seconds: float = 60.0) -> None:
    """Wait until `ready()`. Raises LabError with the end of the log if the process ends or the time is over."""
    deadline = time.monotonic() + seconds
    while not ready():
        alive = process.pid() is not None
        if alive and time.monotonic() < deadline:
            time.sleep(0.1)
            continue
        problem = f"not after {seconds:.0f} s" if alive else f"{process.name} ended"
        raise LabError(f"waiting for {name}: {problem}. The end of {process.log}:\n{process.tail()}")
