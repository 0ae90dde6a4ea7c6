"""Reads a Dataset's file in batches and leaves out the rows that break its schema; must not know tasks or the split.

Messages name fields of the schema. They never quote the file's content, nor Arrow's errors, which quote it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from wardround.pod.outcome import PodError
from wardround.pod.places import Places
from wardround.tabular import columns, ignored_columns
from wardround.tabular.problems import EVERY_FIELD, IDENTIFIER_MISSING, MISSING, ROW_MALFORMED
from wardround.tabular.schema import Schema, Source
from wardround.wire.outcome import LeftOutRows

# Only one batch is in memory at a time. A CSV row must fit into a block.
BLOCK_BYTES = 4 << 20
BATCH_ROWS = 16384
# Values in a batch of a wide Parquet file.
BATCH_VALUES = 1 << 21
# Bytes from the beginning of a file that show its format.
HEAD_BYTES = 4096
PARQUET, ZIP, GZIP = b"PAR1", b"PK\x03\x04", b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}

# (field, reason) -> rows left out; a row with two faults counts twice.
Quality = Counter[tuple[str, str]]
# Device, inode, size and time of the last change.
Identity = tuple[int, int, int, int]


@dataclass
class Reading:
    """The counts of a reading, which grow with each batch.

    `left_out`: rows left out, each counted once. `malformed`: lines of the CSV file whose columns are not the header's,
    counted from the header as 1. `ignored`: the columns that Wardround ignores. Their names must not leave the pod: in
    a file without a header, they are the first patient's values. So `ignored` is empty if the file has none of the
    schema's columns. `nameable`: those of `ignored` that a status may name. `places`: None in a pod, because a line
    number can point at a patient.
    """

    quality: Quality = field(default_factory=Quality)
    left_out: int = 0
    malformed: list[int] = field(default_factory=list)
    ignored: tuple[ignored_columns.Column, ...] = ()
    nameable: tuple[ignored_columns.Column, ...] = ()
    places: Places | None = None


@dataclass(frozen=True)
class LeftOut:
    """The rows of a batch that break the schema. `identifiers`, `targets`: one for each row, None and NaN where they
    cannot be read."""

    identifiers: list[str | None]
    targets: npt.NDArray[np.float64]


@dataclass(frozen=True)
class CheckedRows:
    """All rows of a batch. `checked`: one for each of `schema.columns`. `wrong`: of shape (columns, rows), whether this
    column of the row breaks the schema."""

    checked: tuple[columns.Column, ...]
    wrong: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """Valid rows: the patients' identifiers, and the view (columns of `view_schema`). `left_out`: the other rows."""

    identifiers: list[str]
    view: pa.RecordBatch
    left_out: LeftOut


def view_schema(schema: Schema) -> pa.Schema:
    """Columns of the view: features in schema order as float32, then the target (float32 or int64); no identifier."""
    target = pa.float32() if schema.field(schema.target).type == "number" else pa.int64()
    features = [pa.field(feature.name, pa.float32(), nullable=False) for feature in schema.features]
    return pa.schema([*features, pa.field(schema.target, target, nullable=False)])


def read(path: Path, kind: str, schema: Schema, reading: Reading) -> Iterator[Batch]:
    """Yields valid rows and counts invalid rows into `reading`.

    Raises PodError (ColumnMissing, DataUnreadable, DataReplaced).
    """
    for rows in examine(path, kind, schema, reading):
        yield _valid(rows, schema)


def examine(path: Path, kind: str, schema: Schema, reading: Reading) -> Iterator[CheckedRows]:
    """Yields all rows but the malformed ones, and counts invalid rows into `reading`. Raises as `read`."""
    before = _identity(path, kind)
    _check_format(path, kind)
    rows = _csv(path, schema, reading) if kind == "CSV" else _parquet(path, schema, reading)
    while True:
        try:
            raw = next(rows)
        except StopIteration:
            _check_same(before, path, kind)
            return
        except UnicodeDecodeError:
            _check_same(before, path, kind)
            # `from None`, because the error holds text of the file.
            fault = "the names of its columns are not in UTF-8. Export the file as UTF-8"
            raise unreadable(path, kind, fault) from None
        except (pa.ArrowException, OSError) as error:
            _check_same(before, path, kind)
            raise unreadable(
                path, kind, "check that the file is complete, has this format, and has its text in UTF-8"
            ) from error
        yield _examined(raw, schema, reading)


