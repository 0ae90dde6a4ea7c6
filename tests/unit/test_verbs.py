"""The image's entry point knows its verbs and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wardround.__main__ import VERBS, main


@pytest.mark.parametrize("argv", [[], ["agregate"], ["--help"]])
def test_an_unknown_verb_says_which_there_are(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 64
    said = capsys.readouterr().err
    assert all(verb in said for verb in VERBS)


ROOT = Path(__file__).parents[2]


def held(*before: str) -> dict[str, Any]:
    """What the verb `held` says of itself, started as every verb is, or without what all verbs begin with."""
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
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_every_verb_begins_without_core_dumps_and_unreadable_for_others_of_its_user() -> None:
    assert held() == {"core": [1, 1], "dumpable": 0}


def test_a_node_that_allows_no_core_files_is_taken_as_it_is() -> None:
    assert held("import resource", "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))") == {
        "core": [0, 0],
        "dumpable": 0,
    }
