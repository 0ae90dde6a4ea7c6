"""Reads the prepared view into arrays. Rows were cleaned before; what cannot be trained on is an error, unquoted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from wardround_trainer.failure import DataFailure
from wardround_trainer.network import Array


def features(path: Path, names: Sequence[str]) -> Array:
    """Float32, shape (rows, features), in the order of `names`."""
    return _stack(_table(path, names), names)


def features_and_target(path: Path, names: Sequence[str], target: str) -> tuple[Array, Array]:
    """Features as above, and the target as float32 of 0 and 1, shape (rows,)."""
    table = _table(path, [*names, target])
    labels = _stack(table, [target])[:, 0]
    if not np.isin(labels, (0, 1)).all():
        raise DataFailure(
            "TargetNotBinary", f"column {target} holds other values than 0 and 1: one of two classes is learnt"
        )
    return _stack(table, names), labels


def _table(path: Path, names: Sequence[str]) -> pa.Table:
    try:
        with parquet.ParquetFile(path) as file:
            missing = sorted(set(names) - set(file.schema_arrow.names))
            if missing:
                raise DataFailure("ColumnMissing", f"{path.name} lacks column {', '.join(missing)}")
            return file.read(columns=list(names), use_threads=False)
    except FileNotFoundError:
        raise DataFailure("ViewMissing", f"{path.name} is not there: did `prepare` run?") from None
    except pa.ArrowException:
        # Its text could quote a value.
        raise DataFailure("ViewUnreadable", f"{path.name} cannot be read as Parquet") from None


def _stack(table: pa.Table, names: Sequence[str]) -> Array:
    values = np.empty((table.num_rows, len(names)), np.float32)
    for position, name in enumerate(names):
        try:
            values[:, position] = table.column(name).to_numpy()
        except (ValueError, TypeError):
            raise DataFailure("ColumnNotNumeric", f"column {name} of the view holds no numbers") from None
    if not np.isfinite(values).all():
        wrong = [name for position, name in enumerate(names) if not np.isfinite(values[:, position]).all()]
        raise DataFailure("ValueMissing", f"missing or infinite values in column {', '.join(wrong[:8])}")
    return values
