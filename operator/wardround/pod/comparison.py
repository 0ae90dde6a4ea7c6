"""Compares the columns of a view with each other and with the target, batch by batch; must not know tasks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wardround.tabular.dataschema import DataSchema
from wardround.wire import digests

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Alike:
    """Names of features, over all valid rows. `targets`: equal to the target. `equal`: groups of equal features.
    `constant`: features of one value. Each feature is in one of the three at most.
    """

    targets: tuple[str, ...] = ()
    equal: tuple[tuple[str, ...], ...] = ()
    constant: tuple[str, ...] = ()


class Comparison:
    """Keeps a digest and the range of each column, so memory does not grow with the file."""

    def __init__(self, table: DataSchema) -> None:
        self._features = [each.name for each in table.features]
        self._target = table.target
        self._rows = 0
        self._digests = {name: digests.Digest(b"") for name in (*self._features, self._target)}
        self._lowest = dict.fromkeys(self._features, np.inf)
        self._highest = dict.fromkeys(self._features, -np.inf)

    def add(self, view: pa.RecordBatch) -> None:
        """Adds the valid rows of a batch (`dataset.Batch.view`)."""
        self._rows += view.num_rows
        if not view.num_rows:
            return
        for name, column in self._digests.items():
            # Zero is added because -0.0 and 0.0 are equal and have different bytes.
            values = view.column(name).to_numpy().astype(np.float32) + np.float32(0)
            column.update(values.tobytes())
            if name in self._lowest:
                self._lowest[name] = min(self._lowest[name], float(values.min()))
                self._highest[name] = max(self._highest[name], float(values.max()))

    def alike(self) -> Alike:
        """The result, after the last batch. A single row proves nothing."""
        if self._rows < 2:
            return Alike()
        texts = {name: column.text for name, column in self._digests.items()}
        constant = tuple(name for name in self._features if self._lowest[name] == self._highest[name])
        varied = [name for name in self._features if name not in constant]
        targets = tuple(name for name in varied if texts[name] == texts[self._target])
        groups: dict[str, list[str]] = defaultdict(list)
        for name in varied:
            if name not in targets:
                groups[texts[name]].append(name)
        return Alike(targets, tuple(tuple(names) for names in groups.values() if len(names) > 1), constant)
