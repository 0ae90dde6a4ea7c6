"""The launcher, compiled and run on this machine without privileges: the calls that it blocks, the programs it starts.

tests/e2e/test_walls.py tests it in a pod on a real cluster.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.probes import calls

ROOT = Path(__file__).parents[3]
PROBE = Path(calls.__file__).read_text("utf-8")
PYTHON = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or "python3"
COMPILER = os.environ.get("CC", "gcc")
pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason="there is no C compiler here")
# The pod's user, if the tests run as root.
NOBODY = 65532 if os.geteuid() == 0 else None


@dataclass(frozen=True)
class Launcher:
    """`place`: a folder that every user can read."""

    place: Path

    def run(
        self,
        *arguments: str,
        stdin: str = "",
        path: str | None = None,
        files: Sequence[int] = (),
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        environment = dict(variables or {}) if path is None else {"PATH": path}
        return subprocess.run(
            [str(self.place / "launch"), *arguments],
            input=stdin,
            env=environment,
            cwd=self.place,
            pass_fds=files,
            capture_output=True,
            text=True,
            timeout=60,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[] if NOBODY else None,
        )

    def program(self, name: str, text: str, mode: int = 0o755) -> Path:
        path = self.place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)
        return path


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    """Not below pytest's own folder: each pytest that starts on this machine closes that to other users."""
    with TemporaryDirectory(prefix="launcher-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        subprocess.run([ROOT / "launcher/build", place / "launch"], check=True)
        yield Launcher(place)


def probed(launcher: Launcher, *flags: str) -> dict[str, str]:
    done = launcher.run(*flags, "--", PYTHON, "-", stdin=PROBE)
    assert done.returncode == 0, done.stderr
    results: dict[str, str] = json.loads(done.stdout.removeprefix("FOUND "))["said"]
    return results


@pytest.fixture(scope="module")
def inside(launcher: Launcher) -> dict[str, str]:
    return probed(launcher)


def test_without_the_launcher_the_probes_open_sockets() -> None:
    """The control: on this kernel, the probes succeed."""
    done = subprocess.run([PYTHON, "-"], input=PROBE, capture_output=True, text=True, check=True, timeout=60)
    results = json.loads(done.stdout.removeprefix("FOUND "))["said"]
    assert {results[f"{family} stream"] for family in ("UNIX", "INET")} == {"open"}
    assert results["interfaces"] == results["process_vm_readv"] == "open"


def test_only_unix_sockets_open(inside: dict[str, str]) -> None:
    assert calls.sockets(inside) == {"UNIX stream", "UNIX datagram", "UNIX raw", "UNIX pair"}


def test_calls_of_other_architectures_kill_the_process(inside: dict[str, str]) -> None:
    if os.uname().machine == "x86_64":
        assert inside["int 0x80"] == inside["x32"] == "SIGSYS"


def test_io_uring_and_access_to_other_processes_are_refused(inside: dict[str, str]) -> None:
    assert {inside[name] for name in calls.CALLS if name.startswith("io_uring")} == {"ENOSYS"}
    refused = ["pidfd_getfd", *calls.NUMBERS[os.uname().machine]]
    assert {name: inside[name] for name in refused} == dict.fromkeys(refused, "EPERM")


@pytest.mark.parametrize("flags", [(), ("--local-sockets",)])
def test_symbolic_links_are_refused(launcher: Launcher, flags: Sequence[str]) -> None:
    """All other calls that make or move a name work."""
    script = """
import errno, os, sys
os.chdir(sys.argv[1])
for make in (lambda: os.symlink("/wardround-x", "a"), lambda: os.symlink("/wardround-x", "a", dir_fd=os.open(".", 0))):
    try:
        make()
    except OSError as error:
        print(errno.errorcode[error.errno])
open("b", "w").close(); os.link("b", "c"); os.rename("c", "d"); os.mkdir("e"); os.mkfifo("f")
print(*sorted(os.listdir()))
"""
    folder = launcher.place / f"names{len(flags)}"
    folder.mkdir()
    folder.chmod(0o777)
    done = launcher.run(*flags, "--", PYTHON, "-", str(folder), stdin=script)
    assert done.stdout.splitlines() == ["EPERM", "EPERM", "b d e f"]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the probe is written for amd64")
def test_the_images_environment_does_not_affect_the_launcher(launcher: Launcher) -> None:
    """For a dynamic program, the first variable would load a library, and the second would end it at once."""
    probe = launcher.place / "native"
    probe.write_bytes(calls.program(calls.NATIVE + calls.ENDS))
    probe.chmod(0o755)
    variables = {"LD_PRELOAD": "/no/such/library.so", "LD_TRACE_LOADED_OBJECTS": "1"}
    done = launcher.run("--", str(probe), variables=variables)
    assert (done.returncode, done.stdout, done.stderr) == (errno.EAFNOSUPPORT, "", "")


def test_no_queue_outlasts_the_code_that_makes_it(inside: dict[str, str]) -> None:
    """By open() alone: where queues are mounted, as in the pods of test_walls, the limit of 0 bytes forbids it."""
    assert inside["bytes of queues"] == "0,0"
    assert inside["queue"] in ("EMFILE", "ENOENT")


def test_core_dumps_are_forbidden(inside: dict[str, str]) -> None:
    assert inside["core"] == "1,1"


def test_local_sockets_allow_ip_and_the_list_of_interfaces(launcher: Launcher, inside: dict[str, str]) -> None:
    local = probed(launcher, "--local-sockets")
    more = calls.sockets(local) - calls.sockets(inside)
    assert {name.split()[0] for name in more if name in calls.BY_FAMILY} == {"INET", "INET6", "NETLINK"}
    assert local["netlink of the packet filter"] == "EAFNOSUPPORT"
    assert local["interfaces"] == "open"
    others = [name for name in inside if name not in calls.BY_FAMILY and name != "interfaces" and "static" not in name]
    assert {name: local[name] for name in others} == {name: inside[name] for name in others}


def test_a_leaked_file_is_closed(launcher: Launcher) -> None:
    reading, writing = os.pipe()
    try:
        done = launcher.run("--", PYTHON, "-", stdin=PROBE, files=(reading, writing))
    finally:
        os.close(reading)
        os.close(writing)
    assert json.loads(done.stdout.removeprefix("FOUND "))["files"] == []


def test_the_command_gets_its_arguments_and_environment_unchanged(launcher: Launcher) -> None:
    words = ["--", "--local-sockets", "a b", "", "$HOME", "é"]
    done = launcher.run("--", PYTHON, "-c", "import os,sys; print(sys.argv[1:], dict(os.environ))", *words, path="/x")
    assert done.stdout.strip().startswith(f"{words} ")
    assert "'PATH': '/x'" in done.stdout


def test_no_word_of_the_command_is_read_as_a_flag(launcher: Launcher) -> None:
    for words in ([PYTHON], ["--local-sockets", PYTHON], ["--"], ["--local-sockets", "--"], ["--help"], []):
        done = launcher.run(*words)
        assert done.returncode == 70
        assert "usage: launch" in done.stderr
    done = launcher.run("--", "--local-sockets", "--", PYTHON)
    assert (done.returncode, done.stderr) == (127, "launch: this image has no program --local-sockets\n")


def test_a_missing_command_exits_with_127(launcher: Launcher) -> None:
    for command in ("no-such-trainer", "/no/such/trainer", "", f"{launcher.place}", "launch/x"):
        done = launcher.run("--", command, path=f"{launcher.place}:/usr/bin")
        assert (done.returncode, done.stderr) == (127, f"launch: this image has no program {command}\n")


def test_a_command_that_cannot_start_exits_with_126(launcher: Launcher) -> None:
    launcher.program("unreadable", "#!/bin/sh\n", 0o644)
    launcher.program("without-interpreter", "#!/no/such/shell\n")
    launcher.program("of-another-machine", "\x7fELF but not really")
    for name, error in (
        ("unreadable", "Permission denied"),
        ("without-interpreter", "No such file or directory"),
        ("of-another-machine", "Exec format error"),
    ):
        for command in (name, f"./{name}"):
            done = launcher.run("--", command, path=str(launcher.place))
            assert (done.returncode, done.stderr) == (
                126,
                f"launch: the program {command} cannot be started: {error}\n",
            )


def test_a_program_is_searched_like_a_container_runtime_does(launcher: Launcher) -> None:
    launcher.program("first/trainer", "#!/bin/sh\necho never\n", 0o644)
    launcher.program("second/trainer", "#!/bin/sh\necho second\n")
    launcher.program("third/trainer", "#!/bin/sh\necho third\n")
    (launcher.place / "folder/trainer").mkdir(parents=True, exist_ok=True)
    folders = ["/no/such", "folder", "first", "second", "third"]
    done = launcher.run("--", "trainer", path=":".join(f"{launcher.place}/{each}" for each in folders))
    assert (done.returncode, done.stdout) == (0, "second\n")
    assert launcher.run("--", "true").returncode == 0, "an image that sets no PATH has the runtime's"
