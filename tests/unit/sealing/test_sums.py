"""The sums of an update open only with the key and the header of that update."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.unit.sealing.test_body import KEY, header
from wardround.sealing import body, sums
from wardround.sealing.refused import Refused
from wardround.wire.update import MOST_SUMS

TEXT = b'{"people":40,"reported":{},"sums":{"people":["40.0","12.0","28.0"]}}'
HEADER = header(5)
OTHER_KEY = bytes(32)


@pytest.mark.parametrize("text", [TEXT, b"{}", b"x" * MOST_SUMS])
def test_sums_open_with_their_key_and_header(text: bytes) -> None:
    assert sums.open_sums(KEY, HEADER, sums.seal_sums(KEY, HEADER, text)) == text


def test_sums_do_not_open_under_another_key() -> None:
    sealed = sums.seal_sums(KEY, HEADER, TEXT)
    with pytest.raises(Refused, match="KeyUnusable"):
        sums.open_sums(OTHER_KEY, HEADER, sealed)
    # Also if the header commits to that key.
    for_other = dataclasses.replace(HEADER, commitment=body.derive(OTHER_KEY, HEADER.salt, b"wardround/v1/commitment"))
    with pytest.raises(Refused, match="Altered"):
        sums.open_sums(OTHER_KEY, for_other, sealed)


@pytest.mark.parametrize(
    "changed",
    [
        {"round_uid": "another round"},
        {"attempt": 2},
        {"participant": "site-b"},
        {"base_digest": "sha256:another"},
        {"image_digest": "sha256:another"},
        {"schema_digest": "sha256:another"},
        {"length": 6},
        {"kind": body.MODEL},
    ],
)
def test_sums_do_not_open_under_another_header(changed: dict[str, Any]) -> None:
    """So nobody can send the sums of one round, attempt or hospital as those of another one."""
    sealed = sums.seal_sums(KEY, HEADER, TEXT)
    with pytest.raises(Refused, match="Altered"):
        sums.open_sums(KEY, dataclasses.replace(HEADER, **changed), sealed)


def test_sums_do_not_open_under_another_salt() -> None:
    """A restarted courier seals under another salt, so one key never seals two texts."""
    again = header(5)
    assert again.salt != HEADER.salt
    with pytest.raises(Refused, match="Altered"):
        sums.open_sums(KEY, again, sums.seal_sums(KEY, HEADER, TEXT))


@pytest.mark.parametrize("place", [0, 20, -1])
def test_altered_sums_do_not_open(place: int) -> None:
    sealed = bytearray(sums.seal_sums(KEY, HEADER, TEXT))
    sealed[place] ^= 1
    with pytest.raises(Refused, match="Altered"):
        sums.open_sums(KEY, HEADER, bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"x", b"x" * 15, b"x" * (sums.LARGEST_SEALED + 1), b"x" * (1 << 20)])
def test_bytes_of_another_length_do_not_open(sealed: bytes) -> None:
    with pytest.raises(Refused, match="Altered"):
        sums.open_sums(KEY, HEADER, sealed)


def test_the_ciphertext_of_a_segment_does_not_open_as_sums() -> None:
    segment = body.Body(KEY, HEADER).seal(0, b"12345")
    with pytest.raises(Refused, match="Altered"):
        sums.open_sums(KEY, HEADER, segment)


def test_the_length_of_the_ciphertext_does_not_tell_the_number_of_digits() -> None:
    longer = TEXT.replace(b"12.0", b"12345678.25")
    texts = TEXT, longer, TEXT.replace(b"{}", b"x" * 1024), b"x" * MOST_SUMS
    assert len({len(sums.seal_sums(KEY, HEADER, each)) for each in texts}) == 1


@pytest.mark.parametrize("text", [b"", b"{} ", b"x" * (MOST_SUMS + 1)])
def test_sums_that_would_not_open_again_are_not_sealed(text: bytes) -> None:
    with pytest.raises(ValueError, match="the sums have"):
        sums.seal_sums(KEY, HEADER, text)


def test_sums_are_not_sealed_under_a_key_of_another_header() -> None:
    with pytest.raises(Refused, match="KeyUnusable"):
        sums.seal_sums(OTHER_KEY, HEADER, TEXT)
