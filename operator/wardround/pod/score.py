"""The last container of Evaluate: compares predictions with labels that only it has, and lets out nothing but counts.

Predictions were written by researchers' code and are trusted in nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from wardround.pod import metrics, output, update
from wardround.pod.folders import Folders
from wardround.pod.outcome import Failure, run
from wardround.tensors import Tensor, Writer

PROBABILITY = "probability"
ROW_BYTES = 32  # a double, its levels and page headers, generously
FILE_SLACK = 1 << 20
OTHER_FILES = 64 << 20
BATCH_ROWS = 65536

# A Parquet footer is decoded before anything of it can be checked; real ones of one column need a few kilobytes.
FOOTER_STRING_LIMIT, FOOTER_LIST_LIMIT = 1 << 20, 1 << 16

LAYOUT = (Tensor("negatives", "F64", (metrics.BINS,)), Tensor("positives", "F64", (metrics.BINS,)))


def score(folders: Folders) -> None:
    """Reads out/predictions.parquet and private/labels.parquet, writes update/. Raises Failure."""
    report = json.loads(folders.report_file.read_text("utf-8"))
    task = report["task"]
    labels = parquet.read_table(folders.labels_file, use_threads=False).column(0).to_numpy()
    limit = ROW_BYTES * len(labels) + FILE_SLACK
    output.inspect(folders.out, limit + OTHER_FILES)
    probabilities = _predictions(folders, limit, len(labels))
    bins = np.minimum(metrics.BINS - 1, np.floor(probabilities * metrics.BINS)).astype(np.int64)
    counts = {
        "negatives": np.bincount(bins[labels == 0], minlength=metrics.BINS).astype(np.float64),
        "positives": np.bincount(bins[labels == 1], minlength=metrics.BINS).astype(np.float64),
    }
    estimated = metrics.estimate(counts["negatives"].tolist(), counts["positives"].tolist())
    disclosure = metrics.disclose(estimated, task["metrics"], report["cells"], int(task["minCell"]))

    def fill(writer: Writer) -> update.Claims:
        for tensor in writer.layout.tensors:
            writer.write(counts[tensor.name])
        return update.Claims(int(report["samples"]), disclosure, task["baseDigest"])

    update.publish(folders.update, LAYOUT, fill)


def _predictions(folders: Folders, limit: int, rows: int) -> npt.NDArray[np.float64]:
    with output.opened(folders.out, output.PREDICTIONS, limit) as file:
        try:
            found = np.concatenate([np.empty(0), *_columns(file, rows)])
        except (pa.ArrowException, OSError):
            raise _invalid("it cannot be read as Parquet") from None
    if len(found) != rows:
        raise _invalid(f"it must have one row for each of the {rows} rows of test.parquet")
    if not np.isfinite(found).all():
        raise Failure("NotFinite", f"{output.PREDICTIONS} has values that are infinite or no number")
    if ((found < 0) | (found > 1)).any():
        raise _invalid("probabilities lie between 0 and 1")
    return found


def _columns(file: Any, rows: int) -> Iterator[npt.NDArray[np.float64]]:
    reader = parquet.ParquetFile(
        file,
        thrift_string_size_limit=FOOTER_STRING_LIMIT,
        thrift_container_size_limit=FOOTER_LIST_LIMIT,
    )
    kinds = (pa.float64(), pa.float32())
    if reader.schema_arrow.names != [PROBABILITY] or reader.schema_arrow.field(0).type not in kinds:
        raise _invalid(f"it must have one column, {PROBABILITY}, of floats")
    seen = 0
    for batch in reader.iter_batches(BATCH_ROWS, use_threads=False):
        # The footer's number of rows is a claim like any other.
        seen += batch.num_rows
        if seen > rows:
            raise _invalid(f"it must have one row for each of the {rows} rows of test.parquet")
        if batch.column(0).null_count:
            raise _invalid("a row has no value")
        yield batch.column(0).to_numpy().astype(np.float64)


def _invalid(why: str) -> Failure:
    return Failure("PredictionsInvalid", f"{output.PREDICTIONS}: {why}")


def main(argv: Sequence[str]) -> int:
    return run("score", lambda: score(Folders.from_environment()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
