"""The data of bench.accuracy's case `mixed`: five files that look different say the same of the same patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from bench import accuracy_mixed
from lab import demo_data
from wardround.pod import dataset
from wardround.tabular import schema


def read(folder: Path, hospital: int) -> tuple[list[str], pa.Table]:
    """Identifiers and view of all patients, read from a hospital's file."""
    cases, layout = accuracy_mixed.cases(), accuracy_mixed.layout()
    demo_data.write(layout.export((cases.header, cases.rows), hospital), folder / "cases.csv")
    table = schema.parse(layout.data_schema["spec"], layout.dataset(hospital)["spec"])
    reading = dataset.Reading()
    batches = list(dataset.read(folder / "cases.csv", "CSV", table, reading))
    assert (reading.left_out, reading.ignored) == (0, ())
    identifiers = [each for batch in batches for each in batch.identifiers]
    return identifiers, pa.Table.from_batches([batch.view for batch in batches])


def test_all_hospitals_mean_the_same_by_other_columns_units_and_spellings(tmp_path: Path) -> None:
    identifiers, view = read(tmp_path, 0)
    cases = accuracy_mixed.cases()
    assert len(identifiers) == len(cases.rows) == 442
    assert view.column(accuracy_mixed.TARGET).to_numpy().tolist() == cases.malignant.tolist()
    assert view.column_names == [*accuracy_mixed.FEATURES, accuracy_mixed.TARGET]
    headers = {tuple(accuracy_mixed.exported((cases.header, cases.rows), each)[0]) for each in range(5)}
    assert len(headers) == len(accuracy_mixed.HOSPITALS) == 5
    for hospital in range(1, 5):
        others, own = read(tmp_path, hospital)
        assert others == identifiers
        for name in view.column_names:
            np.testing.assert_array_equal(own.column(name), view.column(name), f"{name} of hospital {hospital}")
