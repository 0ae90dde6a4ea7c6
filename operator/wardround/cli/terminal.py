"""Speaks with the person at the terminal, and writes the files that only this person may read."""

import os
import sys
from pathlib import Path

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
