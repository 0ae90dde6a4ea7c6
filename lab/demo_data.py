"""Splits the Wisconsin breast cancer data into three hospitals, with faults as in real exports. Knows no cluster.

569 cases of W. H. Wolberg, W. N. Street and O. L. Mangasarian, 1995, as scikit-learn ships them.
`python -m lab.demo_data FOLDER` writes dataschema.yaml, and one folder for each hospital: cases.csv, dataset.yaml and
its secrets.
`wardround simulate --data FOLDER` reads them.
"""

import csv
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab import demo_rounds

SEED = 2026
FILE = "cases.csv"
ORDER_KEY, SPLIT_KEY = "secrets/order/key", "secrets/split/breast/key"


@dataclass(frozen=True)
class Hospital:
    """A real hospital's first pod makes its keys at random, and nobody else sees them. The demo's keys are public, so
    that its results are reproducible."""

    name: str
    display_name: str
    cases: int
    malignant: int

    @property
    def keys(self) -> dict[str, bytes]:
        """By their files on the claim `state`: the key of the row order, and the key of the split, which decides which
        patients are on the test side."""
        return {
            ORDER_KEY: hashlib.sha256(f"demo-order-of-{self.name}".encode()).digest(),
            SPLIT_KEY: f"demo-split-of-{self.name}".encode(),
        }


# Sizes of about 60, 28 and 12 %. There are 212 malignant cases in all, too few for 40, 60 and 10 % of these sizes: the
# first two hospitals get a little less, the screening clinic its 10 %.
HOSPITALS = (
    Hospital("site-a", "University hospital", 341, 122),
    Hospital("site-b", "County hospital", 159, 83),
    Hospital("site-c", "Screening clinic", 69, 7),
)
# (row, column, text in the export): a missing value, a number with a unit, an impossible value.
BLEMISHES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "site-a": ((17, "mean_texture", ""), (101, "worst_radius", "21.4 mm"), (230, "mean_smoothness", "999")),
    "site-b": ((40, "mean_area", "NA"), (77, "mean_perimeter", "88.2 mm")),
    "site-c": ((5, "worst_area", "-1"),),
}

# So many of the last rows of this hospital are missing in its file when the demo begins: they are its new cases.
GROWING, NEW_CASES = "site-a", 60
# The last row of this hospital is not in its file: this is the new patient about whom the clinic asks the model.
ASKING = "site-c"

Table = tuple[list[str], list[list[str]]]


def tables() -> dict[str, Table]:
    """Header and rows of each hospital: equal on every machine."""
    from sklearn.datasets import load_breast_cancer  # slow to import, and used only here

    bunch = load_breast_cancer()
    columns = [column_name(name) for name in bunch.feature_names]
    values, malignant = bunch.data, bunch.target == 0
    shuffle = np.random.default_rng(SEED)
    pools = {truth: list(shuffle.permutation(np.flatnonzero(malignant == truth))) for truth in (True, False)}
    result: dict[str, Table] = {}
    for hospital in HOSPITALS:
        counts = {True: hospital.malignant, False: hospital.cases - hospital.malignant}
        chosen = [pools[truth].pop() for truth, count in counts.items() for _ in range(count)]
        rows = [
            [f"{hospital.name}-{number:04}", str(int(malignant[case])), *(f"{value:g}" for value in values[case])]
            for number, case in enumerate(shuffle.permutation(chosen), 1)
        ]
        header = ["patient_id", "malignant", *columns]
        for row, column, text in BLEMISHES[hospital.name]:
            rows[row][header.index(column)] = text
        result[hospital.name] = (header, rows)
    return result


def at_start(made: Mapping[str, Table]) -> dict[str, Table]:
    """The tables as the demo begins: without the new cases and without the new patient."""
    missing = {GROWING: NEW_CASES, ASKING: 1}
    return {name: (header, rows[: len(rows) - missing.get(name, 0)]) for name, (header, rows) in made.items()}


def new_patient(made: Mapping[str, Table]) -> Table:
    """The clinic's new patient, whose diagnosis nobody knows: a table without the target."""
    header, rows = made[ASKING]
    place = header.index(target())
    return [*header[:place], *header[place + 1 :]], [[*rows[-1][:place], *rows[-1][place + 1 :]]]


def flipped(table: Table) -> Table:
    """The table with the other label in each row."""
    header, rows = table
    place, other = header.index(target()), {"0": "1", "1": "0"}
    return header, [[*row[:place], other[row[place]], *row[place + 1 :]] for row in rows]


def target() -> str:
    """The column of the label."""
    return str(demo_rounds.data_schema()["spec"]["target"])


def column_name(feature: str) -> str:
    """`mean concave points` becomes `mean_concave_points`."""
    return feature.replace(" ", "_")


def write(table: Table, path: Path) -> None:
    """Write the table as CSV, readable by the pod's user."""
    header, rows = table
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    path.chmod(0o644)


def read_folders(folder: Path) -> dict[str, Table]:
    """The tables of `write_folders`. Needs no scikit-learn."""
    return {hospital.name: read(folder / hospital.name / FILE) for hospital in HOSPITALS}


def read(path: Path) -> Table:
    """The table that `write` has written."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows


def write_keys(hospital: Hospital, state: Path) -> None:
    """Write the keys where `prepare` looks for them before it makes any. `state`: the folder of the claim `state`."""
    for name in hospital.keys:
        write_key(hospital, name, state)


def write_key(hospital: Hospital, name: str, state: Path) -> None:
    file = state / name
    for folder in (file.parents[1], file.parent):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # the pod's user makes the keys of other Datasets beside
    file.write_bytes(hospital.keys[name])
    file.chmod(0o644)


def write_folders(folder: Path) -> None:
    """The DataSchema, and one folder for each hospital with the secrets of the demo."""
    made = tables()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataschema.yaml").write_text(demo_rounds.text([demo_rounds.data_schema()]), "utf-8")
    for hospital in HOSPITALS:
        own = folder / hospital.name
        own.mkdir(parents=True, exist_ok=True)
        write(made[hospital.name], own / FILE)
        (own / "dataset.yaml").write_text(demo_rounds.text([demo_rounds.dataset()]), "utf-8")
        write_keys(hospital, own)


if __name__ == "__main__":
    write_folders(Path(sys.argv[1]))
