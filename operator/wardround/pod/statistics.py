"""The training step of a Statistics round: sums over this site's training rows; our own code, no researchers' image.

Only training rows count: the statistics become the model's standardisation, and hold-out rows must not leak into it.
Sums are over x - c, where c is the middle of the field's range in the schema. c is equal at every site, so the hub can
add the sums. c is near the data, so squares keep their digits (Chan, Golub, LeVeque 1983).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wardround import tensors
from wardround.pod import output
from wardround.pod.folders import Folders
from wardround.pod.outcome import run
from wardround.tabular import dataschema
from wardround.wire import codec, layouts
from wardround.wire.training import TrainingTask

Floats = npt.NDArray[np.float64]


def layout(table: dataschema.DataSchema) -> tensors.Layout:
    """The layout of this step's output: equal at every site with this schema."""
    return tensors.layout_of(layouts.counted(len(table.features)))


def shift(table: dataschema.DataSchema) -> Floats:
    """c of each feature, of shape (features,): the middle of its range, or 0 if the schema bounds one side at most."""
    ranges = [feature.range for feature in table.features]
    middles = [0.0 if low is None or high is None else (low + high) / 2 for low, high in ranges]
    return np.array(middles, np.float64)


def statistics(folders: Folders) -> None:
    """Reads data/train.parquet and task.json, writes out/model.safetensors."""
    from pyarrow import parquet

    task = codec.read_document(TrainingTask, folders.task_file.read_bytes(), folders.task_file.name)
    table = dataschema.parse(task.dataset.schema)
    centre = shift(table)
    total, squares = np.zeros_like(centre), np.zeros_like(centre)
    rows = positives = 0
    with parquet.ParquetFile(folders.view_file("train")) as file:
        for batch in file.iter_batches(use_threads=False):
            columns = [batch.column(feature.name).to_numpy() for feature in table.features]
            centred = np.stack(columns, axis=1).astype(np.float64) - centre
            total += centred.sum(axis=0)
            squares += np.square(centred).sum(axis=0)
            rows += batch.num_rows
            positives += int(np.count_nonzero(batch.column(table.target).to_numpy() == 1))
    tensors.write(
        folders.out / output.MODEL,
        {
            "count": np.full_like(centre, rows),
            "sum": total,
            "squares": squares,
            "shift": centre,
            "positives": np.array([positives], np.float64),
            "rows": np.array([rows], np.float64),
        },
    )


def main(argv: Sequence[str]) -> int:
    return run("statistics", lambda: statistics(Folders.from_environment()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
