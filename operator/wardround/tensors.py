"""Reads and writes tensor files in canonical form; trusts no size that a file claims; knows no torch and no keys.

Format: safetensors (https://huggingface.co/docs/safetensors): an 8-byte little-endian header length, a JSON header, the
data. Canonical form (docs/contracts.md, section 5): tensors by descending item size, then by name, without gaps; one
spelling of the header, padded with spaces to 8 bytes; no metadata. So equal schemas have equal headers and offsets, and
a cut at a multiple of 8 bytes, such as a 1 MiB segment, splits no element.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from wardround.wire import canonical, digests, layouts

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "u1"}
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
# Differences of such weights lose most of their bits. Models have none until updates keep differences in float32.
HALF_PRECISION = frozenset({"F16", "BF16"})
LARGEST_HEADER = 8 << 20
LARGEST_FILE = 1 << 40
_CHUNK = 1 << 20
# One object of objects, whose values are strings and flat lists of whole numbers. Possessive quantifiers: no
# backtracking.
_SPACE, _STRING = r"[ \t\r\n]*+", r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FIELD = rf"{_STRING}{_SPACE}:{_SPACE}(?:{_STRING}|\[[0-9, \t\r\n]*+\]){_SPACE},?+{_SPACE}"
_ENTRY = rf"{_STRING}{_SPACE}:{_SPACE}\{{{_SPACE}(?:{_FIELD})*+\}}{_SPACE},?+{_SPACE}"
_HEADER = re.compile(rf"{_SPACE}\{{{_SPACE}(?:{_ENTRY})*+\}}{_SPACE}".encode(), re.DOTALL)

Array = np.ndarray[Any, np.dtype[Any]]


class NotTensors(Exception):
    """A file is not safetensors, or not in the expected form. The text never quotes the file."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Name, dtype (in safetensors' spelling) and shape of a tensor."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def item_bytes(self) -> int:
        """Bytes of one element."""
        return np.dtype(DTYPES[self.dtype]).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.item_bytes


@dataclass(frozen=True)
class Layout:
    """The places of tensors in a file, in file order: (tensor, start, stop), in bytes from the start of the file."""

    places: tuple[tuple[Tensor, int, int], ...]
    header: bytes
    length: int

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors in file order."""
        return tuple(tensor for tensor, _, _ in self.places)

    @property
    def canonical(self) -> bool:
        """Whether the header is that of `canonical_layout`."""
        position = 8
        for piece in _spelt(_in_order(self.tensors)):
            if not self.header.startswith(piece, position):
                return False
            position += len(piece)
        return self.header[position:] == _padding(position)

    @cached_property
    def schema_digest(self) -> str:
        """See `schema_digest`."""
        return schema_digest(self.tensors)

    def find(self, name: str) -> tuple[Tensor, int, int]:
        """Return the named tensor's place. Raises KeyError."""
        for place in self.places:
            if place[0].name == name:
                return place
        raise KeyError(name)


def schema_digest(tensors: Iterable[Tensor]) -> str:
    """Return `sha256:<hex>` over names, dtypes and shapes, in an order independent of the file."""
    digest, before = digests.Digest(), b"["
    for tensor in sorted(tensors, key=lambda tensor: (tensor.name, tensor.dtype, tensor.shape)):
        digest.update(before + canonical.dumps([tensor.name, tensor.dtype, tensor.shape]))
        before = b","
    digest.update(b"[]" if before == b"[" else b"]")
    return digest.text


def canonical_layout(tensors: Iterable[Tensor]) -> Layout:
    """Return the canonical layout of these tensors. Raises NotTensors."""
    ordered = _in_order(tensors)
    if len({tensor.name for tensor in ordered}) != len(ordered):
        raise NotTensors("two tensors have one name")
    text = b"".join(_spelt(ordered))
    text += _padding(len(text))
    if len(text) > LARGEST_HEADER:
        raise NotTensors(f"the header is longer than {LARGEST_HEADER} bytes")
    header = len(text).to_bytes(8, "little") + text
    places = tuple((tensor, len(header) + start, len(header) + stop) for tensor, start, stop in _offsets(ordered))
    return Layout(places, header, places[-1][2] if places else len(header))


def _in_order(tensors: Iterable[Tensor]) -> list[Tensor]:
    return sorted(tensors, key=lambda tensor: (-tensor.item_bytes, tensor.name))


def _offsets(ordered: Iterable[Tensor]) -> Iterator[tuple[Tensor, int, int]]:
    """Yield (tensor, start, stop) for tensors without gaps between them."""
    stop = 0
    for tensor in ordered:
        start, stop = stop, stop + tensor.nbytes
        yield tensor, start, stop


