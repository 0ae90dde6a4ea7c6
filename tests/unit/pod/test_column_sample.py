"""A sample has one row of each of the patients with the lowest positions, in whatever batches the rows come."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from wardround.pod import column_sample
from wardround.pod.column_sample import Sample


def batch(positions: list[int]) -> tuple[np.ndarray, pa.RecordBatch]:
    """Rows whose values say the patient, and which row of the batch it is."""
    values = {"patient": np.array(positions, np.float32), "row": np.arange(len(positions))}
    return np.array(positions, np.uint64), pa.RecordBatch.from_pydict(values)


def test_the_first_row_of_each_patient_counts() -> None:
    sample = Sample()
    sample.add(*batch([5, 3, 5, 9]))
    sample.add(*batch([3, 1]))
    assert sample.columns["patient"].tolist() == [1, 3, 5, 9]
    assert sample.columns["row"].tolist() == [1, 1, 0, 3]


@pytest.mark.parametrize("size", [1, 7, 500])
def test_a_large_file_gives_the_patients_with_the_lowest_positions(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(column_sample, "MOST_PEOPLE", 32)
    positions = np.random.default_rng(1).permutation(500).tolist()
    sample = Sample()
    for begin in range(0, len(positions), size):
        sample.add(*batch(positions[begin : begin + size]))
    assert sample.columns["patient"].tolist() == list(range(32))


def test_a_file_without_valid_rows_has_an_empty_sample() -> None:
    assert Sample().columns == {}
    sample = Sample()
    sample.add(*batch([]))
    assert [len(each) for each in sample.columns.values()] == [0, 0]
