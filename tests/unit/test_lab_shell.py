"""The programs that people use after the demo, and the commands of the demo's last text."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lab import demo_ending, shell
from lab.topology import ROOT
from wardround import kubectl
from wardround.card import main as predict

FINGERPRINT = "sha256:" + "a" * 64
COMMANDS = [
    shlex.split(each, comments=True) for each in demo_ending.commands(demo_ending.text("last", "result", FINGERPRINT))
]
# A checkout may lie in any folder.
AWKWARD = 'the "lab" of $HOME, `id` and O\'Hara'


def run(program: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    file = folder / "program"
    file.write_text(program, encoding="utf-8")
    return subprocess.run(["sh", str(file), *words], capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file of hosts")
def test_in_lab_a_command_knows_the_labs_hosts_and_the_machine_does_not(tmp_path: Path) -> None:
    """The network is this machine's: a unit test has no lab."""
    hosts = tmp_path / AWKWARD
    hosts.write_text("198.18.0.1 store.lab.internal\n", encoding="ascii")
    program = shell.in_lab(Path("/proc/self/ns/net"), hosts)
    inside = run(program, tmp_path, "sh", "-c", 'getent hosts store.lab.internal; echo "$1"; exit 3', "sh", "two words")
    assert (inside.stdout.split(maxsplit=1)[0], inside.stdout.splitlines()[-1]) == ("198.18.0.1", "two words")
    assert inside.returncode == 3, inside.stderr
    assert "store.lab.internal" not in Path("/etc/hosts").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shell.MODULES)
def test_the_programs_of_build_bin_run_this_checkout(name: str, tmp_path: Path) -> None:
    done = run(shell.of_checkout(shell.MODULES[name]), tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout


def test_the_programs_of_build_bin_run_a_checkout_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / AWKWARD
    checkout.symlink_to(ROOT)
    python = tmp_path / f"{AWKWARD}: Python"
    python.symlink_to(sys.executable)
    monkeypatch.setattr(shell, "ROOT", checkout)
    monkeypatch.setattr(sys, "executable", str(python))
    done = run(shell.of_checkout("site"), tmp_path)  # prints the folders that Python looks through
    assert repr(str(checkout / "operator")) in done.stdout, done.stderr


def test_the_demos_last_commands_are_commands_of_these_programs() -> None:
    wardround = [each[each.index("wardround") + 1 :] for each in COMMANDS if each[:2] == ["kubectl", "wardround"]]
    [pull] = [each[3:] for each in COMMANDS if each[0] == "in-lab"]
    for each in (*wardround, pull):
        kubectl.parser().parse_args(each)
    [asked] = [each[2:] for each in COMMANDS if each[:2] == ["wardround", "predict"]]
    options = predict.parser().parse_args(asked)
    assert options.folder == kubectl.parser().parse_args(pull).output
    assert options.dataset.exists()
    assert options.hub_fingerprint == FINGERPRINT
