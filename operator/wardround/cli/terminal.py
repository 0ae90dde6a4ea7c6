"""Speaks with the person at the terminal, and writes the files that only this person may read."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from wardround.cli.errors import CommandError

NO_FINGERPRINT = (
    "The command cannot ask you to compare fingerprints, because standard input is not a terminal. Give the "
    "fingerprint that the hospital has read out by telephone: --fingerprint sha256:..."
)


def confirmed(question: str, no_terminal: str = NO_FINGERPRINT) -> bool:
    """Whether the person answers yes. Raises CommandError with the text `no_terminal` if nobody can be asked."""
    if not sys.stdin.isatty():
        raise CommandError(no_terminal)
    return input(question).strip().lower() in ("y", "yes")


def write_private(path: Path, text: str) -> None:
    """Writes a new file that only its owner can read. An existing file is replaced, and its rights with it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def say(text: str) -> None:
    """Prints to stderr, because stdout may be piped into kubectl."""
    print(text, file=sys.stderr, flush=True)


class _Listener:
    """A stream that passes everything on, and remembers whether a command for kubectl was in it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.has_command = stream, False

    def write(self, text: str) -> int:
        self.has_command = self.has_command or "kubectl " in text
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def reminder(options: Mapping[str, str | None]) -> Iterator[None]:
    """Reminds the person of the options that choose the cluster, if commands are printed that lack them. Not each of
    these commands is for this cluster, so they are printed as they are. `options`: name and value; None if not given.
    """
    given = [f"{name} {shlex.quote(value)}" for name, value in options.items() if value is not None]
    if not given:
        yield
        return
    output, errors = _Listener(sys.stdout), _Listener(sys.stderr)
    with redirect_stdout(cast(TextIO, output)), redirect_stderr(cast(TextIO, errors)):
        yield
    if output.has_command or errors.has_command:
        say(f"Commands above that are for this cluster need these options too: {' '.join(given)}")
