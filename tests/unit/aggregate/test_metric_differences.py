"""The difference of a model from each reference, over all hospitals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.aggregate.parts import REFERENCES, comparing
from wardround.aggregate.metrics import Part, combine


def test_a_round_tells_the_difference_from_each_reference_over_all_people() -> None:
    parts = comparing("a", 60), comparing("b", 1200)
    first, second = combine(parts, ("loss",), 0.9, REFERENCES).differences
    assert (first.reference, second.reference) == REFERENCES
    assert (first.people, first.events, first.hospitals) == (1260, 630, 2)
    assert first.low is not None
    assert first.high is not None
    assert float(first.low) < float(first.value) < float(first.high) < 0 < float(second.value)
    loss = combine(parts, ("loss",), 0.9, REFERENCES).metrics["loss"]
    assert first.loss is not None
    assert float(loss.value) - float(first.loss) == pytest.approx(float(first.value), abs=2e-3)
    assert combine(parts, ("loss",), 0.9).differences == ()


def test_a_result_has_the_loss_of_a_reference_only_if_the_round_declares_the_loss() -> None:
    parts = comparing("a"), comparing("b", 90)
    (with_loss, _), (without, _) = (combine(parts, (name,), 0.9, REFERENCES).differences for name in ("loss", "auc"))
    assert with_loss.loss is not None
    assert without == replace(with_loss, loss=None)


def test_a_hospital_with_few_people_takes_no_interval_from_the_difference_of_the_others() -> None:
    parts = comparing("a"), comparing("b", 90)
    few = [comparing("c", 2), comparing("d", 90, scale=1 / 90)]
    assert combine([*parts, *few], ("loss",), 0.9, REFERENCES) == combine(parts, ("loss",), 0.9, REFERENCES)


@pytest.mark.parametrize(("tells", "number"), [(True, 2), (False, 0)])
def test_a_difference_over_one_hospital_is_that_hospitals_number(tells: bool, number: int) -> None:
    assert len(combine([comparing("a", tells=tells)], ("loss",), 0.9, REFERENCES).differences) == number


def test_no_hospitals_own_difference_is_told_beside_the_total() -> None:
    made = combine([comparing(name, tells=True) for name in "abc"], ("loss",), 0.9, REFERENCES)
    assert len(made.differences) == 2
    assert all(set(each) == {"loss"} for each in made.by_hospital.values())


def test_a_hospital_over_its_maximum_is_as_sure_of_a_difference_as_so_many_people() -> None:
    one, other = comparing("a"), comparing("b", 90)
    copies = {name: each * (1000.0 ** (2 if name == "pairs" else 1)) for name, each in other.sums.items()}
    many = Part("b", 90_000, copies, {}, 1 / 1000, False, 11)
    expected = combine([one, other], ("loss",), 0.9, REFERENCES).differences
    assert combine([one, many], ("loss",), 0.9, REFERENCES).differences == expected
