"""The image's entry point accepts its verbs only, and confines every process."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from wardround import confine
from wardround.__main__ import CLI_PACKAGES, COMMAND_LINE, FOR_PEOPLE, LONG, VERBS, main
from wardround.kubectl import parser


@pytest.mark.parametrize("argv", [[], ["agregate"]])
def test_an_unknown_verb_prints_all_verbs(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 64
    usage = capsys.readouterr().err
    assert all(verb in usage for verb in VERBS)


@pytest.mark.parametrize("argv", [["--help"], ["-h"]])
def test_help_names_the_verbs_of_people_apart_from_those_of_pods(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 0
    for_people, pods = capsys.readouterr().out.split(
        "These verbs run only in the pods of Wardround. People do not use them:"
    )
    people = [verb for line in for_people.splitlines()[2:] for verb in line.partition(": ")[2].split(", ") if verb]
    assert people == [*FOR_PEOPLE, *COMMAND_LINE]
    assert pods.split(".")[0].split() == ", ".join(VERBS).split()


def test_the_verbs_of_kubectl_wardround_work_without_kubectl(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m wardround dataset check` once printed only this module's usage."""
    [verbs] = [each for each in parser()._actions if isinstance(each, argparse._SubParsersAction)]
    assert set(COMMAND_LINE) == set(verbs.choices)
    with pytest.raises(SystemExit) as caught:
        main(["dataset", "check", "--help"])
    assert caught.value.code == 0
    assert "FILE.yaml FILE.csv" in " ".join(capsys.readouterr().out.split())
    assert main(["dataset", "check", "no-such.yaml", "no-such.csv"]) == 2
    assert "no-such.yaml cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(("loaded", "end"), [("pyarrow", ""), ("numpy", "Python's own end")])
def test_a_program_that_has_loaded_arrow_leaves_out_pythons_own_end(loaded: str, end: str) -> None:
    """A thread of Arrow that drops a function of Python at this moment would abort the process."""
    program = (
        f"import atexit, {loaded}; from wardround.pipe import leave; "
        "atexit.register(print, \"Python's own end\"); print('an answer'); leave(3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/operator"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.splitlines()) == (3, ["an answer", *filter(None, [end])])


@pytest.mark.parametrize("package", CLI_PACKAGES)
def test_a_verb_of_kubectl_wardround_names_what_is_not_installed(package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from wardround.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "dataset", "check"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/operator:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 64
    assert f"needs {package}, which is not installed" in done.stderr
    assert "pip install '.[cli]'" in done.stderr


ROOT = Path(__file__).parents[2]


def held(*before: str) -> dict[str, Any]:
    """The output of the verb `held` (tests/probes), started like every verb. `before`: statements to run first."""
    script = "; ".join(
        (
            "import sys, wardround.__main__ as entry",
            "entry.VERBS['held'] = 'tests.probes.held'",
            *before,
            "sys.exit(entry.main(['held']))",
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/operator:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    output: dict[str, Any] = json.loads(done.stdout)
    return output


def test_every_verb_starts_without_core_dumps_and_not_dumpable() -> None:
    assert held().items() >= {"core": [1, 1], "dumpable": 0}.items()


# The user of all containers of a pod, if the tests run as root.
USER = 65532 if os.geteuid() == 0 else None
WAITS = "import sys; print('ready', flush=True); sys.stdin.read()"
READS = """
import sys
for name in ("environ", "mem", "maps"):
    try:
        open(f"/proc/{sys.argv[1]}/{name}", "rb").read(1)
    except OSError as error:
        print(name, type(error).__name__)
"""


def unreadable(script: str) -> list[str]:
    """What another process of the same user cannot read of a process that runs a script and then waits."""
    python = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or sys.executable
    options: dict[str, Any] = {"text": True, "cwd": "/", "user": USER, "group": USER}
    with subprocess.Popen([python, "-c", script], stdin=PIPE, stdout=PIPE, **options) as verb:
        assert verb.stdout is not None
        assert verb.stdout.readline() == "ready\n"
        done = subprocess.run([python, "-c", READS, str(verb.pid)], capture_output=True, timeout=60, **options)
    assert done.returncode == 0, done.stderr
    return str(done.stdout).splitlines()


def test_no_other_process_of_the_user_reads_the_memory_of_a_verb() -> None:
    confined = f"{Path(confine.__file__).read_text('utf-8')}\nconfine()\n{WAITS}"
    assert unreadable(confined) == ["environ PermissionError", "mem PermissionError", "maps PermissionError"]
    # The control: without `confine`, they read each other.
    assert "environ PermissionError" not in unreadable(WAITS)


def test_numpy_adds_no_threads_to_those_of_a_verb() -> None:
    assert held("import os", "os.environ.pop('OPENBLAS_NUM_THREADS', None)")["threads"] == 1


def test_python_looks_for_no_cycles_among_what_a_short_verb_imports() -> None:
    short, long = held(), held("entry.LONG = ('held',)")
    assert short["collects"]
    assert long["collects"]
    assert short["frozen"] > 10_000
    # Verbs that live long first drop what their imports leave behind (kube/process.py).
    assert long["frozen"] == 0
    assert {*LONG} <= {*VERBS}


def test_a_hard_limit_of_0_is_kept() -> None:
    assert (
        held("import resource", "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))").items()
        >= {
            "core": [0, 0],
            "dumpable": 0,
        }.items()
    )
