"""The record of a Dataset's split: a Dataset of the same name cannot split otherwise, whatever its status knows."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.pod import world
from tests.unit.pod.world import prepare
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError

FILE = "split.key"


def record_at(folders: Folders) -> Path:
    return folders.secrets / "split-records" / "breast.json"


def again(folders: Folders, document: dict[str, Any]) -> None:
    """A later pod, for a Dataset whose status knows nothing."""
    for path in (folders.task_file, *folders.data.iterdir()):
        path.unlink()
    prepare(folders, document)


def shares(document: dict[str, Any], _: Folders) -> None:
    document["dataset"]["split"]["test"] = "0"


def validation(document: dict[str, Any], _: Folders) -> None:
    document["dataset"]["split"]["validation"] = "0.31"


def key_file(document: dict[str, Any], folders: Folders) -> None:
    (folders.raw / FILE).write_bytes(b"another random key")
    document["dataset"]["split"]["keyFile"] = FILE


def identifier(document: dict[str, Any], _: Folders) -> None:
    document["dataset"]["identifier"] = {"column": "radius", "type": "string"}


def identifier_type(document: dict[str, Any], _: Folders) -> None:
    document["dataset"]["identifier"] = {**document["dataset"]["identifier"], "type": "integer"}


CHANGES: dict[str, Callable[[dict[str, Any], Folders], None]] = {
    "spec.split.test": shares,
    "spec.split.validation": validation,
    "the key of the split": key_file,
    "spec.identifier.column": identifier,
    "spec.identifier.type": identifier_type,
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_dataset_that_was_deleted_and_applied_again_cannot_split_otherwise(tmp_path: Path, field: str) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, world.task())
    changed = world.task()
    CHANGES[field](changed, folders)
    with pytest.raises(PodError) as caught:
        again(folders, changed)
    assert (caught.value.reason, caught.value.exit_code) == ("SplitChanged", 65)
    assert field in caught.value.message
    assert not folders.task_file.exists()
    prepare(folders, world.task())


def test_another_way_to_write_the_same_share_is_the_same_split(tmp_path: Path) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, world.task())
    written = record_at(folders).read_bytes()
    same = world.task()
    same["dataset"]["split"] = {
        name: f"{value}0" if name in ("test", "validation") else value
        for name, value in same["dataset"]["split"].items()
    }
    again(folders, same)
    assert record_at(folders).read_bytes() == written
    assert stat.S_IMODE(record_at(folders).stat().st_mode) == 0o600
    assert [each.name for each in record_at(folders).parent.iterdir()] == ["breast.json"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"column": "id"}'])
def test_a_damaged_record_lets_no_pod_read_rows(tmp_path: Path, content: bytes) -> None:
    folders = world.pod(tmp_path)
    prepare(folders, world.task())
    record_at(folders).write_bytes(content)
    with pytest.raises(PodError, match="is damaged") as caught:
        again(folders, world.task())
    assert caught.value.reason == "SplitKeyLost"
    assert record_at(folders).read_bytes() == content
