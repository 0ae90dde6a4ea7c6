"""Which checkpoints `prepare` removes, and that nothing that lies in them can keep it from it or lead it elsewhere."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.unit.pod import world
from wardround.pod import checkpoints, dataset, prepare

# What prepare imports only when it is needed: the pod's user may not read the libraries here.
assert dataset
assert parquet

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)


def round_folder(folder: Path, age: timedelta = timedelta()) -> Path:
    made = folder / str(uuid.uuid4())
    made.mkdir(parents=True)
    (made / "checkpoint.pt").write_bytes(b"weights")
    then = (NOW - age).timestamp()
    os.utime(made, (then, then))
    return made


def test_the_folders_of_rounds_that_are_over_go_and_the_live_ones_stay(tmp_path: Path) -> None:
    over, live = round_folder(tmp_path), round_folder(tmp_path)
    assert checkpoints.sweep(tmp_path, [live.name], LATER) == [over.name]
    assert [path.name for path in tmp_path.iterdir()] == [live.name]
    assert (live / "checkpoint.pt").read_bytes() == b"weights"


def test_a_round_that_began_after_the_list_was_made_keeps_its_checkpoint(tmp_path: Path) -> None:
    begun, old = round_folder(tmp_path), round_folder(tmp_path, timedelta(hours=2))
    assert checkpoints.sweep(tmp_path, [], NOW - timedelta(hours=1)) == [old.name]
    assert begun.is_dir()


def test_only_what_is_named_like_a_uid_is_touched(tmp_path: Path) -> None:
    for name in ("lost+found", "notes", str(uuid.uuid4()) + "~", str(uuid.uuid4()).upper()):
        (tmp_path / name).mkdir()
    (tmp_path / str(uuid.uuid4())).write_text("a file")
    before = sorted(tmp_path.iterdir())
    assert checkpoints.sweep(tmp_path, [], LATER) == []
    assert sorted(tmp_path.iterdir()) == before


def test_links_are_removed_and_never_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    folder = tmp_path / "checkpoints"
    over = round_folder(folder)
    (over / "link").symlink_to(elsewhere)
    (over / "deeper").mkdir()
    (over / "deeper" / "link").symlink_to(elsewhere)
    (folder / str(uuid.uuid4())).symlink_to(elsewhere)
    assert checkpoints.sweep(folder, [], LATER) == [over.name]
    assert (elsewhere / "kept").read_text() == "kept"


def test_however_deep_it_is_nested_it_goes(tmp_path: Path) -> None:
    over = round_folder(tmp_path)
    here = os.open(over, os.O_RDONLY)
    for _ in range(3000):  # far deeper than a path can say, and than Python recurses
        os.mkdir("x" * 100, dir_fd=here)
        deeper = os.open("x" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    then = NOW.timestamp()
    os.utime(over, (then, then))
    assert checkpoints.sweep(tmp_path, [], LATER) == [over.name]
    assert list(tmp_path.iterdir()) == []


@contextmanager
def as_the_pods_user(folder: Path) -> Iterator[None]:
    """In `folder`, whose parents are root's alone. As root nothing would be shown: root may do anything."""
    before = Path.cwd()
    os.chdir(folder)
    os.seteuid(65532)
    try:
        yield
    finally:
        os.seteuid(0)
        os.chdir(before)


as_root = pytest.mark.skipif(os.getuid() != 0, reason="gives files to the pod's user")


@as_root
def test_folders_that_nobody_may_list_go_too(tmp_path: Path) -> None:
    over = round_folder(tmp_path)
    inner = over / "closed" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 65532, 65532)
    for path in (inner, inner.parent, over):
        path.chmod(0)
    os.utime(over, (0, 0))
    with as_the_pods_user(tmp_path):
        assert checkpoints.sweep(Path(), [], LATER) == [over.name]
    assert list(tmp_path.iterdir()) == []


@as_root
def test_a_volume_that_cannot_be_swept_is_no_reason_not_to_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = world.pod(tmp_path)
    round_folder(folders.checkpoints, timedelta(days=1)).chmod(0o700)
    for path in (tmp_path, folders.checkpoints):
        os.chown(path, 65532, 65532)
    monkeypatch.setenv("WARDROUND_ROOT", ".")
    monkeypatch.setenv("WARDROUND_TERMINATION_LOG", "termination")
    monkeypatch.setenv("WARDROUND_TASK", json.dumps(world.task()))
    monkeypatch.setenv(
        "WARDROUND_ISOLATION", json.dumps([{"name": "hub", "host": "127.0.0.1", "port": 1, "protocol": "TCP"}])
    )
    with as_the_pods_user(tmp_path):
        assert prepare.main([]) == 0
    assert "could not be removed: PermissionError" in capsys.readouterr().err
    assert folders.task_file.is_file()
