"""Scratch gives back what was written, keeps regions apart, and is gone at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardround.aggregate.scratch import Scratch


def read(region: object, offset: int, length: int) -> bytes:
    into = bytearray(length)
    region.read(offset, memoryview(into))  # type: ignore[attr-defined]
    return bytes(into)


def test_regions_are_apart(tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        one, two = scratch.region(4), scratch.region(6)
        two.write(0, b"second")
        one.write(1, b"ab")
        assert (read(one, 1, 2), read(two, 2, 4), scratch.reserved) == (b"ab", b"cond", 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("offset", "length"), [(3, 2), (-1, 2), (0, 5)])
def test_nothing_reaches_beyond_a_region(tmp_path: Path, offset: int, length: int) -> None:
    with Scratch(tmp_path) as scratch:
        region = scratch.region(4)
        scratch.region(4).write(0, b"next")
        with pytest.raises(ValueError, match="the scratch region of 4 bytes"):
            region.write(offset, bytes(length))
        with pytest.raises(ValueError, match="the scratch region of 4 bytes"):
            read(region, offset, length)


def test_scratch_reads_no_bytes_that_it_never_wrote(tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch, pytest.raises(ValueError, match="never written"):
        read(scratch.region(4), 0, 4)


def test_scratch_does_not_read_the_bytes_of_an_earlier_process(tmp_path: Path) -> None:
    (tmp_path / "ciphertext").write_bytes(b"left")
    with Scratch(tmp_path) as scratch, pytest.raises(ValueError, match="never written"):
        read(scratch.region(4), 0, 4)
