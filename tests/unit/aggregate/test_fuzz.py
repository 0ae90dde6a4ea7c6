"""An opened update with any bytes is accepted or refused. It raises no other error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.sealing.noise import documents, noise, refuses
from wardround.aggregate import counts, plan
from wardround.aggregate.updates import FirstPass, Form
from wardround.sealing.body import SEGMENT
from wardround.tensors import Layout, Tensor, canonical_layout
from wardround.wire import digests

LAYOUT = canonical_layout([Tensor("w", "F32", (5, 2)), Tensor("b", "F64", (3,)), Tensor("n", "I64", ())])
FILE = LAYOUT.header + bytes(LAYOUT.length - len(LAYOUT.header))
ENTRIES = json.loads(LAYOUT.header[8:])


def framed(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + bytes(64)


def odd_files() -> Iterator[bytes]:
    yield from noise(1, FILE)
    for document in documents(2, ENTRIES):
        for encoding in ("utf-8", "utf-16", "utf-32"):
            yield framed(json.dumps(document, ensure_ascii=encoding == "utf-8").encode(encoding))
    for text in (b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b"NaN", b"{}", b'{"a":1e999}', b"\xff" * 9):
        yield framed(text)


@pytest.mark.parametrize("known", [None, LAYOUT])
def test_any_bytes_are_read_or_refused(known: Layout | None) -> None:
    accepted = 0
    for data in odd_files():
        for cut in (SEGMENT, 24):

            def read(data: bytes = data, cut: int = cut) -> None:
                first_pass = FirstPass(len(data), Form("Evaluate", 11, known))
                for start in range(0, len(data), cut):
                    first_pass.add(data[start : start + cut])
                layout = first_pass.finish()
                assert first_pass.digest == digests.digest(data)
                assert layout.canonical in (True, False)
                assert layout.schema_digest.startswith("sha256:")

            if len(data) // cut < 100:
                accepted += not refuses(read)
    assert accepted > 0


def test_any_numbers_are_possible_or_impossible() -> None:
    dice = np.random.default_rng(3)
    special = np.array([0.0, -0.0, 1.0, 0.5, -1.0, 2.0**53, 2.0**53 + 2, 1e300, -1e300, 1.7e308, 5e-324, 1e-200])
    layouts = {"Statistics": counts.statistics_layout(3), "Evaluate": counts.evaluation_layout(2)}
    for task, layout in layouts.items():
        for _ in range(3000):
            numbers = {tensor.name: dice.choice(special, size=tensor.shape) for tensor in layout.tensors}
            try:
                samples = int(dice.integers(1, 5))
                statistics = task == "Statistics"
                rows = (
                    counts.row_count(numbers, samples)
                    if statistics
                    else counts.evaluated(numbers, samples, min_cell=11)
                )
            except counts.Impossible:
                continue
            assert 1 <= rows <= counts.MOST_ROWS


def reason_of(data: bytes) -> str:
    try:
        plan.parse(data)
    except plan.AggregationError as failure:
        return failure.answer.reason
    return ""


def test_random_bytes_are_an_unreadable_plan() -> None:
    good: dict[str, Any] = {"round": {"uid": "u"}, "task": "Train", "base": None, "updates": []}
    changed = [json.dumps(each).encode() for each in documents(6, good)]
    for data in [*noise(5, json.dumps(good).encode()), *changed]:
        assert reason_of(data) == "PlanUnreadable"
