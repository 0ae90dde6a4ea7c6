"""What the courier reads of the folder that training writes, and what it leaves behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wardround import durable
from wardround.courier.workspace import TaskFolder, Unsafe, Workspace


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    task_folder = Workspace(tmp_path).task("uid")
    task_folder.make()
    return task_folder


def test_a_document_that_is_a_link_is_not_followed(folder: TaskFolder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (folder.update / "update.json").symlink_to(secret)
    assert folder.has_update()
    with pytest.raises(Unsafe):
        folder.read_update_document()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_a_document_that_is_no_file_does_not_block(folder: TaskFolder, make: object) -> None:
    assert callable(make)
    make(folder.update / "update.json")
    with pytest.raises(Unsafe):
        folder.read_update_document()


def test_a_document_of_absurd_size_is_not_read(folder: TaskFolder) -> None:
    with (folder.update / "update.json").open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(Unsafe):
        folder.read_update_document()


def test_tensors_that_are_a_link_or_of_another_length_are_refused(folder: TaskFolder, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"12345678")
    tensors = folder.update / "update.safetensors"
    tensors.symlink_to(tmp_path / "other")
    with pytest.raises(Unsafe):
        folder.update_tensors(8)
    tensors.unlink()
    tensors.write_bytes(b"1234567")
    with pytest.raises(Unsafe):
        folder.update_tensors(8)


def test_folders_of_tasks_that_are_no_more_are_removed_and_the_others_kept(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for uid in ("gone", "here"):
        workspace.task(uid).make()
    assert workspace.remove_all_but({"here"}) == ["gone"]
    assert [each.name for each in (tmp_path / "tasks").iterdir()] == ["here"]


def test_a_durable_write_leaves_no_half_file(folder: TaskFolder) -> None:
    durable.write(folder.manifest, json.dumps({}).encode())
    assert [each.name for each in folder.sealed.iterdir()] == ["manifest.json"]
