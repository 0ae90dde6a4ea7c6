"""Decides whether any rows can give an update's counts and sums, and how much they weigh; pure, knows no file or key.

The hub cannot verify a site's rows. But the sums of all sites are added, so one number that no rows give (1e300, half
a patient, a mean larger than its squares allow) would outweigh all other sites.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from wardround.metrics import bins
from wardround.metrics.differences import LARGEST_DIFFERENCE, LEAST_LOSS
from wardround.metrics.estimates import LARGEST_LOSS
from wardround.tensors import Array, Layout, layout_of
from wardround.wire import layouts

# Beyond it, float64 does not represent every whole number, and sums of counts would be wrong.
MOST_ROWS = 2.0**53
# On average. More rows make the weight of a single row so small that intervals overflow.
MOST_ROWS_PER_PATIENT = 10_000
# The sum over the largest number of sites stays finite, so no site can make the round overflow.
LARGEST_SUM = 1e300
# Tolerances for honest sums: each of many additions is rounded, and tiny squares underflow.
_ROUNDING = 1e-6
_TINY = 1e-150
# The least squared error of a patient, whose probabilities are clipped.
_LEAST_BRIER = bins.LEAST**2
# The prepared view holds features as float32.
_LARGEST_FEATURE = float(np.finfo(np.float32).max)


class Impossible(Exception):
    """No rows give these numbers."""


def statistics_layout(features: int) -> Layout:
    """Return the layout of a Statistics update over `features` features (docs/contracts.md, section 5)."""
    return layout_of(layouts.statistics(features))


def evaluation_layout(references: int) -> Layout:
    """Return the layout of an Evaluate update that compares its model with so many references."""
    return layout_of(layouts.evaluation(references))


def is_statistics(layout: Layout) -> bool:
    """Whether a file is a Statistics update over any number of features."""
    tensors = {tensor.name: tensor for tensor in layout.tensors}
    shape = tensors["count"].shape if "count" in tensors else ()
    return len(shape) == 1 and layout.header == statistics_layout(shape[0]).header


def row_count(numbers: Mapping[str, Array], samples: int) -> int:
    """Return the number of rows behind a Statistics update. Raises Impossible.

    `samples`: the manifest's claim. It is the least of rows, patients and a limit, so there are never fewer rows. There
    are more if a patient has several.
    """
    rows, positives, count = numbers["rows"], numbers["positives"], numbers["count"]
    total, squares = numbers["sum"], numbers["squares"]
    for counts in (rows, positives, count):
        _require(_whole(counts) & (counts <= rows[0]))
    _require((squares >= 0) & (squares <= LARGEST_SUM) & ((count > 0) | (squares == 0)))
    # Roots, because squares can overflow.
    largest = _LARGEST_FEATURE + np.abs(numbers["shift"])
    _require(np.sqrt(squares) <= np.sqrt(count) * largest * (1 + _ROUNDING))
    # Cauchy-Schwarz: (sum of x)^2 <= count * (sum of x^2). Roots, because the square of a sum can overflow.
    _require(np.abs(total) <= np.sqrt(count) * np.sqrt(squares) * (1 + _ROUNDING) + count * _TINY)
    _require(np.abs(total) <= LARGEST_SUM)
    _require_salt(numbers)
    _hold(samples <= rows[0])
    return int(rows[0])


def evaluated(numbers: Mapping[str, Array], samples: int, min_cell: int) -> int:
    """Return the number of patients behind an Evaluate update that is not withheld. Raises Impossible.

    `samples`: the manifest's claim, the least of the patients and a limit. `min_cell`: the hospital's own.
    """
    differences = numbers.get(layouts.DIFFERENCES)
    _require_sums({name: each for name, each in numbers.items() if name != layouts.DIFFERENCES}, min_cell)
    if differences is not None:
        _require_differences(differences.reshape(-1, layouts.PER_REFERENCE), numbers)
    _require_histogram(numbers)
    _require_salt(numbers)
    people = int(numbers["people"][0])
    _hold(samples <= people)
    return people


def validated(numbers: Mapping[str, Array], people: int, min_cell: int) -> None:
    """Check the sums of a Train update over the validation rows of `people` patients. Raises Impossible.

    `numbers`: empty where only the training code knows the metrics.
    """
    _hold(max(1, min_cell) <= people <= MOST_ROWS)
    if not numbers:
        return
    _hold({name: values.shape for name, values in numbers.items()} == dict(layouts.SUMS))
    _require_sums(numbers, min_cell)
    _hold(numbers["people"][0] == people)


def _require_sums(numbers: Mapping[str, Array], min_cell: int) -> None:
    """Raise Impossible unless the rows of patients, of `min_cell` patients in each class, give these sums."""
    for values in numbers.values():
        _require(np.isfinite(values) & (values >= 0) & (values <= LARGEST_SUM))
    people, positive_people, negative_people = numbers["people"].tolist()
    (rows,) = numbers["rows"].tolist()
    negatives, positives = numbers["weights"].tolist()
    _require(_whole(numbers["people"]) & (numbers["people"] <= people))
    _require(_whole(numbers["rows"]))
    # A patient with rows of both classes has two rows or more.
    _hold(1 <= people <= positive_people + negative_people <= rows <= MOST_ROWS_PER_PATIENT * people)
    _hold(min(positive_people, negative_people) >= min_cell)
    _equal(negatives + positives, people)
    # A patient's rows of one class weigh at most 1, and at least one over all rows.
    _between(positives, positive_people / rows, positive_people)
    _between(negatives, negative_people / rows, negative_people)
    _require_mean(numbers["loss"], people, LEAST_LOSS, LARGEST_LOSS)
    _require_mean(numbers["brier"], people, _LEAST_BRIER, bins.MOST**2)
    if rows == people:
        # Each row weighs 1.
        _require(_whole(numbers["weights"]))
        _require(_whole(numbers["confusion"]))
    _require_cells(numbers)
    _require_pairs(numbers)


def _require_cells(numbers: Mapping[str, Array]) -> None:
    """The four cells hold all weights, and the other sums fit predictions on the two sides of 0.5."""
    true_positives, false_positives, true_negatives, false_negatives = numbers["confusion"].tolist()
    negatives, positives = numbers["weights"].tolist()
    _equal(true_positives + false_negatives, positives)
    _equal(true_negatives + false_positives, negatives)
    predicted, others = true_positives + false_positives, true_negatives + false_negatives
    right, wrong = true_positives + true_negatives, false_positives + false_negatives
    _between(float(numbers["expected"][0]), predicted / 2 + others * bins.LEAST, predicted * bins.MOST + others / 2)
    for name, least, middle, most in (
        ("loss", LEAST_LOSS, math.log(2), LARGEST_LOSS),
        ("brier", _LEAST_BRIER, 0.25, bins.MOST**2),
    ):
        _between(float(numbers[name][0]), right * least + wrong * middle, right * middle + wrong * most)
    # A positive row above 0.5 and a negative row below are in order. Those on the wrong sides are not.
    pairs, ordered, _ = numbers["pairs"].tolist()
    least, most = true_positives * true_negatives, pairs - false_negatives * false_positives
    _between(ordered, least, most, slack=_ROUNDING * pairs)


def _require_mean(sums: Array, people: float, least: float, most: float) -> None:
    """`sums`: of values between `least` and `most`, one for each patient, and of their squares."""
    total, squares = sums.tolist()
    _between(total, people * least, people * most)
    # Cauchy-Schwarz below. Above: each square is at most `most` times the value.
    _between(squares, total * total / people, total * most)


def _require_differences(differences: Array, numbers: Mapping[str, Array]) -> None:
    """Each row is of a reference on the same people, whose loss and difference fit the loss of the model.

    The model's losses have the deviations a = |L - mean L| over people, as a Euclidean norm. The reference's have at
    most b, because they lie in the clipped range (Bhatia and Davis, American Mathematical Monthly 107, 2000). So the
    deviations of the differences have a norm between |a - b| and a + b. Without the lower end, a hospital whose two
    models differ much could claim that it is sure of the difference.
    """
    _require(np.isfinite(differences) & (np.abs(differences) <= LARGEST_SUM))
    people = float(numbers["people"][0])
    loss, loss_squares = numbers["loss"].tolist()
    for reference_loss, total, squares in differences.tolist():
        _between(reference_loss, people * LEAST_LOSS, people * LARGEST_LOSS)
        rounding = _ROUNDING * (loss + reference_loss)
        _between(total, loss - reference_loss, loss - reference_loss, slack=rounding)
        # Cauchy-Schwarz, and the largest difference of two losses in the clipped range.
        _between(squares, total * total / people, people * LARGEST_DIFFERENCE**2, slack=_ROUNDING * rounding)
        mean = reference_loss / people
        most = math.sqrt(people * max(0.0, (LARGEST_LOSS - mean) * (mean - LEAST_LOSS)))
        own = math.sqrt(max(0.0, loss_squares - loss * loss / people))
        rounding = _ROUNDING * (loss_squares + reference_loss * LARGEST_LOSS)
        _between(squares - total * total / people, max(0.0, own - most) ** 2, (own + most) ** 2, slack=rounding)


def _require_pairs(numbers: Mapping[str, Array]) -> None:
    """The pairs are all pairs of weights, and the variance is one that pairs can have.

    A patient's rows of one class weigh m <= 1 in all. Their mean deviation from the AUC, A, lies between -A and 1 - A,
    and the weighted mean of these is 0. So the sum of squares over patients is at most W A (1 - A), where W is the
    weight of the class.
    """
    pairs, ordered, variance = numbers["pairs"].tolist()
    _, positive_people, negative_people = numbers["people"].tolist()
    negatives, positives = numbers["weights"].tolist()
    _equal(pairs, negatives * positives)
    _between(ordered, 0.0, pairs)
    spread = ordered * max(0.0, pairs - ordered)  # pairs^2 A (1 - A)
    of_positives = _corrected(positive_people) * spread / positives if positives else 0.0
    of_negatives = _corrected(negative_people) * spread / negatives if negatives else 0.0
    _between(variance, 0.0, (math.sqrt(of_positives) + math.sqrt(of_negatives)) ** 2, slack=_ROUNDING * (pairs + 1))


def _corrected(people: float) -> float:
    return people / (people - 1) if people > 1 else 0.0


def _require_histogram(numbers: Mapping[str, Array]) -> None:
    """The bins hold all weights, and leave to the other sums no more room than the width of a bin."""
    histogram = numbers["histogram"].reshape(2, -1)
    negative, positive = histogram
    true_positives, false_positives, _, _ = numbers["confusion"].tolist()
    for counted, total in zip(histogram.sum(axis=1).tolist(), numbers["weights"].tolist(), strict=True):
        _equal(counted, total)
    _equal(float(positive[bins.MIDDLE :].sum()), true_positives)
    _equal(float(negative[bins.MIDDLE :].sum()), false_positives)
    lower, upper = bins.EDGES[:-1], bins.EDGES[1:]
    pairs, ordered, _ = numbers["pairs"].tolist()
    surely = float((positive * (np.cumsum(negative) - negative)).sum())
    _between(ordered, surely, surely + float((positive * negative).sum()), slack=_ROUNDING * pairs)
    both = negative + positive
    _between(float(numbers["expected"][0]), float(both @ lower), float(both @ upper))
    least = positive @ -np.log(upper) + negative @ -np.log1p(-lower)
    most = positive @ -np.log(lower) + negative @ -np.log1p(-upper)
    _between(float(numbers["loss"][0]), float(least), float(most))
    least = positive @ np.square(1 - upper) + negative @ np.square(lower)
    most = positive @ np.square(1 - lower) + negative @ np.square(upper)
    _between(float(numbers["brier"][0]), float(least), float(most))


def _require_salt(numbers: Mapping[str, Array]) -> None:
    _require(_whole(numbers["salt"]) & (numbers["salt"] <= 255))


def _whole(counts: Array) -> Array:
    return np.asarray((counts >= 0) & (counts <= MOST_ROWS) & (counts == np.floor(counts)))


def _equal(value: float, expected: float) -> None:
    _between(value, expected, expected)


def _between(value: float, least: float, most: float, *, slack: float = 0.0) -> None:
    """Raise Impossible unless `least <= value <= most`, but for rounding."""
    _hold(least * (1 - _ROUNDING) - slack <= value <= most * (1 + _ROUNDING) + slack)


def _hold(holds: bool) -> None:
    if not holds:
        raise Impossible


def _require(holds: Array) -> None:
    if not np.all(holds):
        raise Impossible
