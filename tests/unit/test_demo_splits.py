"""The demo's comparison over splits: who trains on which rows, what an own model may use, and the interval."""

import math

import numpy as np
import pytest
from scipy import stats

from lab import demo_splits, local_model, splits
from lab.demo_splits import EVERYBODY, Spread
from lab.splits import TOGETHER, Cases, Split

HOSPITALS = ("site-a", "site-b", "site-c")


def random_table(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 4))
    return values, values[:, 0] + draw.normal(size=rows) > 0


def test_each_split_holds_out_the_same_share_of_both_classes_of_every_hospital() -> None:
    cases, owner = demo_splits.demo_cases()
    split = demo_splits._split(cases, owner, np.random.default_rng(3))
    trained = np.concatenate(list(split.train.values()))
    assert sorted([*trained, *split.test]) == list(range(len(cases.rows)))
    for name in HOSPITALS:
        assert set(owner[split.train[name]]) == {name}
        for truth in (True, False):
            whole = int(np.sum((owner == name) & (cases.malignant == truth)))
            held_out = int(np.sum((owner[split.test] == name) & (cases.malignant[split.test] == truth)))
            assert held_out == round(0.2 * whole)


def test_rows_with_faults_are_in_no_split() -> None:
    cases, _ = demo_splits.demo_cases()
    assert len(cases.rows) == 569 - 6
    assert np.isfinite(cases.values).all()


def test_the_test_rows_change_nothing_in_a_hospitals_own_model() -> None:
    values, truth = random_table(60)
    own = local_model.fit(values[:40], truth[:40], seed=5)
    again = local_model.fit(values[:40].copy(), truth[:40].copy(), seed=5)
    assert np.array_equal(own.weights, again.weights)
    assert np.allclose(own.mean, values[:40].mean(axis=0))


def test_the_correction_for_prevalence_moves_the_odds_by_the_ratio_of_both_odds() -> None:
    values, truth = random_table(60)
    own = local_model.fit(values, truth, seed=5)
    plain, corrected = own.predict(values), own.predict(values, prevalence=0.2)
    ratio = (0.2 / 0.8) / (own.prevalence / (1 - own.prevalence))
    assert np.allclose(corrected / (1 - corrected), plain / (1 - plain) * ratio)
    assert np.allclose(own.predict(values, prevalence=own.prevalence), plain)


def test_a_hospital_with_one_case_of_a_class_has_no_model_of_its_own() -> None:
    values, _ = random_table(20)
    with pytest.raises(ValueError, match="a class has 1 training rows"):
        local_model.fit(values, np.arange(20) == 0, seed=1)


def test_the_interval_over_splits_is_the_corrected_one() -> None:
    values = [0.9, 0.95, 0.97, 0.92]
    spread = Spread.over(values)
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) * math.sqrt(1 / 4 + 0.2 / 0.8) * 100
    assert spread.n == 4
    assert (spread.mean, spread.low, spread.high) == pytest.approx((93.5, 93.5 - half, 93.5 + half))


def test_accuracies_are_over_the_named_patients() -> None:
    """The federation predicts all patients of site-a rightly, and no other."""
    values, truth = random_table(90)
    rows = [
        [str(number), "1" if each else "0", *map(str, row)]
        for number, (each, row) in enumerate(zip(truth, values, strict=True))
    ]
    cases = Cases(["id", "malignant", "a", "b", "c", "d"], rows, truth)
    owner = np.array([HOSPITALS[number % 3] for number in range(90)])
    split = Split({name: np.flatnonzero(owner[:60] == name) for name in HOSPITALS}, np.arange(60, 90))
    right = owner[split.test] == "site-a"
    predicted = np.where(truth[split.test] == right, 0.9, 0.1)
    result = demo_splits._accuracies(cases, owner, split, {TOGETHER: predicted}, 0)
    assert result[TOGETHER, EVERYBODY] == pytest.approx(1 / 3)
    assert [result[TOGETHER, name] for name in HOSPITALS] == [1, 0, 0]
    own = local_model.fit(values[split.train["site-b"]], truth[split.train["site-b"]], 0)
    theirs = split.test[owner[split.test] == "site-b"]
    assert result["site-b", "site-b"] == pytest.approx(np.mean((own.predict(values[theirs]) >= 0.5) == truth[theirs]))


def test_the_gain_is_in_pairs_and_the_table_names_every_hospital() -> None:
    measured = [
        {
            (TOGETHER, EVERYBODY): 0.9 + shift,
            **{(TOGETHER, name): 1.0 for name in HOSPITALS},
            **{(name, EVERYBODY): 0.8 + shift for name in HOSPITALS},
            **{(name, name): 0.9 for name in HOSPITALS},
        }
        for shift in (0.0, 0.05, -0.02)
    ]
    comparison = demo_splits.compare(measured)
    gain = comparison.gain["site-c"][EVERYBODY]
    assert (gain.mean, gain.sd) == pytest.approx((10, 0), abs=1e-9)
    assert demo_splits.document(comparison)["gain"]["site-c"][EVERYBODY]["mean"] == 10
    assert demo_splits.table(comparison).row_count == 6


def test_both_classes_have_the_same_share_of_test_rows() -> None:
    malignant = np.arange(100) < 30
    train, test = splits.stratified(malignant, np.arange(100), np.random.default_rng(1))
    assert (int(malignant[test].sum()), len(test), len(train)) == (6, 20, 80)
