"""What the hub operator reads of a pushed file before it knows that the file is of use."""

from __future__ import annotations

import pytest

from wardround import tensors
from wardround.api.modelpush import LARGEST_HEADER
from wardround.hub.pushed_file import UNREADABLE, _Tensors, _Unfit


def test_a_header_that_would_take_the_hub_operators_memory_is_refused_at_its_first_bytes() -> None:
    """Its length says so, and nothing of it has been kept or parsed."""
    reader = _Tensors(length=16 << 20)
    with pytest.raises(_Unfit) as unfit:
        reader.feed((LARGEST_HEADER - 7).to_bytes(8, "little"))
    assert unfit.value.reason == UNREADABLE


def test_a_header_of_ten_thousand_tensors_is_read() -> None:
    layout = tensors.canonical_layout(
        [tensors.Tensor(f"layer.{number:05}.weight", "F32", (0,)) for number in range(10_000)]
    )
    assert len(layout.header) <= LARGEST_HEADER
    reader = _Tensors(length=layout.length)
    reader.feed(layout.header)
    assert reader.layout is not None
    assert len(reader.layout.tensors) == 10_000
