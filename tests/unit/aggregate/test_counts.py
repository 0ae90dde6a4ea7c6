"""Counts and sums that some rows can give pass. Counts and sums that no rows can give are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.metrics.people import hospital
from wardround.aggregate import counts
from wardround.metrics import bins
from wardround.metrics import sums as metric_sums
from wardround.pod import statistics
from wardround.tabular import dataschema
from wardround.tensors import Tensor, canonical_layout
from wardround.wire import layouts

Numbers = dict[str, Any]
# Its result does not matter.
Change = Callable[[Numbers], Any]
FEATURES = 3


def summed(rows: Any, shift: float = 0.0, positives: int = 0) -> Numbers:
    """The numbers of a Statistics update over these rows."""
    centred = rows.astype(np.float64) - shift
    per_feature = {"sum": centred.sum(axis=0), "squares": np.square(centred).sum(axis=0)}
    whole = {"count": np.full(rows.shape[1], float(len(rows))), "shift": np.full(rows.shape[1], shift)}
    both = {"positives": np.array([float(positives)]), "rows": np.array([float(len(rows))])}
    return {**per_feature, **whole, **both, "salt": np.arange(32.0)}


def test_the_expected_layout_is_the_training_pods_layout_and_the_salt() -> None:
    fields = [{"name": name, "type": "number"} for name in ("a", "b", "c")]
    target = {"name": "ill", "type": "boolean"}
    table = dataschema.parse({"fields": [*fields, target], "target": "ill"})
    written = statistics.layout(table)
    sent = canonical_layout([*written.tensors, Tensor("salt", "F64", (32,))])
    assert counts.is_statistics(sent)
    assert not counts.is_statistics(written)
    assert sent.header == counts.statistics_layout(FEATURES).header


GOOD = counts.statistics_layout(FEATURES).tensors


@pytest.mark.parametrize(
    "tensors",
    [
        [],
        [Tensor("count", "F64", ())],
        [Tensor("count", "F64", (3, 1))],
        [*GOOD, Tensor("more", "F64", (1,))],
        [each for each in GOOD if each.name != "rows"],
        [Tensor(each.name, "F32", each.shape) for each in GOOD],
        [Tensor(each.name, "I64", each.shape) for each in GOOD],
        [Tensor(each.name, "F64", (4,) if each.name == "sum" else each.shape) for each in GOOD],
    ],
)
def test_a_file_with_other_tensors_is_not_statistics(tensors: list[Tensor]) -> None:
    assert not counts.is_statistics(canonical_layout(tensors))


def test_sums_of_random_rows_pass() -> None:
    dice = np.random.default_rng(1)
    for _ in range(300):
        size = int(dice.integers(1, 3000))
        scale = 10.0 ** dice.integers(-40, 30)
        rows = (dice.normal(size=(size, FEATURES)) * scale + dice.choice([0.0, scale, -1e6 * scale])).astype("<f4")
        if dice.random() < 0.3:
            rows[:] = rows[0]  # equal rows meet the bound exactly, except for rounding
        numbers = summed(rows, shift=float(dice.choice([0.0, 0.1, -1e3])), positives=int(dice.integers(0, size + 1)))
        assert counts.row_count(numbers, int(dice.integers(1, size + 1))) == size


def changed(name: str, place: int, value: float) -> Change:
    def change(numbers: Numbers) -> None:
        numbers[name][place] = value

    return change


def scaled(name: str, place: int, factor: float) -> Change:
    def change(numbers: Numbers) -> None:
        numbers[name][place] *= factor

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed("count", 0, 1e300),
        changed("count", 0, 41.0),
        changed("count", 1, -1.0),
        changed("count", 1, 39.5),
        changed("rows", 0, 1e300),
        changed("rows", 0, -40.0),
        changed("rows", 0, 40.5),
        changed("rows", 0, 39.0),
        changed("positives", 0, 41.0),
        changed("positives", 0, -1.0),
        changed("positives", 0, 0.5),
        changed("squares", 2, -1e-9),
        changed("squares", 2, 1.7e308),
        changed("squares", 2, 0.0),
        changed("sum", 2, 1e300),
        changed("sum", 2, -1e6),
        changed("count", 2, 0.0),
    ],
)
def test_sums_that_no_rows_can_give_are_impossible(change: Callable[[Numbers], None]) -> None:
    numbers = summed(np.random.default_rng(2).normal(size=(40, FEATURES)), positives=7)
    assert counts.row_count(numbers, 30) == 40
    change(numbers)
    with pytest.raises(counts.Impossible):
        counts.row_count(numbers, 30)


def test_equal_rows_meet_the_bound_on_a_sum() -> None:
    numbers = summed(np.full((40, FEATURES), 2.5))
    numbers["sum"] *= 1.00001
    with pytest.raises(counts.Impossible):
        counts.row_count(numbers, 40)


MIN_CELL = 11


def evaluation(seed: int = 1, *, people: int = 200, prevalence: float = 0.3, visits: int = 3) -> Numbers:
    """The sums of an honest hospital, as the aggregation reads them: each tensor flat."""
    rows = hospital(people, prevalence, seed, visits=visits)
    numbers = metric_sums.count(rows.labels, rows.probabilities, rows.patients)
    return {name: values.reshape(-1) for name, values in numbers.items()} | {"salt": np.arange(32.0)}


def validation(numbers: Numbers) -> Numbers:
    """The same sums as a Train update has them."""
    return {name: values for name, values in numbers.items() if name in layouts.SUMS}


def test_sums_of_honest_hospitals_pass() -> None:
    dice = np.random.default_rng(3)
    for seed in range(200):
        people, visits = int(dice.integers(60, 600)), int(dice.integers(1, 6))
        numbers = evaluation(seed, people=people, prevalence=float(dice.uniform(0.3, 0.7)), visits=visits)
        assert counts.evaluated(numbers, int(dice.integers(1, people + 1)), MIN_CELL) == people
        counts.validated(validation(numbers), people, MIN_CELL)


EXTREME: dict[str, Callable[[Any], Any]] = {
    "certain and right": lambda labels: labels.astype(float),
    "certain and wrong": lambda labels: 1.0 - labels,
    "all alike": lambda labels: np.full(len(labels), 0.3),
    "on the threshold": lambda labels: np.full(len(labels), 0.5),
    "below the threshold": lambda labels: np.full(len(labels), np.nextafter(0.5, 0)),
    "on the edges of bins": lambda labels: bins.EDGES[np.arange(len(labels)) % 257],
    "two values": lambda labels: np.where(np.arange(len(labels)) % 3, 1e-9, 0.999),
}


@pytest.mark.parametrize("case", EXTREME)
@pytest.mark.parametrize("visits", [1, 4])
def test_sums_of_extreme_predictions_pass(case: str, visits: int) -> None:
    patients = np.repeat(np.arange(60), visits)
    labels = (patients + np.arange(60 * visits) % visits) % 2
    made = metric_sums.count(labels, EXTREME[case](labels), patients)
    numbers = {name: values.reshape(-1) for name, values in made.items()} | {"salt": np.arange(32.0)}
    assert counts.evaluated(numbers, 60, MIN_CELL) == 60


LIES: dict[str, Change] = {
    "half a patient": changed("people", 0, 200.5),
    "more patients than rows": changed("people", 0, 1e6),
    "infinitely many patients": changed("people", 0, np.inf),
    "no number of patients": changed("people", 0, np.nan),
    "fewer patients than samples": changed("people", 0, 100.0),
    "more positives than patients": changed("people", 1, 201.0),
    "half a positive": changed("people", 1, 70.5),
    "fewer positives than the smallest cell": changed("people", 1, 10.0),
    "fewer negatives than the smallest cell": changed("people", 2, 10.0),
    "classes without all patients": lambda n: (n["people"].__setitem__(1, 50.0), n["people"].__setitem__(2, 50.0)),
    "fewer rows than patients": changed("rows", 0, 199.0),
    "more than 10,000 rows a patient": changed("rows", 0, 2_000_001.0),
    "2^53 rows": changed("rows", 0, 2.0**53),
    "half a row": scaled("rows", 0, 1.001),
    "endless rows": changed("rows", 0, 1e300),
    "weight of negatives": scaled("weights", 0, 1.01),
    "weight of positives": scaled("weights", 1, 1.01),
    "weight moved to the other class": lambda n: (
        n["weights"].__setitem__(1, n["weights"].sum()),
        n["weights"].__setitem__(0, 0.0),
    ),
    "a negative weight": changed("weights", 0, -1.0),
    "no loss": changed("loss", 0, 0.0),
    "a negative loss": changed("loss", 0, -1.0),
    "a loss beyond the clip": changed("loss", 0, 200 * 13.9),
    "an infinite loss": changed("loss", 0, np.inf),
    "squares too small for the loss": changed("loss", 1, 1e-3),
    "squares too large for the loss": scaled("loss", 1, 1000),
    "a loss that the bins exclude": lambda n: n.__setitem__("loss", n["loss"] * [1.2, 1.44]),
    "a Brier score above one": changed("brier", 0, 201.0),
    "a Brier score of nothing": changed("brier", 0, 0.0),
    "squares too small for the Brier score": changed("brier", 1, 1e-6),
    "squares larger than the Brier score": lambda n: n["brier"].__setitem__(1, 1.1 * n["brier"][0]),
    "a Brier score that the bins exclude": scaled("brier", 0, 0.8),
    "more true positives": scaled("confusion", 0, 1.01),
    "more false positives": scaled("confusion", 1, 1.01),
    "more true negatives": scaled("confusion", 2, 1.01),
    "more false negatives": scaled("confusion", 3, 1.01),
    "a negative cell": changed("confusion", 3, -1.0),
    "true positives from false negatives": lambda n: (
        n["confusion"].__setitem__(0, n["confusion"][0] + n["confusion"][3]),
        n["confusion"].__setitem__(3, 0.0),
    ),
    "more expected than people": changed("expected", 0, 201.0),
    "nothing expected": changed("expected", 0, 0.0),
    "an expectation that the bins exclude": scaled("expected", 0, 1.3),
    "more pairs": scaled("pairs", 0, 1.01),
    "fewer pairs": scaled("pairs", 0, 0.99),
    "more in order than pairs": lambda n: n["pairs"].__setitem__(1, 1.01 * n["pairs"][0]),
    "less than none in order": changed("pairs", 1, -1.0),
    "nearly all in order, against the bins": lambda n: n.__setitem__("pairs", n["pairs"][0] * np.array([1, 0.99, 0])),
    "nearly none in order, against the bins": lambda n: n.__setitem__("pairs", n["pairs"][0] * np.array([1, 0.01, 0])),
    "a negative variance": changed("pairs", 2, -1.0),
    "a variance that no pairs have": lambda n: n["pairs"].__setitem__(2, n["pairs"][0] ** 2 / 4),
    "an endless variance": changed("pairs", 2, 1e300),
    "a negative bin": changed("histogram", 0, -1.0),
    "a negative bin beside a fuller one": lambda n: (
        n["histogram"].__setitem__(1, n["histogram"][:2].sum() + 0.5),
        n["histogram"].__setitem__(0, -0.5),
    ),
    "a bin too full": changed("histogram", 100, 50.0),
    "an empty histogram": lambda n: n["histogram"].fill(0.0),
    "classes exchanged in the bins": lambda n: n.__setitem__("histogram", np.roll(n["histogram"], 256)),
}
# Without the bins these lies lie within what other rows could give.
ONLY_WITH_BINS = {
    "a loss that the bins exclude",
    "a Brier score that the bins exclude",
    "an expectation that the bins exclude",
    "true positives from false negatives",
    "nearly all in order, against the bins",
    "nearly none in order, against the bins",
    "a negative bin",
    "a negative bin beside a fuller one",
    "a bin too full",
    "an empty histogram",
    "classes exchanged in the bins",
    "fewer patients than samples",
}


@pytest.mark.parametrize("lie", LIES)
def test_sums_that_no_patients_can_give_are_impossible(lie: str) -> None:
    numbers = evaluation()
    assert counts.evaluated(numbers, 150, MIN_CELL) == 200
    LIES[lie](numbers)
    with pytest.raises(counts.Impossible):
        counts.evaluated(numbers, 150, MIN_CELL)
    if lie not in ONLY_WITH_BINS:
        with pytest.raises(counts.Impossible):
            counts.validated(validation(numbers), 200, MIN_CELL)


def test_rows_that_weigh_less_than_their_patients_are_impossible() -> None:
    """Everything is that of nine tenths of the patients, but the number of patients."""
    numbers = evaluation(visits=1)
    assert counts.evaluated(numbers, 100, 1) == 200
    for name in ("weights", "loss", "brier", "confusion", "expected", "histogram"):
        numbers[name] *= 0.9
    numbers["pairs"] *= [0.81, 0.81, 0.6561]
    with pytest.raises(counts.Impossible):
        counts.evaluated(numbers, 100, 1)


@pytest.mark.parametrize("name", ["confusion", "weights"])
def test_half_patients_are_impossible_where_each_patient_has_one_row(name: str) -> None:
    numbers = validation(evaluation(visits=1))
    counts.validated(numbers, 200, MIN_CELL)
    if name == "weights":
        numbers["weights"] += [0.5, -0.5]
        numbers["pairs"][0] = numbers["weights"].prod()
        numbers["confusion"] += [-0.5, 0, 0.5, 0]
    else:
        numbers["confusion"] += [0.5, 0.5, -0.5, -0.5]
    with pytest.raises(counts.Impossible):
        counts.validated(numbers, 200, MIN_CELL)


@pytest.mark.parametrize(
    "lie",
    [
        {"loss": [200 * 13.0, 200 * 169.0]},
        {"brier": [180.0, 170.0]},
        {"pairs": [10_000.0, 0.0, 0.0]},
    ],
    ids=["loss", "brier", "pairs"],
)
def test_the_worst_numbers_are_impossible_where_all_predictions_are_on_the_right_side(lie: dict[str, Any]) -> None:
    labels = np.arange(200) % 2
    honest = validation(
        {name: np.ravel(each) for name, each in metric_sums.count(labels, 0.2 + 0.6 * labels, range(200)).items()}
    )
    counts.validated(honest, 200, MIN_CELL)
    with pytest.raises(counts.Impossible):
        counts.validated(honest | {name: np.array(each) for name, each in lie.items()}, 200, MIN_CELL)


def test_statistics_beyond_the_views_numbers_are_impossible() -> None:
    """The view holds features as float32."""
    rows = np.full((20, FEATURES), np.finfo(np.float32).max)
    assert counts.row_count(summed(rows), 20) == 20
    assert counts.row_count(summed(rows, shift=-1e38), 20) == 20
    one = summed(np.full((1, FEATURES), 1.0))
    with pytest.raises(counts.Impossible):
        counts.row_count(one | {"sum": np.full(FEATURES, 1e39), "squares": np.full(FEATURES, 1e78)}, 1)


def test_a_class_below_the_hospitals_smallest_cell_is_impossible() -> None:
    """An honest hospital withholds such sums."""
    few = evaluation(prevalence=0.03, visits=1)
    positives = int(few["people"][1])
    assert 1 < positives < MIN_CELL
    assert counts.evaluated(few, 100, positives) == 200
    for least in (positives + 1, MIN_CELL):
        with pytest.raises(counts.Impossible):
            counts.evaluated(few, 100, least)


def compared(references: int = 2, shift: float = 0.4, visits: int = 3) -> Numbers:
    """The sums of an honest hospital that compares its model with references."""
    rows = hospital(200, 0.3, 1, visits=visits)
    dice = np.random.default_rng(5)
    odds = np.log(rows.probabilities / (1 - rows.probabilities))
    others = [1 / (1 + np.exp(-(odds + dice.normal(shift, shift, len(odds))))) for _ in range(references)]
    differences = metric_sums.compare(rows.labels, rows.probabilities, others, rows.patients)
    return evaluation(visits=visits) | {name: values.reshape(-1) for name, values in differences.items()}


@pytest.mark.parametrize("references", [1, 2])
@pytest.mark.parametrize("shift", [0.0, 1e-9, 0.01, 1.0, 30.0])
@pytest.mark.parametrize("visits", [1, 4])
def test_paired_sums_of_honest_hospitals_pass(references: int, shift: float, visits: int) -> None:
    assert counts.evaluated(compared(references, shift, visits), 150, MIN_CELL) == 200


@pytest.mark.parametrize("case", EXTREME)
@pytest.mark.parametrize("other", EXTREME)
def test_paired_sums_of_extreme_predictions_pass(case: str, other: str) -> None:
    patients = np.repeat(np.arange(60), 2)
    labels = (patients + np.arange(120) % 2) % 2
    model, reference = EXTREME[case](labels), EXTREME[other](labels)
    made = metric_sums.count(labels, model, patients) | metric_sums.compare(labels, model, [reference], patients)
    numbers = {name: values.reshape(-1) for name, values in made.items()} | {"salt": np.arange(32.0)}
    assert counts.evaluated(numbers, 60, MIN_CELL) == 60


def moved(loss: float, total: float, squares: float, place: int = 0) -> Change:
    """Adds to the sums of one reference, for each person."""

    def change(numbers: Numbers) -> None:
        numbers["differences"][3 * place : 3 * place + 3] += 200 * np.array([loss, total, squares])

    return change


PAIRED_LIES: dict[str, Change] = {
    "no number": changed("differences", 0, np.nan),
    "an endless number": changed("differences", 5, np.inf),
    "a reference without loss": lambda n: moved(-n["differences"][0] / 200, n["differences"][0] / 200, 0.0)(n),
    "a reference beyond the clip": moved(14.0, -14.0, 200.0),
    "a difference that the losses do not have": moved(0.0, -0.01, 0.0),
    "a loss of the reference that the difference does not have": moved(0.01, 0.0, 0.0, place=1),
    "squares below those of equal differences": lambda n: n["differences"].__setitem__(
        2, n["differences"][1] ** 2 / 200 * 0.99
    ),
    "negative squares": changed("differences", 2, -1.0),
    "squares beyond the clip": changed("differences", 2, 200 * 14.0**2),
    "a difference that one lie makes endless": changed("differences", 1, 1e300),
    "squares that these losses do not have": changed("differences", 2, 200 * 13.0**2),
}


@pytest.mark.parametrize("lie", PAIRED_LIES)
def test_paired_sums_that_no_patients_can_give_are_impossible(lie: str) -> None:
    numbers = compared()
    assert counts.evaluated(numbers, 150, MIN_CELL) == 200
    PAIRED_LIES[lie](numbers)
    with pytest.raises(counts.Impossible):
        counts.evaluated(numbers, 150, MIN_CELL)


def test_nobody_is_sure_of_a_difference_from_a_reference_whose_losses_are_all_alike() -> None:
    """The model is right about most patients and very wrong about some. A reference of little loss is right about all,
    so the differences vary as the model's losses do."""
    labels, patients = np.arange(60) % 2, np.arange(60)
    model = np.where(patients < 10, 1 - labels, labels).astype(float)
    reference = np.where(labels, 0.99, 0.01)
    made = metric_sums.count(labels, model, patients) | metric_sums.compare(labels, model, [reference], patients)
    numbers = {name: values.reshape(-1) for name, values in made.items()} | {"salt": np.arange(32.0)}
    assert counts.evaluated(numbers, 60, MIN_CELL) == 60
    total = numbers["differences"][1]
    numbers["differences"][2] = 1.01 * total**2 / 60  # almost the same difference for each person
    with pytest.raises(counts.Impossible):
        counts.evaluated(numbers, 60, MIN_CELL)


