"""Opens a model's ciphertext into a file, its parts side by side, in constant memory; knows no transport.

Every recipient of a model holds its data key and could forge ciphertext. So a file gets its name only if its plaintext
has the digest that the hub has signed. The list of segments is for readers who open single segments (aggregate/).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from wardround import durable
from wardround.sealing.body import (
    SEALED_SEGMENT,
    SEGMENT,
    SEGMENTS_PER_PART,
    TAG,
    Body,
    part_lengths,
    segment_span,
)
from wardround.sealing.files import read_at, write_at
from wardround.sealing.refused import Refused
from wardround.wire import digests

# Segments that a thread adds to the digest at once at most: its part and its caller wait for that long. Two threads are
# done soonest if one of them stays at the digest while the other opens.
HASHED_AT_ONCE = SEGMENTS_PER_PART


class FileOpener:
    """Opens a model into a file, as a context manager. Threads may open different parts at once.

    `finish` gives the file its name, synced and complete. If the context ends without `finish`, the file is removed.
    But with `resumable`, an error leaves the whole parts, and the next opener of the same model goes on with the rest.
    """

    def __init__(
        self,
        path: Path,
        body: Body,
        digest: str,
        *,
        resumable: bool = False,
    ) -> None:
        """`digest`: of the plaintext, from the manifest that the hub has signed. Raises OSError."""
        self.body = body
        self._path = path
        self._partial = durable.partial_of(path)
        self._whole_parts = durable.partial_of(path.with_name(f"{path.name}.parts"))
        self._resumable = resumable
        self._digest = digest
        self._plain = digests.Digest()
        self._hashed = 0  # segments whose plaintext is in the digest
        self._hashing = threading.Lock()
        self._read_back = memoryview(bytearray(min(SEGMENT, body.length)))
        self._noting = threading.Lock()
        self.lengths = part_lengths(body.length)
        self._segments = [-(-length // SEALED_SEGMENT) for length in self.lengths]  # of each part
        known = self._known_parts() if resumable else []
        self._opened = [whole if number in known else 0 for number, whole in enumerate(self._segments)]
        self._descriptor = os.open(
            self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if known else os.O_TRUNC), 0o666
        )
        self._closed = False
        self._feeding: PartOpener | None = None

    def __enter__(self) -> FileOpener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(keep=self._resumable and not isinstance(error, Refused))

    def close(self, *, keep: bool = False) -> None:
        """Remove the file unless it is finished. `keep`: leave the whole parts of a resumable file."""
        if self._closed:
            return
        self._closed = True
        os.close(self._descriptor)
        if not keep:
            self._partial.unlink(missing_ok=True)
            self._whole_parts.unlink(missing_ok=True)

    def part(self, number: int) -> PartOpener:
        """What opens the rest of a part."""
        return PartOpener(self, number)

    def feed(self, chunk: bytes) -> None:
        """Open the next bytes of the ciphertext of all parts, in order. Raises Refused("Altered") at the first wrong
        segment."""
        rest = memoryview(chunk)
        while rest:
            if self._feeding is None:
                missing = self.missing
                if not missing:
                    raise Refused("Altered")
                self._feeding = self.part(missing[0])
            rest = rest[self._feeding.fill(rest) :]
            if self._feeding.full:
                self._feeding.open()
                self._feeding = self._feeding if self._feeding.missing else None

    @property
    def missing(self) -> Sequence[int]:
        """The parts that are not whole."""
        return [number for number, whole in enumerate(self._segments) if self._opened[number] < whole]

    @property
    def whole(self) -> bool:
        """Whether every segment is opened."""
        return not self.missing

    @property
    def opened(self) -> int:
        """How many segments are opened."""
        return sum(self._opened)

    def opened_in(self, part: int) -> int:
        """How many bytes of ciphertext of a part are opened. They are its first ones."""
        whole = self._opened[part] == self._segments[part]
        return self.lengths[part] if whole else self._opened[part] * SEALED_SEGMENT

    def finish(self) -> None:
        """Publish the file. Raises Refused("Altered") if ciphertext is missing or the plaintext's digest is wrong."""
        self._hash(wait=True)
        if not self.whole or self._plain.text != self._digest:
            raise Refused("Altered")
        os.fsync(self._descriptor)
        self._closed = True
        os.close(self._descriptor)
        durable.publish(self._partial, self._path)
        self._whole_parts.unlink(missing_ok=True)

    def open_segment(self, part: int, sealed: memoryview, room: memoryview) -> None:
        """Open the next segment of a part. `room`: a buffer for the plaintext. Raises Refused("Altered"), OSError."""
        index = part * SEGMENTS_PER_PART + self._opened[part]
        start, size = segment_span(index, self.body.length)
        plain = room[:size]
        self.body.open_into(index, sealed, plain)
        write_at(self._descriptor, plain, start)
        self._opened[part] += 1
        self._hash(index, plain)
        if self._resumable and self._opened[part] == self._segments[part] and not self.whole:
            self._note_whole_parts()

    def _hash(self, index: int = -1, plain: memoryview | None = None, *, wait: bool = False) -> None:
        """Add to the digest what is next in the file. `plain`: segment `index`, which is not read back if it is next.

        One thread adds at a time. It adds segments of other parts too, so that little is left for `finish`, which waits
        and adds the rest.
        """
        if not self._hashing.acquire(blocking=wait):
            return
        try:
            last = self.body.segments if wait else self._hashed + HASHED_AT_ONCE
            while self._hashed < last and self._is_there(self._hashed):
                if plain is None or index != self._hashed:
                    self._plain.update(self._back(self._hashed))
                else:
                    self._plain.update(plain)
                self._hashed += 1
        finally:
            self._hashing.release()

    def _back(self, index: int) -> memoryview:
        """The plaintext of a segment, from the file. The next call overwrites it."""
        start, size = segment_span(index, self.body.length)
        plain = self._read_back[:size]
        read_at(self._descriptor, plain, start)
        return plain

    def _is_there(self, index: int) -> bool:
        part, number = divmod(index, SEGMENTS_PER_PART)
        return index < self.body.segments and number < self._opened[part]

    def _known_parts(self) -> list[int]:
        """The whole parts that an earlier opener of this model has left. The digest of the plaintext is checked at the
        end, so a wrong note does no harm."""
        try:
            noted = json.loads(self._whole_parts.read_bytes())
            parts = [int(each) for each in noted["parts"]]
        except (OSError, ValueError, TypeError, KeyError):
            return []
        same = noted.get("digest") == self._digest and self._partial.is_file()
        return parts if same else []

    def _note_whole_parts(self) -> None:
        with self._noting:
            os.fdatasync(self._descriptor)
            parts = [number for number, whole in enumerate(self._segments) if self._opened[number] == whole]
            note = json.dumps({"digest": self._digest, "parts": parts})
            durable.write(self._whole_parts, note.encode())


