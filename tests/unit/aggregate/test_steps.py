"""FedNova divides each update by the local steps that count, and a false number changes little."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.unit.aggregate.updates import usable
from wardround.aggregate import steps
from wardround.aggregate.examination import ExaminedUpdates, with_local_steps, without_outliers
from wardround.aggregate.strategies import Facts, FedNova, strategy
from wardround.wire.strategy_terms import evaluated, impossible

SHARES = [0.3, 1 / 3, 1 - 0.3 - 1 / 3]


def weights(local: list[int], shares: list[float] | None = None) -> list[float]:
    return FedNova().weights(Facts(shares or SHARES, [1.0] * len(local), None, local))


@pytest.mark.parametrize("local", [1, 7, 30, 999_983])
def test_with_equal_steps_the_weights_are_those_of_fedavg_bit_by_bit(local: int) -> None:
    assert weights([local] * 3) == SHARES


def test_the_weights_are_those_of_the_paper() -> None:
    """Wang et al., section 4: tau_eff sum p d / tau with tau_eff = sum p tau, for plain SGD."""
    local, dice = [10, 50, 20], np.random.default_rng(1)
    differences = dice.normal(size=(3, 100))
    normalised = sum(share * each / steps_ for share, each, steps_ in zip(SHARES, differences, local, strict=True))
    effective = sum(share * steps_ for share, steps_ in zip(SHARES, local, strict=True))
    np.testing.assert_allclose(np.array(weights(local)) @ differences, effective * normalised, rtol=1e-12)


def test_a_hospital_with_twice_the_steps_and_twice_the_update_counts_by_its_share() -> None:
    one, other = weights([10, 20], [0.5, 0.5])
    assert one * 1.0 == other * 2.0


@pytest.mark.parametrize("lie", [1, 10**9])
def test_a_false_number_of_steps_counts_within_a_tenth_and_ten_times_the_middle_one(lie: int) -> None:
    local = steps.counted([40, 40, 40, 40, lie])
    assert local[-1] == (4 if lie == 1 else 400)
    made = weights(local, [0.2] * 5)
    assert max(made) <= 0.2 * 10
    assert sum(Fraction(each) for each in made[:4]) <= Fraction(0.2) * 4 * 3


@pytest.mark.parametrize("value", [0.0, -1.0, 0.5, 2.5, 1e300])
def test_a_number_that_is_no_count_of_steps_is_none(value: float) -> None:
    assert steps.reported({"steps": value}) is None


def test_an_update_without_steps_has_none() -> None:
    assert steps.reported({"dice": 3.0}) is None
    assert steps.reported({"steps": 3.0}) == 3
    assert steps.counted([]) == []


def test_an_accomplice_who_is_left_out_does_not_change_by_how_much_an_update_is_divided() -> None:
    """The limits of the steps come from all updates, in the check of the norms and in the sum."""
    honest = [
        usable(f"honest-{steps_}", norm=float(steps_), reported={"steps": float(steps_)}) for steps_ in (1, 10, 100)
    ]
    lie = {"steps": float(steps.MOST)}
    hostile = [usable("accomplice", norm=1e12, reported=lie), usable("mallory", norm=29_900.0, reported=lie)]
    examined = with_local_steps(ExaminedUpdates([*honest, *hostile], (), ()))
    left = without_outliers(examined, {})
    assert [each.participant for each in left.left_out] == ["accomplice"]
    added = {each.participant: each.norm / each.local_steps for each in left.usable}
    assert added["mallory"] <= 30 * sorted(added.values())[1]


def test_an_update_without_steps_is_left_out() -> None:
    examined = with_local_steps(ExaminedUpdates([usable("one", reported={"steps": 7.0}), usable("other")], (), ()))
    assert [(each.participant, each.local_steps) for each in examined.usable] == [("one", 7)]
    assert [(each.participant, each.reason) for each in examined.left_out] == [("other", "StepsMissing")]


def test_fednova_needs_the_steps_among_the_metrics() -> None:
    def fault(**changes: object) -> str:
        known = {"task": "Train", "initial": False, "max_share": "1", "quorum": 2, "metrics": ("loss",)}
        return impossible("FedNova", {}, **{**known, **changes})  # type: ignore[arg-type]

    assert fault().startswith("The strategy FedNova needs the metric steps from the training code")
    assert fault(metrics=("loss", "steps")) == ""
    assert fault(metrics=("steps",), initial=True).startswith("An initial round cannot have the strategy FedNova")
    assert evaluated(("loss", "steps", "auc")) == ("loss", "auc")
    assert isinstance(strategy("FedNova", {}), FedNova)
