"""The data of the case `diabetes`: one table of patients in the columns, units and spellings of five hospitals.

Diabetes data: 442 patients of B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, 2004, as scikit-learn ships them.
The target is whether the disease progressed within a year by more than the median. The table does not say from which
hospitals its patients come, so it is dealt to hospitals at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench import accuracy_layout
from bench.accuracy_layout import categories
from lab.splits import Cases, Layout

NAME = "diabetes"
IDENTIFIER, TARGET = "patient_id", "progressed"
FEATURES = ("age", "sex", "bmi", "blood_pressure", "cholesterol", "ldl", "hdl", "ratio", "log_triglycerides", "glucose")
# Milligrams in a decilitre for one millimole in a litre.
CHOLESTEROL, GLUCOSE = 38.67, 18.016
# The year in which the ages hold, for a hospital that exports years of birth.
YEAR = 2004

SCHEMA: Mapping[str, Any] = {
    "apiVersion": "wardround.io/v1alpha1",
    "kind": "DataSchema",
    "metadata": {"name": NAME},
    "spec": {
        "fields": [
            {"name": "age", "type": "number", "unit": "a", "minimum": "18", "maximum": "120"},
            {"name": "sex", "type": "integer", "categories": ["1", "2"]},
            {"name": "bmi", "type": "number", "unit": "kg/m2", "minimum": "10", "maximum": "80"},
            {"name": "blood_pressure", "type": "number", "unit": "mm[Hg]", "minimum": "30", "maximum": "250"},
            {"name": "cholesterol", "type": "number", "unit": "mmol/L", "minimum": "1", "maximum": "20"},
            {"name": "ldl", "type": "number", "unit": "mmol/L", "minimum": "0.1", "maximum": "20"},
            {"name": "hdl", "type": "number", "unit": "mmol/L", "minimum": "0.1", "maximum": "10"},
            {"name": "ratio", "type": "number", "minimum": "0"},
            {"name": "log_triglycerides", "type": "number"},
            {"name": "glucose", "type": "number", "unit": "mmol/L", "minimum": "1", "maximum": "50"},
            {"name": TARGET, "type": "integer", "categories": ["0", "1"]},
        ],
        "target": TARGET,
    },
}
_LIPIDS_IN_MILLIGRAMS = [
    {"name": "cholesterol", "from": "CHOL", "scale": repr(1 / CHOLESTEROL)},
    {"name": "ldl", "from": "LDL", "scale": repr(1 / CHOLESTEROL)},
    {"name": "hdl", "from": "HDL", "scale": repr(1 / CHOLESTEROL)},
]
_GLUCOSE_IN_MILLIGRAMS = {"name": "glucose", "from": "GLU", "scale": repr(1 / GLUCOSE)}


# Dataset.spec.fields of each hospital. The first one exports the DataSchema's own columns.
HOSPITALS: Sequence[Sequence[Mapping[str, Any]]] = (
    (),
    (
        {"name": "age", "from": "ALTER"},
        {"name": "sex", "from": "GESCHLECHT", "categories": categories(_1="w", _2="m")},
        {"name": "blood_pressure", "from": "RR_MITTEL"},
        *_LIPIDS_IN_MILLIGRAMS,
        _GLUCOSE_IN_MILLIGRAMS,
        {"name": TARGET, "from": "VERLAUF", "categories": categories(_0="stabil", _1="schlechter")},
    ),
    (
        {"name": "age", "from": "year_of_birth", "scale": "-1", "offset": str(YEAR)},
        {"name": "sex", "categories": categories(_1="2", _2="1")},
        {"name": TARGET, "categories": categories(_0="no", _1="yes")},
    ),
    (
        {"name": "age", "from": "age_months", "scale": repr(1 / 12)},
        {"name": "blood_pressure", "from": "map_kpa", "scale": "7.500615"},
        *_LIPIDS_IN_MILLIGRAMS,
    ),
    (
        {"name": "sex", "from": "gender", "categories": categories(_1="F", _2="M")},
        {"name": "bmi", "from": "BMI_X10", "scale": "0.1"},
        _GLUCOSE_IN_MILLIGRAMS,
    ),
)


def cases() -> Cases:
    """The patients as the DataSchema means them."""
    from sklearn.datasets import load_diabetes  # slow to import

    bunch = load_diabetes(scaled=False)
    values = bunch.data.copy()
    values[:, 4:7] /= CHOLESTEROL
    values[:, 9] /= GLUCOSE
    progressed = bunch.target > np.median(bunch.target)
    rows = [
        [f"patient-{number:04}", str(int(positive)), *(f"{value:.12g}" for value in features)]
        for number, (features, positive) in enumerate(zip(values, progressed, strict=True))
    ]
    return Cases([IDENTIFIER, TARGET, *FEATURES], rows, progressed)


def layout() -> Layout:
    """The hospitals' own columns, units and spellings."""
    identifier = {"column": IDENTIFIER, "type": "string"}
    return Layout(
        SCHEMA,
        lambda hospital: accuracy_layout.dataset(NAME, HOSPITALS[hospital], identifier),
        lambda table, hospital: accuracy_layout.exported(table, HOSPITALS[hospital], IDENTIFIER),
    )
