"""Reads a Dataset's file in batches and leaves out the rows that break its schema; must not know tasks or the split.

Messages name fields of the schema. They never quote the file's content, nor Arrow's errors, which quote it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from wardround.pod.outcome import Failure
from wardround.tabular import columns
from wardround.tabular.schema import Schema
from wardround.wire.outcome import LeftOutRows

# Only one batch is in memory at a time. A CSV row must fit into a block.
BLOCK_BYTES = 4 << 20
BATCH_ROWS = 16384

# Reported for a CSV line with too few or too many values: no single field is at fault.
EVERY_FIELD, ROW_MALFORMED = "*", "RowMalformed"

# (field, reason) -> rows left out; a row with two faults counts twice.
Quality = Counter[tuple[str, str]]


@dataclass(frozen=True)
class Batch:
    """Valid rows: the patients' identifiers, and the view (columns of `view_schema`)."""

    identifiers: list[str]
    view: pa.RecordBatch


def view_schema(schema: Schema) -> pa.Schema:
    """Columns of the view: features in schema order as float32, then the target (float32 or int64); no identifier."""
    target = pa.float32() if schema.field(schema.target).type == "number" else pa.int64()
    features = [pa.field(feature.name, pa.float32(), nullable=False) for feature in schema.features]
    return pa.schema([*features, pa.field(schema.target, target, nullable=False)])


def read(path: Path, kind: str, schema: Schema, quality: Quality) -> Iterator[Batch]:
    """Yields valid rows and counts invalid rows into `quality`. Raises Failure (ColumnMissing, DataUnreadable)."""
    rows = _csv(path, schema, quality) if kind == "CSV" else _parquet(path, schema)
    while True:
        try:
            raw = next(rows)
        except StopIteration:
            return
        except (pa.ArrowException, OSError) as error:
            raise unreadable(path, kind) from error
        yield _valid(raw, schema, quality)


def unreadable(path: Path, kind: str) -> Failure:
    return Failure(
        "DataUnreadable",
        f"{path.name} cannot be read as {kind}: is it whole, of this format, and its text UTF-8? (Dataset.spec.format)",
    )


def quality_list(quality: Quality) -> tuple[LeftOutRows, ...]:
    """Most frequent first, because `outcome.terminate` cuts the list at its end."""
    ordered = sorted(quality.items(), key=lambda item: (-item[1], item[0]))
    return tuple(LeftOutRows(field, reason, rows) for (field, reason), rows in ordered if rows)


def _csv(path: Path, schema: Schema, quality: Quality) -> Iterator[Mapping[str, pa.Array]]:
    names = [field.name for field in schema.fields]
    read_options = pa.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
    # The header is read first: the message names missing columns, and columns beyond the schema are not parsed.
    parse_options = pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    with pa.csv.open_csv(path, read_options=read_options, parse_options=parse_options) as reader:
        _require_columns(reader.schema.names, schema)

    def skip(_row: object) -> str:
        quality[EVERY_FIELD, ROW_MALFORMED] += 1
        return "skip"

    reader = pa.csv.open_csv(
        path,
        read_options=read_options,
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pa.csv.ConvertOptions(
            include_columns=names,
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
        ),
    )
    with reader:
        for batch in reader:
            yield dict(zip(names, batch.columns, strict=True))


def _parquet(path: Path, schema: Schema) -> Iterator[Mapping[str, pa.Array]]:
    names = [field.name for field in schema.fields]
    with pa.parquet.ParquetFile(path) as file:
        _require_columns(file.schema_arrow.names, schema)
        for batch in file.iter_batches(BATCH_ROWS, columns=names, use_threads=False):
            texts = {}
            for field in schema.fields:
                try:
                    texts[field.name] = columns.as_text(batch.column(field.name), field)
                except pa.ArrowException as error:
                    message = f"field {field.name!r}: the Parquet column does not hold the type {field.type}"
                    raise Failure("DataUnreadable", message, field=field.name) from error
            yield texts


def _require_columns(names: list[str], schema: Schema) -> None:
    missing = [field.name for field in schema.fields if field.name not in names]
    if missing:
        listed = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        message = f"the data has no column {listed}: correct the file or Dataset.spec.schema"
        raise Failure("ColumnMissing", message, field=missing[0])
    for field in schema.fields:
        if names.count(field.name) > 1:
            raise Failure("DataUnreadable", f"the data has column {field.name} more than once", field=field.name)


def _valid(raw: Mapping[str, pa.Array], schema: Schema, quality: Quality) -> Batch:
    needed = schema.needed
    checked = {
        field.name: columns.check(raw[field.name], field, schema.missing_values, needed=field.name in needed)
        for field in schema.fields
    }
    keep = np.ones(len(next(iter(raw.values()))), np.bool_)
    for name, column in checked.items():
        for reason, mask in column.problems:
            keep &= ~mask
            quality[name, reason] += int(np.count_nonzero(mask))
    layout = view_schema(schema)
    view = []
    for field in layout:
        numbers = checked[field.name].numbers
        assert numbers is not None, "features and target are numbers by schema"
        view.append(pa.array(numbers[keep].astype(field.type.to_pandas_dtype())))
    identifiers = pc.filter(checked[schema.identifier].text, pa.array(keep))
    return Batch(identifiers.to_pylist(), pa.record_batch(view, schema=layout))
