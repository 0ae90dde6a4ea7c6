"""The split: the same patient always on the same side, whoever else is there."""

from __future__ import annotations

import pytest

from wardround.tabular import split

PATIENTS = [f"patient-{number}" for number in range(5000)]


def parsed(**changes: str) -> split.Split:
    return split.parse({"key": "a key of the hospital", "validation": "0.15", "test": "0.2", **changes})


def test_shares_are_those_asked_for() -> None:
    sides = [parsed().side(patient) for patient in PATIENTS]
    assert sides.count("test") == pytest.approx(1000, abs=100)
    assert sides.count("validation") == pytest.approx(750, abs=100)


def test_another_key_is_another_split() -> None:
    other = parsed(key="another hospital's key")
    assert any(parsed().side(patient) != other.side(patient) for patient in PATIENTS[:50])


def test_a_larger_share_of_validation_moves_nobody_into_or_out_of_the_hold_out() -> None:
    held_out = {patient for patient in PATIENTS if parsed().side(patient) == "test"}
    assert {patient for patient in PATIENTS if parsed(validation="0.4").side(patient) == "test"} == held_out


def test_a_patient_is_where_the_first_release_put_them() -> None:
    # A change here would train on patients that were held out.
    sides = [parsed().side(patient) for patient in PATIENTS[:16]]
    assert [number for number, side in enumerate(sides) if side == "test"] == [2, 10, 13, 14]
    assert [number for number, side in enumerate(sides) if side == "validation"] == [6, 11]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": "short"}, "16 characters"),
        ({"test": "a fifth"}, "fraction"),
        ({"test": "-0.1"}, "at least 0"),
        ({"test": "NaN"}, "at least 0"),
        ({"test": "0.5", "validation": "0.5"}, "no training rows"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(split.SplitInvalid, match=words) as caught:
        parsed(**changes)
    assert "hospital" not in str(caught.value)
