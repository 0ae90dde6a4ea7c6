"""The first pass over an update reads its header: a known one is compared, and equal unknown ones share one layout."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.unit.aggregate.updates import file_of
from wardround import tensors
from wardround.aggregate import updates
from wardround.aggregate.updates import FirstPass, Form, ParsedHeaders
from wardround.sealing.body import SEGMENT
from wardround.sealing.refused import Refused
from wardround.tensors import Layout, Tensor

# A header of a segment and a half.
LAYOUT = tensors.canonical_layout([Tensor(f"layer-{number:05d}" + "n" * 100, "F32", (5,)) for number in range(9000)])
CONTENT = file_of(LAYOUT, {tensor.name: np.ones(5, np.float32) for tensor in LAYOUT.tensors})


def first_pass(form: Form, content: bytes) -> FirstPass:
    reading = FirstPass(len(content), form)
    for start in range(0, len(content), SEGMENT):
        reading.add(memoryview(content)[start : start + SEGMENT])
    return reading


def test_equal_headers_of_initial_rounds_share_one_layout() -> None:
    form = Form("Train", 11)
    layouts = [first_pass(form, CONTENT).finish() for _ in range(3)]
    assert all(each is layouts[0] for each in layouts)
    other = tensors.canonical_layout([Tensor("other", "F32", (5,))])
    assert first_pass(form, file_of(other, {"other": np.ones(5, np.float32)})).finish() == other


@pytest.mark.parametrize("content", [CONTENT + bytes(8), CONTENT[:-8]])
def test_a_file_of_another_length_does_not_share_the_layout_of_its_header(content: bytes) -> None:
    form = Form("Train", 11)
    first_pass(form, CONTENT)
    with pytest.raises(Refused, match="WrongSchema"):
        first_pass(form, content)


def test_threads_that_meet_an_equal_header_at_once_parse_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsing = threading.Barrier(2)

    def parse_header(header: bytes, length: int) -> Layout:
        # Without the lock, both threads come here.
        with pytest.raises(threading.BrokenBarrierError):
            parsing.wait(0.2)
        return tensors.parse_header(header, length)

    monkeypatch.setattr(updates, "parse_header", parse_header)
    headers = ParsedHeaders()
    with ThreadPoolExecutor(2) as threads:
        shared = [threads.submit(headers.layout, LAYOUT.header, LAYOUT.length) for _ in range(2)]
    assert shared[0].result() is shared[1].result()


@pytest.mark.parametrize("known", [None, LAYOUT])
def test_the_layout_and_the_squares_are_those_of_the_file(known: Layout | None) -> None:
    read = first_pass(Form("Train", 11, known), CONTENT)
    assert read.finish() == LAYOUT
    assert read.squares == 45_000


@pytest.mark.parametrize("place", [9, SEGMENT - 1, SEGMENT, len(LAYOUT.header) - 1])
def test_a_header_that_differs_in_one_byte_is_refused(place: int) -> None:
    changed = bytearray(CONTENT)
    changed[place] ^= 1
    with pytest.raises(Refused, match="WrongSchema"):
        first_pass(Form("Train", 11, LAYOUT), bytes(changed))


@pytest.mark.parametrize("known", [None, LAYOUT])
def test_a_file_that_ends_within_its_header_is_refused(known: Layout | None) -> None:
    with pytest.raises(Refused, match="WrongSchema"):
        first_pass(Form("Train", 11, known), CONTENT[: len(LAYOUT.header) - 8]).finish()


def test_a_known_header_takes_no_memory_in_each_update() -> None:
    form = Form("Train", 11, LAYOUT)
    first_pass(form, CONTENT)
    tracemalloc.start()
    first_pass(form, CONTENT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < SEGMENT // 2
