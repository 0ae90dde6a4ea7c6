"""Training code chooses predictions, files and their names. No text of the code gets into the hospital's verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.plans_site.test_own_verdicts import compared, heard, sent
from tests.unit.pod.test_score import ROWS, predict_all, two_comparisons
from tests.worlds.site import ended
from wardround import __main__ as wardround
from wardround.pod.folders import Folders
from wardround.wire.mounts import REFERENCES

PATIENT = "patient-17"
WISH = json.dumps({"verdicts": ["Better", "Better"], "message": PATIENT, "update": PATIENT, PATIENT: PATIENT})
HONEST = ["Better", "Worse"]


def places(folders: Folders) -> list[Path]:
    """All folders of a comparison that `score` mounts and code can write."""
    return [folders.out, *map(folders.reference_out, REFERENCES)]


def leave_files(folders: Folders) -> None:
    """Under each name that a container of ours reads or writes somewhere, and under a name that is itself a text."""
    names = ("verdicts.json", "metrics.json", "report.json", "update.json", "error.json", "progress.json")
    for place in places(folders):
        for name in (*names, "termination-log", "labels.i64", f"{PATIENT}.json", "Better"):
            (place / name).write_text(WISH)
        (place / "private").mkdir()
        (place / "private" / "report.json").write_text(WISH)


def predict_text(folders: Folders) -> None:
    for place in places(folders):
        (place / "predictions.f64").write_text(WISH)


def predict_after_text(folders: Folders) -> None:
    """The predictions follow a text."""
    for place in places(folders):
        (place / "predictions.f64").write_bytes(WISH.encode() + (place / "predictions.f64").read_bytes())


def predict_numbers_with_text(folders: Folders) -> None:
    """A NaN has 51 bits that its writer can choose."""
    text = np.frombuffer(PATIENT[:6].encode() + b"\xff\x7f", "<f8")
    assert np.isnan(text).all()
    for place in places(folders):
        values = np.fromfile(place / "predictions.f64", "<f8")
        values[0] = text[0]
        values.tofile(place / "predictions.f64")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """A comparison whose code has written honest predictions."""
    made, truth = two_comparisons(tmp_path, **ROWS)
    predict_all(made, np.where(truth == 1, 0.8, 0.2), np.full(len(truth), 0.5), np.where(truth == 1, 0.9, 0.1))
    monkeypatch.setenv("WARDROUND_ROOT", str(made.root))
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", str(made.root / "termination"))
    return made


def scored(folders: Folders) -> tuple[int, str]:
    """The exit code of the container `check`, and its termination message."""
    code = wardround.main(["score"])
    return code, (folders.root / "termination").read_text()


def heard_verdicts(code: int, message: str) -> Any:
    """The verdicts that the hub hears then."""
    containers = (ended("prepare", 0), ended("train", 0), ended("check", code, message))
    return heard(sent(compared(*containers, tellVerdicts=True))).get("verdicts")


def test_no_file_of_the_code_changes_the_message(folders: Folders) -> None:
    honest = scored(folders)
    leave_files(folders)
    assert scored(folders) == honest
    assert heard_verdicts(*honest) == HONEST


@pytest.mark.parametrize("attack", [predict_text, predict_after_text, predict_numbers_with_text])
def test_code_that_writes_a_text_for_its_predictions_gets_no_verdict(
    folders: Folders, attack: Callable[[Folders], None]
) -> None:
    attack(folders)
    code, message = scored(folders)
    assert code != 0
    assert PATIENT not in message
    assert "Better" not in message
    assert heard_verdicts(code, message) is None
