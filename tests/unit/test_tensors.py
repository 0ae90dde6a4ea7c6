"""The canonical tensor file: equal schemas have equal layouts, and every claim of a header is verified."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from wardround import tensors
from wardround.tensors import Tensor
from wardround.wire import canonical, digests


def test_the_reference_implementation_reads_our_files(tmp_path: Path) -> None:
    arrays = {
        "b": np.arange(6, dtype="<f4").reshape(2, 3),
        "a": np.ones((), "<f8"),
        "flags": np.array([True, False, True]),
        "steps": np.array([7], "<i8"),
    }
    digest = tensors.write(tmp_path / "x", arrays)
    read = safetensors.numpy.load_file(tmp_path / "x")
    assert digest == digests.file_digest(tmp_path / "x")
    assert {name: value.tolist() for name, value in read.items()} == {
        name: value.tolist() for name, value in arrays.items()
    }
    layout = tensors.layout(tmp_path / "x")
    assert layout.canonical
    assert [tensor.name for tensor in layout.tensors] == ["a", "steps", "b", "flags"]


def test_files_of_the_reference_implementation_have_the_same_schema(tmp_path: Path) -> None:
    arrays = {"w": np.zeros((3, 4), "<f4"), "n": np.zeros(2, "<i8")}
    tensors.write(tmp_path / "ours", arrays)
    reference = tensors.layout(safetensors.numpy.save(arrays, metadata={"format": "pt"}))
    assert reference.schema_digest == tensors.layout(tmp_path / "ours").schema_digest
    assert not reference.canonical


def test_elements_are_aligned_so_that_no_segment_splits_one() -> None:
    for name_length in range(1, 20):
        layout = tensors.canonical_layout(
            [tensors.Tensor("n" * name_length, "F64", (3,)), tensors.Tensor("m", "U8", (5,))]
        )
        assert all(start % tensor.item_bytes == 0 for tensor, start, _ in layout.places)


def header(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 7,
        (2**63).to_bytes(8, "little") + b"{}",
        (100).to_bytes(8, "little") + b"{}",
        header([]),
        header({"a": GOOD}) + b"\x00" * 7,
        header({"a": GOOD}) + b"\x00" * 9,
        header({"a": GOOD | {"shape": [3]}}) + b"\x00" * 8,
        header({"a": GOOD | {"shape": [-2]}}) + b"\x00" * 8,
        header({"a": GOOD | {"shape": [True, 2]}}) + b"\x00" * 8,
        header({"a": GOOD | {"shape": [1 << 60, 1 << 60]}}) + b"\x00" * 8,
        header({"a": GOOD | {"dtype": "C64"}}) + b"\x00" * 8,
        header({"a": GOOD | {"more": 1}}) + b"\x00" * 8,
        header({"a": GOOD, "b": GOOD}) + b"\x00" * 8,
        header({"a": GOOD | {"data_offsets": [4, 12]}}) + b"\x00" * 12,
        header({"\ud800": GOOD}) + b"\x00" * 8,
        (5).to_bytes(8, "little") + b"[" * 5,
        (1 << 20).to_bytes(8, "little") + b"[" * (1 << 20),
        header({"a": GOOD})[:-1].replace(b"{", b"{ ", 1) + b"}" + b"\x00" * 8,
    ],
)
def test_a_malformed_header_is_refused(data: bytes) -> None:
    with pytest.raises(tensors.NotTensors):
        tensors.layout(data)


def test_randomly_changed_bytes_are_read_or_refused() -> None:
    good = header({"a": GOOD, "b": {"dtype": "U8", "shape": [], "data_offsets": [8, 9]}}) + b"\x00" * 9
    dice = random.Random(1)
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            tensors.layout(bytes(data))
        except tensors.NotTensors:
            continue


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16"])
def test_widen_and_narrow_are_inverse(dtype: str) -> None:
    values = np.random.default_rng(0).normal(size=1000).astype(tensors.DTYPES[dtype])
    assert (tensors.narrow(tensors.widen(values, dtype), dtype) == values).all()


def test_bfloat16_is_rounded_once_to_nearest_even() -> None:
    every = np.arange(1 << 16, dtype="<u2")
    finite = every[(every & 0x7F80) != 0x7F80]
    assert (tensors.narrow(tensors.widen(finite, "BF16"), "BF16") == finite).all()
    dice = np.random.default_rng(3)
    positive = finite[(finite < 0x7F7F) & (finite > 0)]
    low = tensors.widen(positive, "BF16")
    high = tensors.widen((positive + 1).astype("<u2"), "BF16")
    middle = (low + high) / 2  # exact in float64
    assert (tensors.narrow(middle, "BF16") == np.where(positive % 2 == 0, positive, positive + 1)).all()
    # Rounding to float32 first would lose the distance to the middle.
    assert (tensors.narrow(np.nextafter(middle, high), "BF16") == positive + 1).all()
    assert (tensors.narrow(np.nextafter(middle, low), "BF16") == positive).all()
    inside = low + (high - low) * dice.uniform(0.01, 0.49, size=len(low))
    normal = positive >= 0x0080
    assert (tensors.narrow(inside, "BF16") == positive)[normal].all()


def test_a_file_with_missing_data_is_not_finished(tmp_path: Path) -> None:
    with tensors.Writer(tmp_path / "x", [tensors.Tensor("a", "F32", (2,))]) as writer:
        writer.write(b"\x00" * 7)
        with pytest.raises(ValueError, match="bytes were written"):
            writer.finish()


def test_a_header_that_is_too_long_in_canonical_order_is_not_canonical(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty tensors have longer offsets after a large tensor than before it."""
    empty = {f"{number:x}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for number in range(100)}
    big = {"w": {"dtype": "F32", "shape": [250], "data_offsets": [0, 1000]}}
    text = json.dumps(empty | big, separators=(",", ":")).encode()
    monkeypatch.setattr(tensors, "LARGEST_HEADER", len(text))
    read = tensors.parse_header(len(text).to_bytes(8, "little") + text, 8 + len(text) + 1000)
    assert not read.canonical


@pytest.mark.parametrize(
    "value",
    ["[" * 900 + "]" * 900, '{"":' * 400 + "0" + "}" * 400, "[[],[],[],[]]", "[{},{},{},{}]"],
    ids=["lists in lists", "objects in objects", "many lists", "many objects"],
)
def test_a_nested_header_is_refused_before_it_is_parsed(value: str) -> None:
    """Two bytes of nested lists need 88 bytes as objects: 8 MiB from one participant would end the aggregation."""
    text = ('{"w":[' + ",".join([value] * ((1 << 20) // len(value))) + "]}").encode()
    tracemalloc.start()
    with pytest.raises(tensors.NotTensors):
        tensors.parse_header(len(text).to_bytes(8, "little") + text, 8 + len(text))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(text)


@pytest.mark.parametrize("name", ['"', "\\", '\\"}:{[,', "{}[]:,", " ", "\u00e9"])
def test_names_and_metadata_may_contain_json_syntax(name: str) -> None:
    text = json.dumps({"__metadata__": {name: name}, name: GOOD}, indent=2).encode()
    read = tensors.parse_header(len(text).to_bytes(8, "little") + text, 16 + len(text))
    assert [tensor.name for tensor in read.tensors] == [name]


def many(count: int) -> list[Tensor]:
    """Tensors of some dtypes, with names and shapes of a large network; some are empty or scalars."""
    dice = random.Random(11)
    dtypes = dice.choices(list(tensors.DTYPES), k=count)
    shapes = [tuple(dice.randrange(30) for _ in range(dice.randrange(4))) for _ in range(count)]
    names = [f'model.layers.{number:05d}.attention.w\u00e9ight"' for number in range(count)]
    return [Tensor(*each) for each in zip(names, dtypes, shapes, strict=True)]


@pytest.mark.parametrize("count", [0, 1, 2, 10_000])
def test_a_canonical_header_and_its_digest_are_spelt_as_one_document(count: int) -> None:
    """Both are made in pieces. The whole document takes more memory."""
    layout = tensors.canonical_layout(many(count))
    first = len(layout.header)
    document = {
        tensor.name: {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [start - first, stop - first]}
        for tensor, start, stop in layout.places
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    assert layout.header == len(text).to_bytes(8, "little") + text
    assert tensors.parse_header(layout.header, layout.length) == layout
    assert layout.canonical
    rows = sorted([tensor.name, tensor.dtype, list(tensor.shape)] for tensor in layout.tensors)
    assert layout.schema_digest == digests.digest(canonical.dumps(rows))


@pytest.mark.parametrize("change", ["swapped", "spaced", "unpadded", "padded"])
def test_another_spelling_of_a_canonical_header_is_not_canonical(change: str) -> None:
    layout = tensors.canonical_layout([Tensor("a", "F32", (2,)), Tensor("b", "F32", (2,))])
    text = layout.header[8:].rstrip()
    padding = layout.header[8 + len(text) :]
    changed = {
        "swapped": text.replace(b'"b"', b'"c"').replace(b'"a"', b'"b"').replace(b'"c"', b'"a"') + padding,
        "spaced": text.replace(b":", b": ", 1) + padding,
        "unpadded": text,
        "padded": text + padding + b" " * 8,
    }[change]
    assert changed != layout.header[8:]
    read = tensors.parse_header(len(changed).to_bytes(8, "little") + changed, 8 + len(changed) + 16)
    assert not read.canonical
    assert read.schema_digest == layout.schema_digest


def test_the_header_of_many_tensors_takes_little_memory() -> None:
    """An aggregation Job reads the header of its base while its buffers wait."""
    made = tensors.canonical_layout(many(10_000))
    header, length = made.header, made.length
    tracemalloc.start()
    read = tensors.parse_header(header, length)
    assert read.canonical
    assert read.schema_digest == made.schema_digest
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 4 * len(header)
    assert peak < 7 * len(header)
