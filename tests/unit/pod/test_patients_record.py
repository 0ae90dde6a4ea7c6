"""A file that is exported again with other texts of the identifiers moves no patient into training unseen."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround.pod import patients_record
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError


def record_at(folders: Folders) -> Path:
    return folders.secrets / patients_record.FOLDER / "breast.json"


def next_reading(folders: Folders, lines: list[str], kind: str = "Train") -> None:
    for path in (folders.task_file, *folders.data.iterdir()):
        path.unlink(missing_ok=True)
    (folders.raw / "cases.csv").write_text("\n".join([world.HEADER, *lines]) + "\n")
    prepare(folders, world.task(kind))


def with_identifier(change: Callable[[str], str], lines: list[str]) -> list[str]:
    return [f"{change(first)},{rest}" for first, _, rest in (line.partition(",") for line in lines)]


@pytest.mark.parametrize("kind", ["Train", "Evaluate", "Statistics"])
@pytest.mark.parametrize("change", [lambda text: text + ".0", lambda text: "00" + text, str.swapcase])
def test_no_task_goes_on_with_identifiers_that_are_written_otherwise(
    tmp_path: Path, change: Callable[[str], str], kind: str
) -> None:
    folders, lines = world.pod(tmp_path), world.rows()
    prepare(folders, world.task())
    before = record_at(folders).read_bytes()
    with pytest.raises(PodError) as caught:
        next_reading(folders, with_identifier(change, lines), kind)
    assert (caught.value.reason, caught.value.exit_code) == ("IdentifiersChanged", 65)
    assert not folders.task_file.exists()
    assert record_at(folders).read_bytes() == before
    assert lines[0].partition(",")[0] not in caught.value.message
    next_reading(folders, lines)


def test_new_patients_may_come_and_some_may_leave(tmp_path: Path) -> None:
    folders, lines = world.pod(tmp_path), world.rows(200)
    prepare(folders, world.task())
    next_reading(folders, lines[60:] + with_identifier(lambda text: "new" + text, world.rows(300, seed=2)))


def test_patients_may_leave_in_small_steps(tmp_path: Path) -> None:
    """What counts is the reading before, not the first one."""
    lines = world.rows(300)
    folders = world.pod(tmp_path, lines)
    prepare(folders, world.task())
    for start in (50, 100, 150, 200):
        next_reading(folders, lines[start:])


def test_a_file_with_both_spellings_does_not_let_the_new_spelling_pass_afterwards(tmp_path: Path) -> None:
    """Two exports that were appended, or a migration that keeps both for a while."""
    folders, lines = world.pod(tmp_path), world.rows(300)
    prepare(folders, world.task())
    new = with_identifier(lambda text: text + ".0", lines)
    next_reading(folders, lines + new)
    with pytest.raises(PodError, match="no longer holds most patients"):
        next_reading(folders, new)


def test_a_row_that_is_left_out_still_has_its_patient(tmp_path: Path) -> None:
    folders, lines = world.pod(tmp_path), world.rows(300)
    prepare(folders, world.task())
    spoilt = [line if number % 12 else line.partition(",")[0] + ",,," for number, line in enumerate(lines)]
    next_reading(folders, spoilt)


def test_the_record_holds_no_identifier_and_only_prepare_reads_it(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, world.task())
    record = record_at(folders)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    text = record.read_text()
    assert text.count('"') == 2 * patients_record.REMEMBERED
    assert not [line for line in world.rows() if f'"{line.partition(",")[0]}"' in text]


def test_a_damaged_record_ends_the_pod_in_words(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, world.task())
    record_at(folders).write_text("{")
    with pytest.raises(PodError) as caught:
        next_reading(folders, world.rows())
    assert caught.value.reason == "PodFailed"
    assert "secrets/patients/breast.json on the claim `state`" in caught.value.message
