"""Training code as the simulation calls it: the reference trainer, a Python file, or a command of the researcher's.

A trainer gets one verb of the training contract (docs/training-image.md), works on the folders below WARDROUND_ROOT,
and returns its exit code.
"""

from __future__ import annotations

import importlib.util
import runpy
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from wardround.simulate.errors import SimulationError

Trainer = Callable[[str], int]
# As a shell says it.
NOT_FOUND = 127


def choose(command: str) -> Trainer:
    """The trainer that `--trainer` names; the reference trainer if it is empty. Raises SimulationError."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SimulationError(
            f"--trainer {command!r} cannot be split into words: {error}. Check the quotes in the command."
        ) from None
    if not words:
        return reference()
    if len(words) == 1 and words[0].endswith(".py"):
        return script(Path(words[0]))
    return process(words)


def reference() -> Trainer:
    """Our own trainer, in this process. Raises SimulationError if it or torch is not installed."""
    missing = [name for name in ("torch", "wardround_trainer") if importlib.util.find_spec(name) is None]
    if missing:
        raise SimulationError(
            f"The reference trainer needs {' and '.join(missing)}, which this Python does not have. Install both from "
            "a checkout of Wardround: pip install torch safetensors && export PYTHONPATH=trainer_image. Or train with "
            "code of your own: --trainer COMMAND."
        )
    return run_reference


def run_reference(verb: str) -> int:
    """Our own trainer's exit code. Its `train` needs torch."""
    from wardround_trainer.__main__ import main

    return int(main([verb]))


def script(path: Path) -> Trainer:
    """A Python file, in this process: Python and the packages that the file imports start only once.

    Raises SimulationError if there is no such file.
    """
    if not path.is_file():
        raise SimulationError(f"--trainer {path}: there is no such file. Give a Python file, or a command in quotes.")
    file = path.resolve()

    def run(verb: str) -> int:
        arguments, search = sys.argv, list(sys.path)
        sys.argv, sys.path[0:0] = [str(file), verb], [str(file.parent)]
        try:
            runpy.run_path(str(file), run_name="__main__")
        except SystemExit as end:
            return _exit_code(end.code)
        except Exception:
            traceback.print_exc()
            return 1
        finally:
            sys.argv, sys.path[:] = arguments, search
        return 0

    return run


def process(command: Sequence[str]) -> Trainer:
    """A command, as a process of its own for each verb. The verb is its last word, as in a training pod."""

    def run(verb: str) -> int:
        try:
            done = subprocess.run(
                [*command, verb], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        except OSError as error:
            print(f"{command[0]} cannot be started: {error.strerror}")
            return NOT_FOUND
        print(done.stdout, end="")
        return done.returncode

    return run


def _exit_code(code: object) -> int:
    """The exit code of a Python program that ended with SystemExit, as the interpreter gives it."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return 1
