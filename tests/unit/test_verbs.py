"""The image's entry point knows its verbs and nothing else."""

from __future__ import annotations

import pytest

from wardround.__main__ import VERBS, main


@pytest.mark.parametrize("argv", [[], ["agregate"], ["--help"]])
def test_an_unknown_verb_says_which_there_are(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 64
    said = capsys.readouterr().err
    assert all(verb in said for verb in VERBS)
