"""Whatever an update's bytes are once they are opened, it is taken or refused, and nothing else happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.sealing.test_fuzz import documents, noise, refuses
from wardround.aggregate import counts, plan
from wardround.aggregate.updates import _Seen
from wardround.sealing.body import SEGMENT
from wardround.tensors import Layout, Tensor, canonical_layout
from wardround.wire import digests

LAYOUT = canonical_layout([Tensor("w", "F32", (5, 2)), Tensor("b", "F64", (3,)), Tensor("n", "I64", ())])
FILE = LAYOUT.header + bytes(LAYOUT.length - len(LAYOUT.header))
ENTRIES = json.loads(LAYOUT.header[8:])


def file_of(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + bytes(64)


def odd_files() -> Iterator[bytes]:
    yield from noise(1, FILE)
    for document in documents(2, ENTRIES):
        for encoding in ("utf-8", "utf-16", "utf-32"):
            yield file_of(json.dumps(document, ensure_ascii=encoding == "utf-8").encode(encoding))
    for text in (b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b"NaN", b"{}", b'{"a":1e999}', b"\xff" * 9):
        yield file_of(text)


@pytest.mark.parametrize("known", [None, LAYOUT])
def test_a_file_of_any_bytes_is_read_through_or_refused(known: Layout | None) -> None:
    taken = 0
    for data in odd_files():
        for cut in (SEGMENT, 24):

            def read(data: bytes = data, cut: int = cut) -> None:
                seen = _Seen(len(data), known)
                for start in range(0, len(data), cut):
                    seen.take(data[start : start + cut])
                found = seen.finish(digests.digest(data))
                assert found.canonical in (True, False)
                assert found.schema_digest.startswith("sha256:")

            if len(data) // cut < 100:
                taken += not refuses(read)
    assert taken > 0


def test_numbers_of_any_bits_are_rows_or_impossible() -> None:
    dice = np.random.default_rng(3)
    special = np.array([0.0, -0.0, 1.0, 0.5, -1.0, 2.0**53, 2.0**53 + 2, 1e300, -1e300, 1.7e308, 5e-324, 1e-200])
    layouts = {"Statistics": counts.statistics_layout(3), "Evaluate": counts.EVALUATE}
    for task, layout in layouts.items():
        for _ in range(3000):
            numbers = {tensor.name: dice.choice(special, size=tensor.shape) for tensor in layout.tensors}
            try:
                rows = counts.rows_of(task, numbers, int(dice.integers(1, 5)))
            except counts.Impossible:
                continue
            assert 1 <= rows <= counts.MOST_ROWS


def reason_of(data: bytes) -> str:
    try:
        plan.parse(data)
    except plan.Failure as failure:
        return failure.answer.reason
    return ""


def test_a_plan_of_any_bytes_is_read_or_unreadable() -> None:
    good: dict[str, Any] = {"round": {"uid": "u"}, "task": "Train", "base": None, "updates": []}
    changed = [json.dumps(each).encode() for each in documents(6, good)]
    for data in [*noise(5, json.dumps(good).encode()), *changed]:
        assert reason_of(data) == "PlanUnreadable"