class PartOpener:
    """Opens one part, whose ciphertext comes in order and in chunks of any size."""

    def __init__(self, file: FileOpener, number: int) -> None:
        self._file = file
        self._number = number
        largest = min(SEGMENT, file.body.length)
        self._sealed = memoryview(bytearray(largest + TAG))
        self._plain = memoryview(bytearray(largest))
        self._filled = 0
        self.offset = file.opened_in(number)
        self._length = file.lengths[number]

    @property
    def missing(self) -> int:
        """How many bytes of ciphertext of the part are not opened."""
        return self._length - self._file.opened_in(self._number)

    @property
    def full(self) -> bool:
        """Whether a whole segment waits for `open`."""
        return self._filled == self._needed

    def fill(self, chunk: bytes | memoryview) -> int:
        """Take the first bytes of a chunk, up to the end of the segment. Return how many. Raises Refused("Altered")
        beyond the part."""
        if self.missing == 0:
            raise Refused("Altered")
        count = min(len(chunk), self._needed - self._filled)
        self._sealed[self._filled : self._filled + count] = chunk[:count]
        self._filled += count
        return count

    def open(self) -> None:
        """Open the segment that is full. Raises Refused("Altered"), OSError."""
        self._file.open_segment(self._number, self._sealed[: self._filled], self._plain)
        self._filled = 0

    @property
    def _needed(self) -> int:
        """Bytes of the segment that arrives."""
        return min(SEALED_SEGMENT, self.missing)
