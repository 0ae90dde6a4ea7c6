"""Reads the view into arrays. `prepare` has removed invalid rows. No error quotes a value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from wardround_trainer.failure import DataError
from wardround_trainer.network import Array


def features(path: Path, names: Sequence[str]) -> Array:
    """Features as float32 of shape (rows, features), in the order of `names`. Raises DataError."""
    return _stack(_table(path, names), names)


def features_and_target(path: Path, names: Sequence[str], target: str) -> tuple[Array, Array]:
    """Features as above, and the target as float32 of 0 and 1, of shape (rows,). Raises DataError."""
    table = _table(path, [*names, target])
    labels = _stack(table, [target])[:, 0]
    if not np.isin(labels, (0, 1)).all():
        raise DataError(
            "TargetNotBinary", f"column {target} holds values other than 0 and 1: this trainer learns two classes"
        )
    return _stack(table, names), labels


def _table(path: Path, names: Sequence[str]) -> pa.Table:
    try:
        with parquet.ParquetFile(path) as file:
            missing = sorted(set(names) - set(file.schema_arrow.names))
            if missing:
                raise DataError("ColumnMissing", f"{path.name} lacks column {', '.join(missing)}")
            return file.read(columns=list(names), use_threads=False)
    except FileNotFoundError:
        raise DataError("ViewMissing", f"there is no {path.name}: did `prepare` run?") from None
    except pa.ArrowException:
        # The exception's text could quote a value.
        raise DataError("ViewUnreadable", f"{path.name} cannot be read as Parquet") from None


def _stack(table: pa.Table, names: Sequence[str]) -> Array:
    values = np.empty((table.num_rows, len(names)), np.float32)
    for position, name in enumerate(names):
        try:
            values[:, position] = table.column(name).to_numpy()
        except (ValueError, TypeError):
            raise DataError("ColumnNotNumeric", f"column {name} of the view does not hold numbers") from None
    if not np.isfinite(values).all():
        wrong = [name for position, name in enumerate(names) if not np.isfinite(values[:, position]).all()]
        raise DataError("ValueMissing", f"missing or infinite values in column {', '.join(wrong[:8])}")
    return values