def _spelt(ordered: Iterable[Tensor]) -> Iterator[bytes]:
    """Yield the pieces of a canonical header's JSON. The whole text as objects takes far more memory than its bytes."""
    before = "{"
    for tensor, start, stop in _offsets(ordered):
        entry = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": (start, stop)}
        name, value = (json.dumps(each, separators=(",", ":"), ensure_ascii=False) for each in (tensor.name, entry))
        yield f"{before}{name}:{value}".encode()
        before = ","
    yield b"{}" if before == "{" else b"}"


def _padding(length: int) -> bytes:
    """Return the spaces that follow so many bytes of a canonical header."""
    return b" " * (-length % 8)


def header_bytes(prefix: bytes) -> int:
    """Return the header's length in bytes, with the 8 bytes of the length itself. Raises NotTensors."""
    if len(prefix) < 8:
        raise NotTensors("the file ends before its header")
    size = int.from_bytes(prefix[:8], "little")
    if not 2 <= size <= LARGEST_HEADER:
        raise NotTensors(
            f"the file says that its header has {size} bytes. A header may have 2 to {LARGEST_HEADER} bytes"
        )
    return 8 + size


def parse_header(header: bytes, length: int) -> Layout:
    """Return the layout of a file of `length` bytes from its header. Raises NotTensors.

    The tensors fill the file from the header to the end, without gap or overlap.
    """
    if len(header) != header_bytes(header) or not len(header) <= length <= LARGEST_FILE:
        raise NotTensors(f"the file ends before its header, or has more than {LARGEST_FILE} bytes")
    # Checked before parsing: a byte of nested lists needs 44 bytes as objects, and 8 MiB would exhaust an aggregation.
    if not _HEADER.fullmatch(header, 8):
        raise NotTensors("the header is not a JSON object of tensors")
    try:
        entries = json.loads(header[8:], object_pairs_hook=_packed)
    except (ValueError, RecursionError):
        raise NotTensors("the header is not JSON") from None
    if not isinstance(entries, dict):
        raise NotTensors("the header is not a JSON object")
    entries.pop("__metadata__", None)
    places = sorted((_place(name, entry, len(header)) for name, entry in entries.items()), key=lambda place: place[1:])
    end = len(header)
    for _, start, stop in places:
        if start != end:
            raise NotTensors("tensors overlap or leave gaps")
        end = stop
    if end != length:
        raise NotTensors("the file is longer or shorter than its tensors")
    return Layout(tuple(places), header, length)


def layout(source: Path | bytes) -> Layout:
    """Return the layout of a file, or of a file's bytes. Reads only the header. Raises NotTensors."""
    if isinstance(source, bytes):
        return parse_header(source[: header_bytes(source)], len(source))
    with source.open("rb") as file:
        return read_layout(file)


def read_layout(file: BinaryIO) -> Layout:
    """Return the layout of an open file, positioned at its start. Raises NotTensors."""
    prefix = file.read(8)
    return parse_header(prefix + file.read(header_bytes(prefix) - 8), os.fstat(file.fileno()).st_size)


def read(file: BinaryIO, place: tuple[Tensor, int, int]) -> Array:
    """Return one tensor in its shape; BF16 as unsigned 16-bit integers. Raises NotTensors if the file is too short."""
    tensor, start, stop = place
    file.seek(start)
    data = file.read(stop - start)
    if len(data) != stop - start:
        raise NotTensors("the file ends within a tensor")
    return np.frombuffer(data, DTYPES[tensor.dtype]).reshape(tensor.shape)


def chunks(file: BinaryIO, place: tuple[Tensor, int, int], size: int = _CHUNK) -> Iterator[Array]:
    """Yield one tensor, flat, in pieces of at most `size` bytes (a multiple of 8). Raises NotTensors."""
    tensor, start, stop = place
    file.seek(start)
    while start < stop:
        data = file.read(min(size, stop - start))
        if not data or len(data) % tensor.item_bytes:
            raise NotTensors("the file ends within a tensor")
        start += len(data)
        yield np.frombuffer(data, DTYPES[tensor.dtype])


def widen(values: Array, dtype: str) -> Array:
    """Return a file's elements: floats as float64 (exact), integers unchanged."""
    if dtype == "BF16":
        return (values.astype("<u4") << 16).view("<f4").astype(np.float64)
    return values.astype(np.float64) if dtype in FLOATS else values


def widen_into(values: Array, dtype: str, into: Array) -> None:
    """Write a file's elements into an array of float64: floats exactly, integers rounded."""
    np.copyto(into, widen(values, dtype) if dtype == "BF16" else values)


def narrow(values: Array, dtype: str) -> Array:
    """Return float64 values in a file's dtype, rounded once, to nearest even. The inverse of `widen`."""
    if dtype == "BF16":
        return _bfloat16(values)
    with np.errstate(over="ignore"):
        return values.astype(DTYPES[dtype])


