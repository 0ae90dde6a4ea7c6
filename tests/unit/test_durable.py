"""A file with its final name is complete. A failed write keeps the earlier file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from wardround import durable


def test_a_file_is_replaced_and_no_partial_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.write(path, b"before, and longer")
    durable.write(path, b"after", 0o600)
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    durable.write(path, b"before")

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        durable.write(path, b"after")
    assert path.read_bytes() == b"before"


def test_content_is_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[tuple[str, bool]] = []
    path, fsync = tmp_path / "file", os.fsync

    def recording(descriptor: int) -> None:
        syncs.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    durable.write(path, b"data")
    assert syncs == [(".file.partial", False), (tmp_path.name, True)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has sync_file_range(2)")
def test_the_kernel_begins_to_write_back_a_range_beyond_four_gibibytes(tmp_path: Path) -> None:
    place, data = 5 << 30, b"the end"
    with (tmp_path / "sparse").open("wb", buffering=0) as file:
        os.pwrite(file.fileno(), data, place)
        assert durable.begin_write_back(file.fileno(), place, len(data))
    assert not durable.begin_write_back(-1, place, len(data))
