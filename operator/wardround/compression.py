"""Rounds the differences of an update to fewer bits, and reads them back. Pure; knows no keys and no processes.

Format: docs/contracts.md, section 5. A compressed file is the canonical file (tensors.py) in which some tensors are
packed. `BFloat16` rounds each value to bfloat16. `Int8` cuts a tensor into blocks of 1,024 values and rounds each value
to a multiple of the block's scale, between -127 and 127 times the scale.

Both are exact as float32 when they are read, so every machine reads the same values. The errors are at most
- `BFloat16`: 2^-8 of the value, or 2^-134 if that is more.
- `Int8`: 1/254 of the largest value of the block, or 2^-100 if that is more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wardround.tensors import DTYPES, Array, Layout, Tensor, narrow, widen
from wardround.wire.compression import NONE, Compression
from wardround.wire.frozen import is_frozen

BLOCK = 1024
SCALE_BYTES = 4
MOST = 127
# What float32 can hold. Differences of larger weights are refused.
LARGEST = float(np.finfo("<f4").max)
# A block of smaller values becomes zeros, so that each scale has all its bits.
SMALLEST = 2.0**-100
# A scale has 16 significant bits, so 127 times the scale has 23 and is a float32.
_SCALE_BITS = np.uint64(0xFFFF_FFE0_0000_0000)
_SCALE_REST = np.uint32(0xFF)
_INFINITE, _LARGEST_BFLOAT16 = 0x7F80, 0x7F7F
# Bytes that are expanded at once: the floats of a whole segment take ten times its bytes.
_AT_ONCE = 1 << 16
_PACKED = frozenset({"F32", "F64"})


class OutOfRange(ValueError):
    """A value is too large for the compression."""


class Unpackable(ValueError):
    """Packed bytes are not those that `pack` writes."""


def is_packed(tensor: Tensor, compression: Compression, frozen: Sequence[str]) -> bool:
    """Whether a tensor is packed. Integers and frozen tensors are not, nor a tensor that packing makes no shorter.
    `frozen`: patterns of the round."""
    if compression == NONE or tensor.dtype not in _PACKED or is_frozen(tensor.name, frozen):
        return False
    return packed_bytes(_count(tensor), compression) < tensor.nbytes


def packed_bytes(count: int, compression: Compression) -> int:
    """Bytes of `count` packed values."""
    return 2 * count if compression == "BFloat16" else count + SCALE_BYTES * -(-count // BLOCK)


def sent_length(layout: Layout, compression: Compression, frozen: Sequence[str]) -> int:
    """Bytes of the compressed file. Never more than those of the file."""
    if compression == NONE:
        return layout.length
    return sum(piece.sent for piece in _pieces(layout, compression, frozen))


def pack(values: Array, dtype: str, compression: Compression) -> bytes:
    """Return finite values of one tensor, packed. Each call but a tensor's last takes whole blocks.

    Raises OutOfRange if float32 cannot hold a value.
    """
    wide = widen(values, dtype)
    if wide.size and float(np.abs(wide).max()) > LARGEST:
        raise OutOfRange
    return _pack_bfloat16(wide) if compression == "BFloat16" else _pack_int8(wide)


def unpack(data: bytes | memoryview, dtype: str, compression: Compression) -> Array:
    """Return the values of packed bytes, in the file's dtype. Raises Unpackable for a scale or a multiple that `pack`
    does not write. Infinite and NaN bfloat16 values pass."""
    single = _unpack_bfloat16(data) if compression == "BFloat16" else _unpack_int8(data)
    return single.astype(DTYPES[dtype], copy=False)


def _pack_bfloat16(wide: Array) -> bytes:
    bits = narrow(wide, "BF16")
    beyond = (bits & _INFINITE) == _INFINITE
    return np.where(beyond, (bits & 0x8000) | _LARGEST_BFLOAT16, bits).astype("<u2").tobytes()


def _unpack_bfloat16(data: bytes | memoryview) -> Array:
    bits: Array = np.frombuffer(data, "<u2").astype("<u4") << np.uint32(16)
    return bits.view("<f4")


def _pack_int8(wide: Array) -> bytes:
    blocks = -(-wide.size // BLOCK)
    padded = np.zeros((blocks, BLOCK))
    padded.reshape(-1)[: wide.size] = wide
    scales = _scales(np.abs(padded).max(axis=1))
    multiples = np.zeros_like(padded)
    np.divide(padded, scales[:, None], out=multiples, where=scales[:, None] > 0)
    packed = np.empty((blocks, SCALE_BYTES + BLOCK), np.uint8)
    packed[:, :SCALE_BYTES] = scales.astype("<f4").view(np.uint8).reshape(blocks, SCALE_BYTES)
    packed[:, SCALE_BYTES:] = np.clip(np.rint(multiples), -MOST, MOST).astype(np.int8).view(np.uint8)
    return packed.tobytes()[: packed_bytes(wide.size, "Int8")]


def _scales(largest: Array) -> Array:
    """The scale of each block by its largest value: cut, not rounded, so 127 times the scale is never beyond it."""
    cut = ((largest / MOST).view("<u8") & _SCALE_BITS).view("<f8")
    return np.where(largest < SMALLEST, 0.0, cut)


def _unpack_int8(data: bytes | memoryview) -> Array:
    blocks = -(-len(data) // (SCALE_BYTES + BLOCK))
    packed = np.zeros((blocks, SCALE_BYTES + BLOCK), np.uint8)
    packed.reshape(-1)[: len(data)] = np.frombuffer(data, np.uint8)
    scales = np.ascontiguousarray(packed[:, :SCALE_BYTES]).view("<f4")
    multiples = packed[:, SCALE_BYTES:].view(np.int8)
    if not _are_scales(scales) or np.any(multiples < -MOST) or np.any(multiples[scales[:, 0] == 0]):
        raise Unpackable
    single: Array = multiples.astype("<f4") * scales
    return single.reshape(-1)[: len(data) - SCALE_BYTES * blocks]


def _are_scales(scales: Array) -> bool:
    """Whether `pack` could have written them: 0, or a float32 with 16 significant bits from a least to a largest one.
    A NaN compares as False."""
    within = (scales >= SMALLEST / MOST / 2) & (scales <= LARGEST / MOST)
    bits = scales.view("<u4")
    return bool(np.all((bits == 0) | (within & ((bits & _SCALE_REST) == 0))))


@dataclass(frozen=True)
class _Piece:
    """Neighbouring bytes of the file: `sent` bytes of the compressed file. `dtype`: of a packed tensor, else ""."""

    sent: int
    dtype: str = ""


def _pieces(layout: Layout, compression: Compression, frozen: Sequence[str]) -> Iterator[_Piece]:
    yield _Piece(len(layout.header))
    for tensor in layout.tensors:
        if is_packed(tensor, compression, frozen):
            yield _Piece(packed_bytes(_count(tensor), compression), tensor.dtype)
        else:
            yield _Piece(tensor.nbytes)


class Expansion:
    """Turns a compressed file back into the file, as a stream. `layout`: of the file."""

    def __init__(self, layout: Layout, compression: Compression, frozen: Sequence[str]) -> None:
        self._compression = compression
        self._pieces = _pieces(layout, compression, frozen)
        self._piece: _Piece | None = next(self._pieces)
        self._left = self._piece.sent
        self._waiting = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[memoryview]:
        """Take the next bytes, and yield the bytes of the file that follow from them. Each is valid until the next one.
        Raises Unpackable."""
        for start in range(0, len(data), _AT_ONCE):
            arrived = b"".join((self._waiting, memoryview(data)[start : start + _AT_ONCE]))
            taken = 0
            for part, expanded in self._expanded(memoryview(arrived)):
                taken += part
                yield expanded
            self._waiting[:] = arrived[taken:]

    @property
    def complete(self) -> bool:
        """Whether the whole file was taken, and nothing beyond it."""
        self._skip_finished()
        return self._piece is None and not self._waiting

    def _skip_finished(self) -> None:
        while self._piece is not None and self._left == 0:
            self._piece = next(self._pieces, None)
            self._left = self._piece.sent if self._piece else 0

    def _expanded(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yield (bytes taken, bytes of the file)."""
        while data:
            self._skip_finished()
            if self._piece is None:
                return
            size = min(self._left, len(data))
            if self._piece.dtype:
                block = packed_bytes(BLOCK, self._compression)
                size = min(self._left, len(data) // block * block)
                size = self._left if self._left <= min(len(data), block) else size
                if size == 0:
                    return
                made = unpack(data[:size], self._piece.dtype, self._compression).data.cast("B")
            else:
                made = data[:size]
            self._left -= size
            data = data[size:]
            yield size, made


def _count(tensor: Tensor) -> int:
    return tensor.nbytes // tensor.item_bytes
