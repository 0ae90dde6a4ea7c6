"""`prepare` copies the launcher for the containers after it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wardround.pod import launcher
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "image" / "launch"
    program.parent.mkdir()
    program.write_bytes(b"\x7fELF of the image")
    monkeypatch.setenv(launcher.VARIABLE, str(program))
    return program


def test_every_user_may_run_the_launcher_and_none_may_write_it(image: Path, tmp_path: Path) -> None:
    folders = Folders(tmp_path / "pod")
    for content in (image.read_bytes(), b"of a newer image"):
        image.write_bytes(content)
        launcher.place(folders)  # the second call replaces the copy of an earlier run
        assert folders.launcher_file.read_bytes() == content
        assert folders.launcher_file.stat().st_mode & 0o7777 == 0o555


def test_an_image_without_its_launcher_fails_the_pod(image: Path, tmp_path: Path) -> None:
    image.unlink()
    with pytest.raises(PodError, match="launcher cannot be copied") as caught:
        launcher.place(Folders(tmp_path / "pod"))
    assert caught.value.reason == "PodFailed"


def test_outside_the_image_no_launcher_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(launcher.VARIABLE, raising=False)
    launcher.place(Folders(tmp_path))
    assert os.listdir(tmp_path) == []  # noqa: PTH208
