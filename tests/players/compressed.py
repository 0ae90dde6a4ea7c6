"""Packs the tensors of a whole file in memory, and opens them again, as a training pod and an aggregation do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wardround import tensors
from wardround.compression import Expansion, is_packed, pack
from wardround.wire.compression import Compression


def compressed(plain: bytes, compression: Compression, frozen: Sequence[str]) -> bytes:
    """The compressed file of a file."""
    layout = tensors.layout(plain)
    made = [layout.header]
    for tensor, start, stop in layout.places:
        data = plain[start:stop]
        if is_packed(tensor, compression, frozen):
            data = pack(np.frombuffer(data, tensors.DTYPES[tensor.dtype]), tensor.dtype, compression)
        made.append(data)
    return b"".join(made)


def expanded(sent: bytes, layout: tensors.Layout, compression: Compression, frozen: Sequence[str]) -> bytes:
    """The file of a compressed file, where `layout` is that of the file."""
    expansion = Expansion(layout, compression, frozen)
    made = b"".join(map(bytes, expansion.feed(sent)))
    assert expansion.complete
    return made
