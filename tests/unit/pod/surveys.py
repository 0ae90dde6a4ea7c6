"""Prepares and surveys files of rows, and checks that no message quotes a value of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from wardround.pod import survey
from wardround.pod.outcome import PodError
from wardround.tabular.schema import Schema
from wardround.wire import outcome as wire
from wardround.wire.outcome import Outcome

# Values that only the file holds. No message may have one of them.
SECRETS = ("Ada", "Lovelace", "13.37", "1815-12-10", "10.12.1815", "Babbage", "patient-")
# The column of the age.
AGE = 2


def prepare(
    folder: Path, lines: list[str], document: dict[str, Any] | None = None, header: str = world.HEADER
) -> Outcome:
    return world.prepare(world.pod(folder, lines, header), document or world.task())


def refused(call: Callable[[], object]) -> PodError:
    """The failure, after the check that it quotes no value of the file."""
    with pytest.raises(PodError) as caught:
        call()
    assert not [secret for secret in SECRETS if secret in caught.value.message]
    assert not [secret for secret in SECRETS if secret in wire.write(caught.value.outcome).decode()]
    return caught.value


def with_age(lines: list[str], spelt: Callable[[str], str], rows: int) -> list[str]:
    """The first `rows` lines with another spelling of the age."""
    changed = []
    for line in lines[:rows]:
        values = line.split(",")
        changed.append(",".join([*values[:AGE], spelt(values[AGE]), *values[AGE + 1 :]]))
    return [*changed, *lines[rows:]]


def counted(folder: Path, lines: list[str], table: Schema | None = None) -> survey.Counts:
    """What the command `dataset check` counts in a file of these rows."""
    folders = world.pod(folder, lines)
    read = survey.count_file(folders.raw / "cases.csv", "CSV", table or world.table(), world.SIDES)
    assert read.failure is None
    assert read.counts is not None
    return read.counts
