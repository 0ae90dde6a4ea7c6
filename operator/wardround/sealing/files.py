"""Seals a file, and opens a stream into a file, in constant memory; knows no transport and not where keys come from."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from wardround import durable
from wardround.sealing.body import SEALED_SEGMENT, TAG, Body, ciphertext_length, segment_span
from wardround.sealing.refused import Refused
from wardround.wire import digests
from wardround.wire.models import Header

HASH_BYTES = 32
_WORKERS = 2
_WINDOW = 4  # segments in memory between reader and disk: at most 8 MiB of plaintext and ciphertext


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
    with path.open("rb") as source, out_path.open("wb") as target, ThreadPoolExecutor(_WORKERS) as pool:
        pending: deque[Future[None]] = deque()
        for index in range(body.segments):
            if stop is not None and stop.is_set():
                raise Stopped
            _, size = segment_span(index, header.length)
            segment = source.read(size)
            plain.update(segment)
            pending.append(pool.submit(_seal_at, body, target.fileno(), index, segment))
            if len(pending) >= _WINDOW:
                pending.popleft().result()
        while pending:
            pending.popleft().result()
        if source.read(1):
            raise ValueError(f"the file to seal is longer than the {header.length} bytes that its header names")
        os.fsync(target.fileno())
    return SealedFile(plain.text, ciphertext_length(header.length))


def _seal_at(body: Body, descriptor: int, index: int, segment: bytes) -> None:
    rest = memoryview(body.seal(index, segment))
    offset = index * SEALED_SEGMENT
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


class FileOpener:
    """Opens a model's ciphertext, fed in order and in chunks of any size, into a file.

    Every recipient of a model holds its data key and could forge ciphertext. So each segment must also have the SHA-256
    in the list that the hub's signed manifest commits to. `finish` gives the file its name, synced and complete. If the
    context ends without `finish`, the file is removed.
    """

    def __init__(self, path: Path, body: Body, segment_hashes: bytes, segments_digest: str, digest: str) -> None:
        """Check the segment list against the manifest. Raises Refused("Altered")."""
        if len(segment_hashes) != HASH_BYTES * body.segments:
            raise Refused("Altered")
        if not hmac.compare_digest(digests.digest(segment_hashes), segments_digest):
            raise Refused("Altered")
        self._path = path
        self._partial = durable.partial_of(path)
        self._body = body
        self._hashes = segment_hashes
        self._digest = digest
        self._plain = digests.Digest()
        self._buffer = bytearray()
        self._index = 0
        self._file = self._partial.open("wb")

    def __enter__(self) -> FileOpener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file unless it is finished."""
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def feed(self, chunk: bytes) -> None:
        """Open the next bytes of ciphertext. Raises Refused("Altered") at the first wrong segment."""
        rest = memoryview(chunk)
        while rest:
            if self._index >= self._body.segments:
                raise Refused("Altered")
            needed = self._segment_bytes() - len(self._buffer)
            self._buffer += rest[:needed]
            rest = rest[needed:]
            if len(self._buffer) == self._segment_bytes():
                self._open_segment()

    @property
    def whole(self) -> bool:
        """Whether every segment is opened."""
        return self._index == self._body.segments

    def pause(self) -> int:
        """Drop an incomplete segment. Return how many bytes of ciphertext are opened."""
        self._buffer.clear()
        return self._index * SEALED_SEGMENT if not self.whole else ciphertext_length(self._body.length)

    def finish(self) -> None:
        """Publish the file. Raises Refused("Altered") if ciphertext is missing or the plaintext's digest is wrong."""
        if not self.whole or self._plain.text != self._digest:
            raise Refused("Altered")
        self._file.flush()
        os.fsync(self._file.fileno())
        durable.publish(self._partial, self._path)

    def _segment_bytes(self) -> int:
        _, size = segment_span(self._index, self._body.length)
        return size + TAG

    def _open_segment(self) -> None:
        place = HASH_BYTES * self._index
        actual = hashlib.sha256(self._buffer).digest()
        if not hmac.compare_digest(actual, self._hashes[place : place + HASH_BYTES]):
            raise Refused("Altered")
        with memoryview(self._buffer) as sealed:
            segment = self._body.open(self._index, sealed)
        self._plain.update(segment)
        self._file.write(segment)
        self._buffer.clear()
        self._index += 1
