"""The last container of Evaluate: compares predictions with labels that only it mounts, and publishes only counts.

Researchers' code wrote the predictions, so nothing in them is trusted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pyarrow import parquet

from wardround.metrics import binary as metrics
from wardround.pod import output, update
from wardround.pod.folders import Folders
from wardround.pod.outcome import Failure, run
from wardround.tensors import Writer, layout_of
from wardround.wire import codec, layouts
from wardround.wire.training import PrivateReport

ROW_BYTES = 8
OTHER_FILES = 64 << 20


def score(folders: Folders) -> None:
    """Reads out/predictions.f64 and private/labels.parquet, writes update/. Raises Failure."""
    report = codec.read_document(PrivateReport, folders.report_file.read_bytes(), folders.report_file.name)
    labels = parquet.read_table(folders.labels_file, use_threads=False).column(0).to_numpy()
    output.inspect(folders.out, ROW_BYTES * len(labels) + OTHER_FILES)
    probabilities = _predictions(folders, len(labels))
    bins = np.minimum(layouts.BINS - 1, np.floor(probabilities * layouts.BINS)).astype(np.int64)
    counts = {
        "negatives": np.bincount(bins[labels == 0], minlength=layouts.BINS).astype(np.float64),
        "positives": np.bincount(bins[labels == 1], minlength=layouts.BINS).astype(np.float64),
    }
    estimated = metrics.estimate(counts["negatives"].tolist(), counts["positives"].tolist())
    disclosure = metrics.disclose(estimated, report.metrics, report.cells, report.min_cell)

    def fill(writer: Writer) -> update.Summary:
        for tensor in writer.layout.tensors:
            writer.write(counts[tensor.name])
        return update.Summary(report.samples, disclosure, report.base_digest)

    update.publish(folders.update, layout_of(layouts.EVALUATE).tensors, fill)


def _predictions(folders: Folders, rows: int) -> npt.NDArray[np.float64]:
    """Probabilities, float64 of shape (rows,). Raises Failure (PredictionsInvalid, NotFinite).

    The file is raw doubles: this container mounts labels, so it runs no parser on a file that researchers' code wrote.
    """
    size = ROW_BYTES * rows
    with output.opened(folders.out, output.PREDICTIONS, size + OTHER_FILES) as file:
        data = file.read(size + 1)
    if len(data) != size:
        raise _invalid(f"it must have {size} bytes, {ROW_BYTES} for each of the {rows} rows of test.parquet")
    probabilities = np.frombuffer(data, "<f8")
    if not np.isfinite(probabilities).all():
        raise Failure("NotFinite", f"{output.PREDICTIONS} has values that are NaN or infinite")
    if ((probabilities < 0) | (probabilities > 1)).any():
        raise _invalid("each value must be a probability between 0 and 1")
    return probabilities


def _invalid(why: str) -> Failure:
    return Failure("PredictionsInvalid", f"{output.PREDICTIONS}: {why}")


def main(argv: Sequence[str]) -> int:
    return run("score", lambda: score(Folders.from_environment()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
