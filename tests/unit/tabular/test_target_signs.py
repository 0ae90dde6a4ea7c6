"""Exchanged labels show in the columns. A new case mix, a small file or a weak relation do not look like them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wardround.tabular import target_signs
from wardround.tabular.target_signs import Correlation, measured, near, turned

Columns = dict[str, NDArray[np.float64]]


def file(people: int = 200, share: float = 0.5, shift: float = 1.0, seed: int = 1) -> Columns:
    """Six columns, of which the last two do not depend on the target."""
    draw = np.random.default_rng(seed)
    target = (draw.random(people) < share).astype(np.float64)
    signs = (1, 1, -1, 1, 0, 0)
    columns = {f"x{place}": draw.lognormal(shift * sign * target) for place, sign in enumerate(signs)}
    return {**columns, "target": target}


def flipped(columns: Columns) -> Columns:
    return {**columns, "target": 1 - columns["target"]}


def are_turned(before: Columns, now: Columns) -> bool:
    return turned(measured(before, "target"), measured(now, "target"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_exchanged_labels_show_at_every_share_of_the_target(share: float) -> None:
    before, later = file(400, share), file(440, share, seed=2)
    assert are_turned(before, flipped(later))
    assert not are_turned(before, later)
    assert not are_turned(flipped(before), flipped(later))


def test_another_share_of_the_target_is_no_exchange() -> None:
    """A hospital that had mostly healthy people gets mostly ill ones. Only the shares are exchanged."""
    assert not are_turned(file(400, 0.1), file(400, 0.9, seed=2))


def test_other_units_do_not_matter() -> None:
    before = file()
    assert not are_turned(before, {**before, "x0": 1000 * before["x0"], "x1": before["x1"] + 32})


def test_a_target_that_is_a_quantity_shows_it_too() -> None:
    before = file()
    before["target"] = before["x0"] + before["x1"] + np.random.default_rng(3).random(200) - before["x2"]
    assert are_turned(before, {**before, "target": -before["target"]})


def test_columns_that_do_not_depend_on_the_target_never_look_exchanged() -> None:
    assert not any(
        are_turned(file(50, shift=0.0, seed=seed), file(50, shift=0.0, seed=-seed % 997)) for seed in range(300)
    )


def test_a_few_columns_that_turn_round_are_no_exchange() -> None:
    """A new assay of two columns. The rest goes with the target as before."""
    before = file()
    assert not are_turned(before, {**before, "x0": 1 / before["x0"], "x1": 1 / before["x1"]})


def test_two_strong_columns_are_too_few() -> None:
    before = {name: values for name, values in file().items() if name in ("x0", "x1", "target")}
    assert not are_turned(before, flipped(before))


def test_too_few_people_and_equal_values_have_no_correlation() -> None:
    assert measured(file(target_signs.FEWEST_PEOPLE - 1), "target") == {}
    assert measured({}, "target") == {}
    assert measured({**file(), "x0": np.ones(200)}, "target").keys() == {"x1", "x2", "x3", "x4", "x5"}
    assert measured({**file(), "target": np.ones(200)}, "target") == {}


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_a_file_in_which_some_labels_are_exchanged_is_not_near_the_file_before(share: float) -> None:
    before = file(1000, shift=2.0)
    mixed = {**before, "target": before["target"].copy()}
    part = slice(0, round(share * 1000))
    mixed["target"][part] = 1 - mixed["target"][part]
    assert not near(measured(before, "target")["x0"], measured(mixed, "target")["x0"])
    assert near(Correlation(200, 0.7), Correlation(300, 0.6))