def unreadable(path: Path, kind: str, fault: str) -> PodError:
    return PodError("DataUnreadable", f"{path.name} cannot be read as {kind} (Dataset.spec.format): {fault}")


def _check_format(path: Path, kind: str) -> None:
    """Raises PodError (DataUnreadable) for frequent mistakes, because Arrow's errors do not name them."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, kind, f"the volume answered {type(error).__name__}") from error
    fault = ""
    if not head:
        fault = "it is empty"
    elif kind == "CSV" and head.startswith(PARQUET):
        fault = "it is a Parquet file. Set spec.format to Parquet"
    elif kind == "CSV" and head.startswith(ZIP):
        fault = "it is a workbook or another ZIP archive. Export the table as CSV in UTF-8"
    elif head.startswith(GZIP):
        fault = "it is compressed by gzip. Unpack it"
    elif kind == "CSV" and (head.startswith(UTF_16) or b"\0" in head):
        fault = "its text is UTF-16 or another encoding with NUL bytes. Save it as UTF-8"
    if fault:
        raise unreadable(path, kind, fault)


def _identity(path: Path, kind: str) -> Identity:
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, kind, f"the volume answered {type(error).__name__}") from error
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _check_same(before: Identity, path: Path, kind: str) -> None:
    """Raises PodError (DataReplaced): rows of two files, or of half a file, must not be counted as one Dataset."""
    if _identity(path, kind) != before:
        message = f"somebody replaced or changed {path.name} during the reading. The rows of this reading do not count"
        raise PodError("DataReplaced", message)


def quality_list(quality: Quality) -> tuple[LeftOutRows, ...]:
    """Most frequent first, because `outcome.terminate` cuts the list at its end."""
    ordered = sorted(quality.items(), key=lambda item: (-item[1], item[0]))
    return tuple(LeftOutRows(field, reason, rows) for (field, reason), rows in ordered if rows)


def _csv(path: Path, schema: Schema, reading: Reading) -> Iterator[Sequence[pa.Array]]:
    """Batches of columns as text, in the order of `schema.columns`."""
    names = [source.column for source in schema.columns]
    read_options = pa.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
    # The header is read first: the message names missing columns, and columns beyond the schema are not parsed.
    parse_options = pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    with pa.csv.open_csv(path, read_options=read_options, parse_options=parse_options) as reader:
        _check_separator(path, reader.schema.names, schema)
        _check_columns(reader.schema.names, schema, reading)

    def skip(row: pa.csv.InvalidRow) -> str:
        reading.quality[EVERY_FIELD, ROW_MALFORMED] += 1
        reading.left_out += 1
        reading.malformed.append(row.number)
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
            yield batch.columns


def _parquet(path: Path, schema: Schema, reading: Reading) -> Iterator[Sequence[pa.Array]]:
    """Batches of columns as text, in the order of `schema.columns`."""
    names = [source.column for source in schema.columns]
    with pa.parquet.ParquetFile(path) as file:
        _check_columns(file.schema_arrow.names, schema, reading)
        rows = min(BATCH_ROWS, max(1, BATCH_VALUES // len(names)))
        for batch in file.iter_batches(rows, columns=names, use_threads=False):
            texts = []
            for source in schema.columns:
                field = source.field
                try:
                    raw = batch.column(source.column)
                    texts.append(columns.as_text(raw, field, identifier=source is schema.identifier))
                except pa.ArrowException as error:
                    message = f"field {field.name!r}: the Parquet column does not hold the type {field.type}"
                    raise PodError("DataUnreadable", message, field=field.name) from error
            yield texts


def _check_separator(path: Path, names: Sequence[str], schema: Schema) -> None:
    """Raises PodError (DataUnreadable) if fields of the schema are only found with a separator other than the comma."""
    wanted = {each.column for each in schema.columns} - set(names)
    for separator, word in SEPARATORS.items():
        parts = {part.strip('" ') for name in names if separator in name for part in name.split(separator)}
        if wanted & parts:
            fault = f"its values are separated by {word}. Export it with commas, and with points in decimal numbers"
            raise unreadable(path, "CSV", fault)


def _check_columns(names: Sequence[str], schema: Schema, reading: Reading) -> None:
    """Writes `ignored` and `nameable` of `reading`. Raises PodError with all fields that have no column, or several."""
    headed = not {each.column for each in schema.columns}.isdisjoint(names)
    if headed:
        reading.ignored = ignored_columns.columns(names, schema)
        reading.nameable = ignored_columns.nameable(names, schema)
    missing = [each for each in schema.columns if each.column not in names]
    double = [each for each in schema.columns if names.count(each.column) > 1]
    if missing or double:
        reason = "ColumnMissing" if missing else "DataUnreadable"
        remedy = "correct the file, or name its columns in Dataset.spec"
        message = f"{_column_faults(missing, double)}: {remedy}{_likely_cause(names, missing, headed=headed)}"
        raise PodError(reason, message, field=(missing or double)[0].field.name)


def _column_faults(missing: Sequence[Source], double: Sequence[Source]) -> str:
    faults = [f"the data has no column {_listed(missing)}"] if missing else []
    if double:
        faults.append(f"the data has column {_listed(double)} more than once")
    return ", and ".join(faults)


def _likely_cause(names: Sequence[str], missing: Sequence[Source], *, headed: bool) -> str:
    """The end of the message: a frequent mistake, empty if the columns do not show one. `headed`: whether the file
    has a column of the schema."""
    spellings = {_spelling(name) for name in names}
    if alike := [each for each in missing if _spelling(each.column) in spellings]:
        return f". The file writes these names with other capital letters or blanks: {_listed(alike)}"
    if headed:
        return ""
    return ". The file has no column of the schema: is its first line a header with the columns' names?"


def _spelling(name: str) -> str:
    """A column's name without capital letters and without blanks at its ends."""
    return name.strip().casefold()