def narrow_into(values: Array, dtype: str, into: Array) -> None:
    """Write float64 values into an array of a file's dtype. See `narrow`."""
    with np.errstate(over="ignore"):
        np.copyto(into, narrow(values, dtype) if dtype == "BF16" else values, casting="same_kind")


def _bfloat16(values: Array) -> Array:
    # Rounding to float32 first and then to 16 bits would round twice. Rounding to float32 towards odd keeps the
    # information that the second rounding needs (Boldo, Melquiond: "Emulation of FMA and correctly rounded sums").
    with np.errstate(over="ignore"):
        single = values.astype("<f4")
    bits = single.view("<u4")
    inexact = single.astype(np.float64) != values
    beyond = np.abs(single.astype(np.float64)) > np.abs(values)
    odd = np.where(inexact, (bits - beyond.astype("<u4")) | 1, bits).astype("<u4")
    rounded = (odd + 0x7FFF + ((odd >> 16) & 1)) >> 16
    quiet = (bits >> 16) | 0x40
    return np.where(np.isnan(values), quiet, rounded).astype("<u2")


def layout_of(shapes: layouts.Shapes, dtype: str = layouts.DTYPE) -> Layout:
    """Return the canonical layout of tensors with these shapes, all of one dtype."""
    return canonical_layout(Tensor(name, dtype, shape) for name, shape in shapes.items())


class Writer:
    """Writes a canonical file as a stream. The caller writes tensors in canonical order, in pieces of any size."""

    def __init__(self, path: Path, tensors: Sequence[Tensor], length: int | None = None) -> None:
        """Create `path`, which must not exist, and write the header. `length`: of a file with
        packed tensors (compression.py)."""
        self.layout = canonical_layout(tensors)
        self.length = self.layout.length if length is None else length
        self._file = path.open("xb")
        self._digest = digests.Digest()
        self._written = 0
        self._put(self.layout.header)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, data: bytes | memoryview | Array) -> None:
        """Append the next bytes of data."""
        self._put(data.tobytes() if isinstance(data, np.ndarray) else data)

    def finish(self) -> str:
        """Sync the file and return its `sha256:<hex>`. Raises ValueError if there is too little or too much data."""
        if self._written != self.length:
            raise ValueError(f"{self._written} of {self.length} bytes were written")
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.text

    def _put(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        self._file.write(data)
        self._written += len(data)


def write(path: Path, arrays: dict[str, Array], dtypes: dict[str, str] | None = None) -> str:
    """Write small arrays as a canonical file and return its digest. `dtypes`: by name, if numpy lacks it (BF16)."""
    names = {name: (dtypes or {}).get(name) or _dtype(array) for name, array in arrays.items()}
    tensors = [Tensor(name, names[name], tuple(array.shape)) for name, array in arrays.items()]
    with Writer(path, tensors) as writer:
        for tensor in writer.layout.tensors:
            writer.write(arrays[tensor.name].astype(DTYPES[tensor.dtype], casting="safe"))
        return writer.finish()


def _dtype(array: Array) -> str:
    if array.dtype == np.bool_:
        return "BOOL"
    for name, numpy_name in DTYPES.items():
        if name not in ("BF16", "BOOL") and array.dtype == np.dtype(numpy_name):
            return name
    raise NotTensors(f"safetensors files cannot hold arrays of {array.dtype}")


def _packed(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Entry:
    """Return a JSON object. A tensor's entry is packed at once: a dictionary and two lists for each tensor of the file
    would take three times as much memory."""
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("duplicate key")
    match entries:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, stop], **rest} if not rest:
            return _Entry(dtype, tuple(shape), start, stop)
    return entries


class _Entry(NamedTuple):
    """What a header says of a tensor. Nothing of it has been checked."""

    dtype: str
    shape: tuple[Any, ...]
    start: Any
    stop: Any


def _place(name: str, entry: object, data: int) -> tuple[Tensor, int, int]:
    if not isinstance(entry, _Entry):
        raise NotTensors("a tensor's entry is malformed")
    dtype, shape, start, stop = entry
    if dtype not in DTYPES:
        raise NotTensors(f"a tensor has an unsupported dtype: only {', '.join(DTYPES)} are supported")
    if len(shape) > 8 or not all(map(_count, (*shape, start, stop))):
        raise NotTensors("a tensor has an unsupported shape or offset")
    if not name.isprintable():  # a lone surrogate, which UTF-8 cannot encode, is not printable either
        raise NotTensors("a tensor's name is not printable")
    tensor = Tensor(name, sys.intern(dtype), shape)
    if stop - start != tensor.nbytes:
        raise NotTensors("a tensor's offsets do not fit its shape")
    return tensor, data + start, data + stop


def _count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= LARGEST_FILE
