"""Seals a whole plaintext in memory, and opens a whole ciphertext, segment by segment with the product's own cipher."""

from __future__ import annotations

from wardround.sealing.body import SEALED_SEGMENT, Body, segment_span


def sealed(body: Body, plain: bytes) -> list[bytes]:
    """The sealed segments of a file."""
    spans = (segment_span(index, len(plain)) for index in range(body.segments))
    return [body.seal(index, plain[start : start + size]) for index, (start, size) in enumerate(spans)]


def opened(body: Body, ciphertext: bytes) -> bytes:
    """The file of a ciphertext."""
    places = (index * SEALED_SEGMENT for index in range(body.segments))
    return b"".join(body.open(index, ciphertext[place : place + SEALED_SEGMENT]) for index, place in enumerate(places))