def _listed(sources: Sequence[Source]) -> str:
    """The columns, each with its field where that has another name."""
    words = [
        each.column if each.column == each.field.name else f"{each.column} (field {each.field.name})"
        for each in sources
    ]
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")


def _examined(raw: Sequence[pa.Array], schema: Schema, reading: Reading) -> CheckedRows:
    needed = schema.needed | {schema.identifier.field.name}
    checked = tuple(
        columns.check(texts, source, needed=source.field.name in needed)
        for texts, source in zip(raw, schema.columns, strict=True)
    )
    wrong = np.zeros((len(checked), len(raw[0])), np.bool_)
    for place, (source, column) in enumerate(zip(schema.columns, checked, strict=True)):
        for problem, mask in column.problems:
            reason = IDENTIFIER_MISSING if problem == MISSING and source is schema.identifier else problem
            wrong[place] |= mask
            reading.quality[source.field.name, reason] += int(np.count_nonzero(mask))
            if reading.places is not None:
                reading.places.add(source.field.name, reason, mask)
    if reading.places is not None:
        reading.places.read += wrong.shape[1]
    reading.left_out += int(np.count_nonzero(np.logical_or.reduce(wrong)))
    return CheckedRows(checked, wrong)


def _valid(rows: CheckedRows, schema: Schema) -> Batch:
    checked, wrong = rows.checked, rows.wrong
    left_out = np.logical_or.reduce(wrong)
    keep = ~left_out
    places = {source.field.name: place for place, source in enumerate(schema.sources, 1)}
    identifiers, targets = checked[0].text, checked[places[schema.target]].numbers
    assert targets is not None, "the target is a number by schema"
    features = [feature.numbers(checked[places[feature.field.name]]) for feature in schema.features]
    layout = view_schema(schema)
    view = [
        pa.array(numbers[keep].astype(column.type.to_pandas_dtype()))
        for column, numbers in zip(layout, [*features, targets], strict=True)
    ]
    others = LeftOut(
        pc.filter(pc.if_else(pa.array(wrong[0]), None, identifiers), pa.array(left_out)).to_pylist(),
        np.where(wrong[places[schema.target]], np.nan, targets)[left_out],
    )
    valid = pc.filter(identifiers, pa.array(keep)).to_pylist()
    return Batch(valid, pa.record_batch(view, schema=layout), others)
