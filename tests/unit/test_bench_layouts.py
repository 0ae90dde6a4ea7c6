"""The cases `mixed` and `diabetes` of bench.accuracy: files that look different say the same of the same people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bench import accuracy, accuracy_diabetes, accuracy_mixed
from bench.accuracy_mixed import CENTRES
from lab import demo_data
from lab.splits import Cases, Layout
from wardround.pod import dataset
from wardround.tabular import schema


def published(women: int = 120) -> pd.DataFrame:
    """Random women in the columns of the published table. Every tenth has no fifth visit."""
    draw = np.random.default_rng(5)
    bounds = dict.fromkeys(("BL.GE", "BL.Calc.I", "BL.Pl.I"), (0.0, 3.0)) | {
        "BL..BOP": (30, 100),
        "BL.PD.avg": (1.8, 7),
        "BL..PD.4": (3, 99),
        "BL.CAL.avg": (0.1, 5.2),
        accuracy_mixed.BLEEDING: (10, 90),
    }
    table = pd.DataFrame({name: draw.uniform(*each, women).round(3) for name, each in bounds.items()})
    table.loc[::10, accuracy_mixed.BLEEDING] = np.nan
    table["PID"] = np.arange(100_000, 100_000 + women)
    table["Age"], table["N.qualifying.teeth"] = draw.integers(16, 45, women), draw.integers(3, 29, women)
    for name, words in (
        ("Group", ["C", "T"]),
        ("Education", ["LT 8 yrs ", "8-12 yrs ", "MT 12 yrs"]),
        ("Clinic", [each.code for each in CENTRES]),
    ):
        table[name] = draw.choice(words, women)
    return table


def diabetes() -> tuple[Cases, Layout, int]:
    return accuracy_diabetes.cases(), accuracy_diabetes.layout(), len(accuracy_diabetes.HOSPITALS)


def mixed() -> tuple[Cases, Layout, int]:
    return accuracy_mixed.cases(published())[0], accuracy_mixed.layout(), len(CENTRES)


def read(folder: Path, cases: Cases, layout: Layout, hospital: int) -> tuple[list[str], pa.Table]:
    """Identifiers and view of all patients, read from a hospital's file."""
    demo_data.write(layout.export((cases.header, cases.rows), hospital), folder / "cases.csv")
    table = schema.parse(layout.data_schema["spec"], layout.dataset(hospital)["spec"])
    reading = dataset.Reading()
    batches = list(dataset.read(folder / "cases.csv", "CSV", table, reading))
    assert (reading.left_out, reading.ignored) == (0, ())
    identifiers = [each for batch in batches for each in batch.identifiers]
    return identifiers, pa.Table.from_batches([batch.view for batch in batches])


@pytest.mark.parametrize("case", [diabetes, mixed])
def test_all_hospitals_mean_the_same_by_other_columns_units_and_categories(tmp_path: Path, case: object) -> None:
    cases, layout, hospitals = diabetes() if case is diabetes else mixed()
    identifiers, view = read(tmp_path, cases, layout, 0)
    target = layout.data_schema["spec"]["target"]
    assert identifiers == [row[0] for row in cases.rows]
    assert view.column(target).to_numpy().tolist() == cases.malignant.tolist()
    assert sorted(view.column_names) == sorted(cases.header[1:])
    headers = {tuple(layout.export((cases.header, cases.rows), each)[0]) for each in range(hospitals)}
    assert len(headers) == hospitals
    for hospital in range(1, hospitals):
        others, own = read(tmp_path, cases, layout, hospital)
        assert others == identifiers
        for name in view.column_names:
            np.testing.assert_array_equal(own.column(name), view.column(name), f"{name} of hospital {hospital}")


def test_women_without_a_fifth_visit_are_left_out_and_the_centre_is_the_tables() -> None:
    table = published()
    cases, centres = accuracy_mixed.cases(table)
    seen = table[table[accuracy_mixed.BLEEDING].notna()]
    assert len(cases.rows) == len(seen) == 108
    assert centres.tolist() == seen["Clinic"].tolist()
    assert cases.malignant.tolist() == (seen[accuracy_mixed.BLEEDING] < 50).tolist()


def test_a_centre_trains_on_its_own_women_only_and_holds_out_its_own() -> None:
    cases, centres = accuracy_mixed.cases(published())
    [split] = accuracy_mixed.draw_splits(cases.malignant, centres, 1, seed=3)
    assert {name: set(centres[own]) for name, own in split.train.items()} == {
        each.name: {each.code} for each in CENTRES
    }
    trained = np.concatenate(list(split.train.values()))
    assert sorted([*trained, *split.test]) == list(range(len(cases.rows)))


def test_the_auc_is_of_pairs_within_a_hospital() -> None:
    truth = np.array([True, False, True, False])
    probabilities = np.array([0.9, 0.8, 0.2, 0.1])
    # Within each hospital, the positive row is above the negative one. Across hospitals, one pair is not in order.
    assert accuracy.auc(truth, probabilities, np.array(["a", "a", "b", "b"])) == 1
    assert accuracy.auc(truth, probabilities, np.zeros(4)) == 0.75
    assert accuracy.auc(truth, np.full(4, 0.5), np.zeros(4)) == 0.5


def test_candidates_are_compared_on_no_test_row() -> None:
    malignant = np.arange(200) % 3 == 0
    [split] = accuracy.draw_splits("wisconsin", malignant, 1, seed=4)
    inner = accuracy._inner(malignant, split, seed=5)
    assert not set(inner.test) & set(split.test)
    trained = np.concatenate(list(inner.train.values()))
    assert sorted([*trained, *inner.test]) == sorted(np.concatenate(list(split.train.values())))
