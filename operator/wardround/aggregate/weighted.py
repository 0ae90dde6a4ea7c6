"""Adds share x value to a sum: compiled in the operator image, and in numpy elsewhere. Both give the same bits.

The compiled loop (kernels/weighted.c) takes one pass through the values where numpy takes three. Only the time depends
on it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from wardround.tensors import Array, widen_into

VARIABLE = "WARDROUND_KERNELS"  # the operator image sets it to the path of the compiled loop

# Adds share x value to each element of a float64 array. Each product is rounded, and then the sum. Arguments: the sums,
# the values, the values' dtype in the file, the share, and any number of float64 that may change. All arrays have one
# dimension. A sum that overflows is infinite.
Add = Callable[[Array, Array, str, float, Array], None]


def add_by_numpy(total: Array, values: Array, dtype: str, share: float, spare: Array) -> None:
    """See Add."""
    for start in range(0, total.size, max(1, spare.size)):
        part = total[start : start + spare.size]
        product = spare[: part.size]
        widen_into(values[start : start + spare.size], dtype, product)
        np.multiply(product, share, out=product)
        np.add(part, product, out=part)


def compiled(path: str) -> Add:
    """Return an Add that calls a library for float32, the dtype of nearly all models, and numpy for other dtypes.

    Raises OSError where `path` is no library.
    """
    loop = ctypes.CDLL(path).add_weighted
    loop.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double, ctypes.c_size_t]
    loop.restype = None

    def add(total: Array, values: Array, dtype: str, share: float, spare: Array) -> None:
        flags = values.flags
        if values.dtype == np.float32 and flags.c_contiguous and flags.aligned and total.flags.c_contiguous:
            assert values.size == total.size
            loop(total.ctypes.data, values.ctypes.data, share, total.size)
        else:
            add_by_numpy(total, values, dtype, share, spare)

    return add


@lru_cache(maxsize=1)
def adding() -> Add:
    """Return the compiled loop if the environment names one. Raises OSError if it names something else."""
    path = os.environ.get(VARIABLE)
    return compiled(path) if path else add_by_numpy
