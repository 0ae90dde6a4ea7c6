"""A model is opened part by part, several at once, and what is whole survives an error."""

from __future__ import annotations

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.players import segments
from wardround.sealing import body
from wardround.sealing import opener as opener_module
from wardround.sealing.files import read_at, seal_file
from wardround.sealing.opener import FileOpener, PartOpener
from wardround.sealing.refused import Refused
from wardround.wire import digests

KEY = bytes(32)
# Two parts, the last one short.
PLAIN = os.urandom(1 << 20) * 65 + b"the end"


class Sealed:
    def __init__(self, plain: bytes) -> None:
        names = dict.fromkeys(("round_uid", "participant", "base_digest", "image_digest", "schema_digest"), "")
        self.header = body.new_header(KEY, kind=body.MODEL, attempt=1, length=len(plain), **names)
        self.body = body.Body(KEY, self.header)
        ciphertext = b"".join(segments.sealed(self.body, plain))
        self.parts = [ciphertext[start : start + body.PART] for start in range(0, len(ciphertext), body.PART)]
        self.digest = digests.digest(plain)

    def opener(self, path: Path, *, resumable: bool = True) -> FileOpener:
        return FileOpener(path, self.body, self.digest, resumable=resumable)


@pytest.fixture(scope="module")
def sealed() -> Sealed:
    return Sealed(PLAIN)


def feed(part: PartOpener, data: bytes, chunk: int = 300_007) -> None:
    for start in range(0, len(data), chunk):
        rest = memoryview(data)[start : start + chunk]
        while rest:
            rest = rest[part.fill(rest) :]
            if part.full:
                part.open()


def test_parts_that_arrive_at_once_make_the_model(sealed: Sealed, tmp_path: Path) -> None:
    with sealed.opener(tmp_path / "model") as opener, ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: feed(opener.part(number), sealed.parts[number]), (1, 0)))
        opener.finish()
    assert (tmp_path / "model").read_bytes() == PLAIN
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(("at_once", "left"), [(opener_module.HASHED_AT_ONCE, 0), (1, 2)])
def test_a_thread_adds_segments_of_other_parts_to_the_digest_up_to_a_bound(
    sealed: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, left: int
) -> None:
    monkeypatch.setattr(opener_module, "HASHED_AT_ONCE", at_once)
    with sealed.opener(tmp_path / "model") as opener:
        for number in (1, 0):
            feed(opener.part(number), sealed.parts[number])
        reads = Mock(wraps=read_at)
        monkeypatch.setattr(opener_module, "read_at", reads)
        opener.finish()
    assert reads.call_count == left


def test_an_interrupted_part_goes_on_at_the_segment_that_it_reached(sealed: Sealed, tmp_path: Path) -> None:
    with sealed.opener(tmp_path / "model") as opener:
        feed(opener.part(0), sealed.parts[0][: 3 * body.SEALED_SEGMENT + 77])
        part = opener.part(0)
        assert (opener.opened, part.offset) == (3, 3 * body.SEALED_SEGMENT)
        feed(part, sealed.parts[0][part.offset : 4 * body.SEALED_SEGMENT])
        assert opener.opened == 4


def test_after_a_crash_the_whole_parts_are_not_fetched_again(sealed: Sealed, tmp_path: Path) -> None:
    first = sealed.opener(tmp_path / "model")
    feed(first.part(1), sealed.parts[1])
    feed(first.part(0), sealed.parts[0][: 2 * body.SEALED_SEGMENT])
    with sealed.opener(tmp_path / "model") as opener:  # the process of the first one has died
        assert list(opener.missing) == [0]
        for number in opener.missing:
            feed(opener.part(number), sealed.parts[number])
        opener.finish()
    assert (tmp_path / "model").read_bytes() == PLAIN
    first.close(keep=True)


def test_a_small_model_takes_small_buffers(tmp_path: Path) -> None:
    plain = os.urandom(5000)
    small = Sealed(plain)
    tracemalloc.start()
    try:
        with small.opener(tmp_path / "model") as opener:
            feed(opener.part(0), small.parts[0])
            opener.finish()
        (tmp_path / "plain").write_bytes(plain)
        seal_file(tmp_path / "plain", tmp_path / "sealed", small.header, KEY)
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "model").read_bytes() == plain
    assert largest < body.SEGMENT / 2


def left_behind(sealed: Sealed, path: Path) -> None:
    opener = sealed.opener(path)
    feed(opener.part(1), sealed.parts[1])
    opener.close(keep=True)


def test_parts_of_another_model_are_not_taken(sealed: Sealed, tmp_path: Path) -> None:
    left_behind(sealed, tmp_path / "model")
    sealed = copy(sealed)
    sealed.digest = "sha256:" + "0" * 64
    with sealed.opener(tmp_path / "model") as opener:
        assert list(opener.missing) == [0, 1]


def test_parts_that_somebody_changed_on_disk_are_not_published(sealed: Sealed, tmp_path: Path) -> None:
    left_behind(sealed, tmp_path / "model")
    with (tmp_path / ".model.partial").open("r+b") as file:
        file.seek(64 << 20)
        file.write(b"other bytes")
    with sealed.opener(tmp_path / "model") as opener:
        feed(opener.part(0), sealed.parts[0])
        with pytest.raises(Refused, match="Altered"):
            opener.finish()
    assert not (tmp_path / "model").exists()


def test_a_file_that_is_not_resumable_leaves_nothing(sealed: Sealed, tmp_path: Path) -> None:
    with sealed.opener(tmp_path / "model", resumable=False) as opener:
        feed(opener.part(1), sealed.parts[1])
    assert list(tmp_path.iterdir()) == []


def test_a_segment_in_another_place_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Altered"), sealed.opener(tmp_path / "model") as opener:
        feed(opener.part(0), sealed.parts[1])
    assert list(tmp_path.iterdir()) == []


def test_a_part_with_more_bytes_than_it_has_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Altered"), sealed.opener(tmp_path / "model") as opener:
        feed(opener.part(1), sealed.parts[1] + b"x")
    assert list(tmp_path.iterdir()) == []
