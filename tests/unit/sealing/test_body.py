"""A sealed body opens only if it is complete, in order and under its own key."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.players.segments import sealed
from wardround.sealing import body, files
from wardround.sealing.opener import FileOpener
from wardround.sealing.refused import Refused
from wardround.wire import digests
from wardround.wire.models import Header

KEY = bytes(range(32))
LENGTHS = [0, 1, body.SEGMENT - 1, body.SEGMENT, body.SEGMENT + 1, 3 * body.SEGMENT + 17]


def header(length: int, key: bytes = KEY) -> Header:
    return body.new_header(
        key,
        kind=body.UPDATE,
        round_uid="uid",
        attempt=1,
        participant="site-a",
        base_digest="sha256:b",
        image_digest="sha256:i",
        schema_digest="sha256:s",
        length=length,
    )


def seal(plain: bytes, head: Header, key: bytes = KEY) -> list[bytes]:
    return sealed(body.Body(key, head), plain)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_body_opens_in_any_order_from_several_threads(length: int) -> None:
    plain = os.urandom(length)
    head = header(length)
    segments = seal(plain, head)
    opener = body.Body(KEY, head)
    with ThreadPoolExecutor(3) as pool:
        backwards = list(pool.map(opener.open, reversed(range(len(segments))), reversed(segments)))
    assert b"".join(reversed(backwards)) == plain
    assert sum(map(len, segments)) == body.ciphertext_length(length) == sum(body.part_lengths(length))


@pytest.mark.parametrize("place", [0, 5, -1])
def test_a_changed_byte_is_refused(place: int) -> None:
    head = header(100)
    [segment] = seal(bytes(100), head)
    changed = bytearray(segment)
    changed[place] ^= 1
    with pytest.raises(Refused, match="Altered"):
        body.Body(KEY, head).open(0, bytes(changed))


def test_a_segment_does_not_open_at_another_place() -> None:
    head = header(3 * body.SEGMENT)
    segments = seal(bytes(3 * body.SEGMENT), head)
    opener = body.Body(KEY, head)
    for index, other in [(0, 1), (1, 0), (1, 2), (2, 1)]:
        with pytest.raises(Refused, match="Altered"):
            opener.open(index, segments[other])


def test_a_truncated_body_does_not_open_as_a_shorter_body() -> None:
    head = header(3 * body.SEGMENT)
    segments = seal(bytes(3 * body.SEGMENT), head)
    shorter = body.Body(KEY, dataclasses.replace(head, length=2 * body.SEGMENT))
    with pytest.raises(Refused, match="Altered"):
        shorter.open(1, segments[1])


def test_an_inner_segment_does_not_open_as_the_last_one() -> None:
    # Key and associated data are equal. Only one byte of the nonce differs.
    head = header(2 * body.SEGMENT)
    inner, last = body.Body(KEY, head), body.Body(KEY, head)
    inner.segments = 3
    with pytest.raises(Refused, match="Altered"):
        last.open(1, inner.seal(1, bytes(body.SEGMENT)))


def test_an_extended_body_does_not_open() -> None:
    head = header(body.SEGMENT)
    segments = seal(bytes(body.SEGMENT), head)
    longer = body.Body(KEY, dataclasses.replace(head, length=body.SEGMENT + 1))
    with pytest.raises(Refused, match="Altered"):
        longer.open(0, segments[0])
    with pytest.raises(IndexError):
        body.Body(KEY, head).open(1, segments[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [("round_uid", "other"), ("participant", "site-b"), ("attempt", 2), ("base_digest", ""), ("kind", body.MODEL)],
)
def test_the_header_is_authenticated_with_every_segment(field: str, value: object) -> None:
    head = header(10)
    [segment] = seal(bytes(10), head)
    changed = dataclasses.replace(head, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(Refused, match="Altered"):
        body.Body(KEY, changed).open(0, segment)


def test_another_key_is_refused_before_a_segment_is_opened() -> None:
    with pytest.raises(Refused, match="KeyUnusable"):
        body.Body(bytes(32), header(10))


def test_a_new_header_derives_another_key_from_the_same_file_key() -> None:
    assert seal(bytes(10), header(10)) != seal(bytes(10), header(10))


def test_a_part_holds_64_segments() -> None:
    length = 130 * body.SEGMENT + 5
    assert body.part_lengths(length) == [body.PART, body.PART, 2 * body.SEALED_SEGMENT + 5 + body.TAG]
    assert body.sealed_place(0, length) == (0, 0, body.SEALED_SEGMENT)
    assert body.sealed_place(65, length) == (1, body.SEALED_SEGMENT, body.SEALED_SEGMENT)
    assert body.sealed_place(130, length) == (2, 2 * body.SEALED_SEGMENT, 5 + body.TAG)


def sealed_file(tmp_path: Path, plain: bytes) -> tuple[Header, files.SealedFile, bytes]:
    (tmp_path / "plain").write_bytes(plain)
    head = header(len(plain))
    sealed = files.seal_file(tmp_path / "plain", tmp_path / "sealed", head, KEY)
    return head, sealed, (tmp_path / "sealed").read_bytes()


@pytest.mark.parametrize("length", LENGTHS)
def test_a_sealed_file_opens_from_chunks_of_any_size(tmp_path: Path, length: int) -> None:
    plain = os.urandom(length)
    head, sealed, cipher = sealed_file(tmp_path, plain)
    assert sealed == files.SealedFile(digests.digest(plain), len(cipher))
    with FileOpener(tmp_path / "out", body.Body(KEY, head), sealed.digest) as opener:
        for place in range(0, len(cipher), 300_007):
            opener.feed(cipher[place : place + 300_007])
        opener.finish()
    assert (tmp_path / "out").read_bytes() == plain
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []


def test_a_segment_that_another_key_holder_sealed_is_refused(tmp_path: Path) -> None:
    head, sealed, _ = sealed_file(tmp_path, bytes(50))
    forged = body.Body(KEY, head).seal(0, b"\x01" * 50)
    with FileOpener(tmp_path / "out", body.Body(KEY, head), sealed.digest) as opener:
        opener.feed(forged)
        with pytest.raises(Refused, match="Altered"):
            opener.finish()
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_too_short_or_too_long_is_not_published(tmp_path: Path) -> None:
    head, sealed, cipher = sealed_file(tmp_path, bytes(50))
    arguments = (tmp_path / "out", body.Body(KEY, head), sealed.digest)
    with FileOpener(*arguments) as opener:
        opener.feed(cipher[:-1])
        with pytest.raises(Refused, match="Altered"):
            opener.finish()
    with FileOpener(*arguments) as opener, pytest.raises(Refused, match="Altered"):
        opener.feed(cipher + b"\x00")
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_length_than_its_header_is_not_sealed(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(bytes(10))
    for length in (9, 11):
        with pytest.raises(ValueError):
            files.seal_file(tmp_path / "plain", tmp_path / "sealed", header(length), KEY)