def test_sums_without_references_have_no_paired_sums_in_training() -> None:
    with pytest.raises(counts.Impossible):
        counts.validated(validation(evaluation()) | {"differences": np.zeros(3)}, 200, MIN_CELL)


@pytest.mark.parametrize("people", [0, 10, 199, 201, 2**60])
def test_validation_sums_are_over_the_people_that_the_update_claims(people: int) -> None:
    numbers = validation(evaluation())
    counts.validated(numbers, 200, MIN_CELL)
    with pytest.raises(counts.Impossible):
        counts.validated(numbers, people, MIN_CELL)


@pytest.mark.parametrize("people", [0, 10])
def test_reported_metrics_need_enough_people(people: int) -> None:
    counts.validated({}, 11, MIN_CELL)
    with pytest.raises(counts.Impossible):
        counts.validated({}, people, MIN_CELL)


def test_validation_sums_have_the_tensors_of_the_layout() -> None:
    whole = validation(evaluation())
    for name in whole:
        with pytest.raises(counts.Impossible):
            counts.validated({key: values for key, values in whole.items() if key != name}, 200, MIN_CELL)
        with pytest.raises(counts.Impossible):
            counts.validated(whole | {name: np.append(whole[name], 0.0)}, 200, MIN_CELL)
    with pytest.raises(counts.Impossible):
        counts.validated(whole | {"histogram": np.zeros(512)}, 200, MIN_CELL)


def test_more_people_than_samples_are_possible() -> None:
    assert counts.evaluated(evaluation(), 100, MIN_CELL) == 200
    with pytest.raises(counts.Impossible):
        counts.evaluated(evaluation(), 201, MIN_CELL)


def test_the_largest_sums_of_10_000_sites_stay_finite() -> None:
    assert np.isfinite(counts.LARGEST_SUM * 10_000)
