"""Only what was started is stopped, and a wait that fails says why."""

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


def test_a_process_that_ignores_the_request_to_end_is_made_to(tmp_path: Path) -> None:
    deaf = Process("deaf", tmp_path)
    deaf.start(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"])
    while "ready" not in deaf.tail():
        time.sleep(0.01)
    deaf.stop(grace=0.2)
    assert deaf.pid() is None


def test_another_process_that_got_the_same_pid_is_left_alone(tmp_path: Path) -> None:
    ours = Process("ours", tmp_path)
    ours.start(["true"])
    with subprocess.Popen(["sleep", "60"]) as stranger:
        file = tmp_path / "ours.pid"
        _, started, boot = file.read_text().split()
        file.write_text(f"{stranger.pid} {started}0 {boot}")
        ours.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_wait_ends_with_the_log_of_the_process_that_ended(tmp_path: Path) -> None:
    broken = Process("broken", tmp_path)
    broken.start(["sh", "-c", "echo no such flag; exit 2"])
    with pytest.raises(LabError, match=r"waiting for the moon: broken ended(.|\n)*no such flag"):
        wait_for("the moon", lambda: False, broken)


def test_a_wait_that_takes_too_long_says_so(tmp_path: Path) -> None:
    idle = Process("idle", tmp_path)
    idle.start(["sleep", "60"])
    try:
        with pytest.raises(LabError, match="not after 0 s"):
            wait_for("the moon", lambda: False, idle, seconds=0.1)
    finally:
        idle.stop()


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not schedule by session")
def test_a_command_behind_all_else_is_nice_as_a_session_and_so_is_what_it_starts(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from lab.processes import Process; "
        "p = Process('p', Path(sys.argv[1])); p.start(['sleep', '60']); "
        "print(Path('/proc/self/autogroup').read_text(), Path(f'/proc/{p.pid()}/autogroup').read_text()); p.stop()"
    )
    command = [sys.executable, "-m", "lab.behind", sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.count("nice 19") == 2


def test_what_ends_it_ends_a_command_behind_all_else() -> None:
    command = [sys.executable, "-m", "lab.behind", "sh", "-c", "echo $$; sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as behind:
        assert behind.stdout is not None
        leader = int(behind.stdout.readline())
        behind.send_signal(signal.SIGTERM)
        assert behind.wait(timeout=10) == 128 + signal.SIGTERM
    assert start_time(leader) is None
