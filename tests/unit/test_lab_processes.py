"""Only started processes are stopped, and a failed wait shows the cause."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.processes import Process, start_time, wait_for


def test_a_started_process_is_found_again_and_stopped(tmp_path: Path) -> None:
    Process("sleeper", tmp_path).start(["sleep", "60"])
    again = Process("sleeper", tmp_path)
    pid = again.pid()
    assert pid is not None
    again.stop()
    assert again.pid() is None
    assert start_time(pid) is None


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = Process("deaf", tmp_path)
    deaf.start(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"])
    while "ready" not in deaf.tail():
        time.sleep(0.01)
    deaf.stop(grace=0.2)
    assert deaf.pid() is None


def test_another_process_with_the_same_pid_is_not_stopped(tmp_path: Path) -> None:
    own = Process("ours", tmp_path)
    own.start(["true"])
    with subprocess.Popen(["sleep", "60"]) as stranger:
        file = tmp_path / "ours.pid"
        _, started, boot = file.read_text().split()
        file.write_text(f"{stranger.pid} {started}0 {boot}")
        own.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_wait_for_an_ended_process_shows_its_log(tmp_path: Path) -> None:
    broken = Process("broken", tmp_path)
    broken.start(["sh", "-c", "echo no such flag; exit 2"])
    with pytest.raises(LabError, match=r"waiting for the moon: broken ended(.|\n)*no such flag"):
        wait_for("the moon", lambda: False, broken)


def test_a_wait_ends_at_its_time_limit(tmp_path: Path) -> None:
    idle = Process("idle", tmp_path)
    idle.start(["sleep", "60"])
    try:
        with pytest.raises(LabError, match="not after 0 s"):
            wait_for("the moon", lambda: False, idle, seconds=0.1)
    finally:
        idle.stop()


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not schedule by session")
def test_a_command_behind_others_and_its_children_have_nice_sessions(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from lab.processes import Process; "
        "p = Process('p', Path(sys.argv[1])); p.start(['sleep', '60']); "
        "print(Path('/proc/self/autogroup').read_text(), Path(f'/proc/{p.pid()}/autogroup').read_text()); p.stop()"
    )
    command = [sys.executable, "-m", "lab.behind", sys.executable, "-c", script, str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.count("nice 19") == 2


def test_a_signal_ends_the_command_too() -> None:
    command = [sys.executable, "-m", "lab.behind", "sh", "-c", "echo $$; sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as behind:
        assert behind.stdout is not None
        leader = int(behind.stdout.readline())
        behind.send_signal(signal.SIGTERM)
        assert behind.wait(timeout=10) == 128 + signal.SIGTERM
    assert start_time(leader) is None
