"""Starts programs in the background, finds them again by pid file, and stops exactly those.

A pid file holds the pid, the process's start time and the boot: a pid that was reused since is never touched.
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
# They outlive this process on purpose; a Popen that is let go of complains of that.
_CHILDREN: list["subprocess.Popen[bytes]"] = []


@dataclass(frozen=True)
class Process:
    """One program with a name, in a folder that holds its pid file and log."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run the command, detached from this process; its output is appended to the log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # What a shell allows by default is too few files for containerd and etcd.
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
        """The pid while the process that we started still runs, else None."""
        try:
            pid, started, boot = self._pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        if boot != BOOT.read_text().strip() or start_time(int(pid)) != started:
            return None
        return int(pid)

    def stop(self, grace: float = 5.0) -> None:
        """Ask it to end, insist after `grace` seconds; no grace, no asking."""
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
    """Clock ticks since boot at which the process started; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def wait_for(what: str, ready: Callable[[], bool], process: Process, seconds: float = 60.0) -> None:
    """Return once `ready()`; raise LabError with the end of the log when the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while not ready():
        alive = process.pid() is not None
        if alive and time.monotonic() < deadline:
            time.sleep(0.1)
            continue
        problem = f"not after {seconds:.0f} s" if alive else f"{process.name} ended"
        raise LabError(f"waiting for {what}: {problem}. The end of {process.log}:\n{process.tail()}")
