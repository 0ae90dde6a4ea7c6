"""The image's entry point accepts its verbs only, and confines every process."""

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
def test_an_unknown_verb_prints_all_verbs(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 64
    usage = capsys.readouterr().err
    assert all(verb in usage for verb in VERBS)


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
    assert held() == {"core": [1, 1], "dumpable": 0}


def test_a_hard_limit_of_0_is_kept() -> None:
    assert held("import resource", "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))") == {
        "core": [0, 0],
        "dumpable": 0,
    }
