"""The sums of one hospital: all that is sent about its predictions. Sums of several hospitals add up.

Weights: a row weighs one over the number of its patient's rows, so that a patient with many visits counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from wardround.metrics import bins
from wardround.metrics.bins import Floats
from wardround.wire import layouts

Sums = dict[str, Floats]


def count(labels: npt.ArrayLike, probabilities: npt.ArrayLike, patients: npt.ArrayLike) -> Sums:
    """The sums of `layouts.SUMS` and the histogram over these rows.

    `labels`: 0 or 1. `patients`: a number for each row, equal for rows of one patient. All have the shape (rows,).
    Pairs are pairs of rows of this hospital. If each patient has one row, their numbers are exact below 2^53.
    """
    rows = _Rows(np.asarray(labels) == 1, bins.clip(probabilities), np.asarray(patients))
    return {
        "people": np.array([rows.people, rows.with_row(rows.positive), rows.with_row(~rows.positive)], np.float64),
        "rows": np.array([len(rows.weights)], np.float64),
        "weights": np.array([rows.weight(~rows.positive), rows.weight(rows.positive)]),
        "loss": _sum_and_squares(rows.losses),
        "brier": _sum_and_squares(rows.per_person(np.square(rows.clipped - rows.positive))),
        "confusion": _confusion(rows),
        "expected": np.array([(rows.weights * rows.clipped).sum()]),
        "pairs": _pairs(rows),
        "histogram": _histogram(rows),
    }


def compare(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, references: Sequence[npt.ArrayLike], patients: npt.ArrayLike
) -> Sums:
    """The tensor of `layouts.DIFFERENCES`, a row for each reference; empty without references.

    `references`: the probabilities of each reference for the same rows, clipped as those of the model are.
    """
    if not references:
        return {}
    model, *others = (
        _Rows(np.asarray(labels) == 1, bins.clip(each), np.asarray(patients)).losses
        for each in (probabilities, *references)
    )
    rows = [np.concatenate([[other.sum()], _sum_and_squares(model - other)]) for other in others]
    return {layouts.DIFFERENCES: np.stack(rows)}


def add(several: Sequence[Mapping[str, Floats]]) -> Sums:
    """The sums over several hospitals. Pairs stay pairs within a hospital."""
    return {name: np.sum([each[name] for each in several], axis=0) for name in several[0]}


@dataclass(frozen=True)
class _Rows:
    """`positive`: shape (rows,), bool. `patients`: numbers of any kind."""

    positive: npt.NDArray[np.bool_]
    clipped: Floats
    patients: npt.NDArray[np.int64]

    @cached_property
    def _grouped(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        _, person, visits = np.unique(self.patients, return_inverse=True, return_counts=True)
        return person, visits

    @property
    def person(self) -> npt.NDArray[np.int64]:
        """The number of each row's patient, from 0 on."""
        return self._grouped[0]

    @property
    def people(self) -> int:
        return len(self._grouped[1])

    @cached_property
    def weights(self) -> Floats:
        person, visits = self._grouped
        return 1.0 / visits[person] if self.people else np.zeros(0)

    def weight(self, chosen: npt.NDArray[np.bool_]) -> float:
        return float(self.weights[chosen].sum())

    def with_row(self, chosen: npt.NDArray[np.bool_]) -> int:
        """The number of patients with such a row."""
        return len(np.unique(self.person[chosen]))

    def per_person(self, values: Floats) -> Floats:
        """The weighted sum of each patient's rows."""
        return _weigh(self.person, self.weights * values, self.people)

    @property
    def losses(self) -> Floats:
        """The weighted mean log loss of each patient."""
        return self.per_person(np.where(self.positive, -np.log(self.clipped), -np.log1p(-self.clipped)))


def _sum_and_squares(values: Floats) -> Floats:
    return np.array([values.sum(), np.square(values).sum()])


def _confusion(rows: _Rows) -> Floats:
    predicted = rows.clipped >= 0.5
    cells = (
        rows.positive & predicted,
        ~rows.positive & predicted,
        ~rows.positive & ~predicted,
        rows.positive & ~predicted,
    )
    return np.array([rows.weight(cell) for cell in cells])


def _histogram(rows: _Rows) -> Floats:
    index = bins.indices(rows.clipped)
    classes = (~rows.positive, rows.positive)
    return np.stack([_weigh(index[each], rows.weights[each], bins.BINS) for each in classes])


def _pairs(rows: _Rows) -> Floats:
    """Weight of the pairs, weight of the pairs in order, and the squared weight times the variance of the AUC.

    The variance is that of DeLong et al. (Biometrics 1988) if each patient has one row. For patients with several rows
    it is Obuchowski's (Biometrics 1997, "Nonparametric analysis of clustered ROC curve data"), with our weights. It
    is 0 where a class has one patient, because one patient does not vary.
    """
    places, place = np.unique(rows.clipped, return_inverse=True)
    positive, negative = rows.positive, ~rows.positive
    negatives = _weigh(place[negative], rows.weights[negative], len(places))
    positives = _weigh(place[positive], rows.weights[positive], len(places))
    lower = np.cumsum(negatives) - negatives
    higher = positives.sum() - np.cumsum(positives)
    total_negative, total_positive = rows.weight(negative), rows.weight(positive)
    ordered = float((positives * (lower + negatives / 2)).sum())
    if not total_negative or not total_positive:
        return np.zeros(3)
    # For each row: the weight of rows of the other class with which it is in order.
    won = np.where(positive, (lower + negatives / 2)[place], (higher + positives / 2)[place])
    mean = np.where(positive, ordered / total_positive, ordered / total_negative)
    deviation = won - mean
    of_positives, of_negatives = (rows.per_person(np.where(each, deviation, 0.0)) for each in (positive, negative))
    variance = (
        _corrected(rows.with_row(positive)) * np.square(of_positives).sum()
        + _corrected(rows.with_row(negative)) * np.square(of_negatives).sum()
        + 2 * _corrected(rows.people) * (of_positives * of_negatives).sum()
    )
    # Mathematically never negative. Rounding can leave less than nothing of a variance of 0.
    return np.array([total_negative * total_positive, ordered, max(0.0, float(variance))])


def _weigh(places: npt.NDArray[np.int64], weights: Floats, size: int) -> Floats:
    """The sum of the weights at each place, of shape (size,)."""
    return np.bincount(places, weights, size).astype(np.float64)


def _corrected(people: int) -> float:
    """n / (n - 1), which makes an estimated variance unbiased; 0 for one person."""
    return people / (people - 1) if people > 1 else 0.0
