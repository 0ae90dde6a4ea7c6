"""Seals a file, and opens a stream into a file, in constant memory; knows no transport and not where keys come from."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from wardround import durable
from wardround.sealing.body import SEALED_SEGMENT, SEGMENT, TAG, Body, ciphertext_length, segment_span
from wardround.wire import digests
from wardround.wire.models import Header

HASH_BYTES = 32
_WORKERS = 2
# Segments between reader and disk: the reader fills one while the workers encrypt and write the others.
_WINDOW = _WORKERS + 1


@dataclass(frozen=True)
class SealedFile:
    """`digest`: `sha256:<hex>` of the plaintext that was sealed. `bytes`: length of the ciphertext."""

    digest: str
    bytes: int


class Stopped(Exception):
    """The caller stopped the sealing."""


def seal_file(
    path: Path, out_path: Path, header: Header, file_key: bytes, stop: threading.Event | None = None
) -> SealedFile:
    """Seal `path` into `out_path`, synced to disk. Must not be called twice with one header.

    Raises ValueError if the file does not have the header's length, and Stopped soon after `stop` is set.
    """
    body = Body(file_key, header)
    plain = digests.Digest()
    # The same buffers again and again: the kernel would have to clear the pages of new ones.
    free = deque(_Room(min(SEGMENT, header.length)) for _ in range(min(_WINDOW, body.segments)))
    with (
        path.open("rb", buffering=0) as source,
        out_path.open("wb", buffering=0) as target,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):
        pending: deque[Future[_Room]] = deque()
        for index in range(body.segments):
            if stop is not None and stop.is_set():
                raise Stopped
            room = free.popleft() if free else pending.popleft().result()
            _, size = segment_span(index, header.length)
            segment = room.plain[:size]
            read_at(source.fileno(), segment, index * SEGMENT)
            pending.append(pool.submit(_seal_at, body, target.fileno(), index, segment, room))
            plain.update(segment)
        while pending:
            pending.popleft().result()
        if source.seek(0, os.SEEK_END) != header.length:
            raise ValueError(f"the file to seal does not have the {header.length} bytes that its header names")
        os.fsync(target.fileno())
    return SealedFile(plain.text, ciphertext_length(header.length))


class _Room:
    """Buffers for one segment of at most `size` bytes."""

    def __init__(self, size: int) -> None:
        self.plain = memoryview(bytearray(size))
        self.sealed = memoryview(bytearray(size + TAG))


def read_at(descriptor: int, rest: memoryview, offset: int) -> None:
    """Fill `rest` from an offset of a file. Raises OSError, and ValueError if the file ends before."""
    while rest:
        count = os.preadv(descriptor, [rest], offset)
        if count == 0:
            raise ValueError(f"the file ends at byte {offset}")
        rest, offset = rest[count:], offset + count


def _seal_at(body: Body, descriptor: int, index: int, segment: memoryview, room: _Room) -> _Room:
    rest = room.sealed[: len(segment) + TAG]
    body.seal_into(index, segment, rest)
    write_at(descriptor, rest, index * SEALED_SEGMENT)
    return room


def write_at(descriptor: int, rest: memoryview, offset: int) -> None:
    """Write all bytes at an offset of a file, which the caller syncs at the end. Raises OSError."""
    start, length = offset, len(rest)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
    durable.begin_write_back(descriptor, start, length)
