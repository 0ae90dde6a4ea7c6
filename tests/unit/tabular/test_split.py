"""The split: a patient is always on the same side, independent of other patients."""

from __future__ import annotations

from typing import Any

import pytest

from wardround.tabular import split

PATIENTS = [f"patient-{number}" for number in range(5000)]


KEY = b"a key of the hospital"


def parsed(key: bytes = KEY, **changes: Any) -> split.Split:
    return split.parse({"validation": "0.15", "test": "0.2", **changes}, key)


def test_the_sides_have_the_configured_shares() -> None:
    sides = [parsed().side(patient) for patient in PATIENTS]
    assert sides.count("test") == pytest.approx(1000, abs=100)
    assert sides.count("validation") == pytest.approx(750, abs=100)


def test_another_key_gives_another_split() -> None:
    other = parsed(b"another hospital's key")
    assert any(parsed().side(patient) != other.side(patient) for patient in PATIENTS[:50])


def test_another_share_of_validation_moves_no_patient_into_or_out_of_the_test_side() -> None:
    held_out = {patient for patient in PATIENTS if parsed().side(patient) == "test"}
    assert {patient for patient in PATIENTS if parsed(validation="0.4").side(patient) == "test"} == held_out


def test_patients_stay_on_the_sides_of_the_first_release() -> None:
    # A change would train on patients of the test side.
    sides = [parsed().side(patient) for patient in PATIENTS[:16]]
    assert [number for number, side in enumerate(sides) if side == "test"] == [2, 10, 13, 14]
    assert [number for number, side in enumerate(sides) if side == "validation"] == [6, 11]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test": "a fifth"}, "fraction"),
        ({"test": "-0.1"}, "at least 0"),
        ({"test": "NaN"}, "at least 0"),
        ({"test": "0.5", "validation": "0.5"}, "no training rows"),
    ],
)
def test_an_invalid_split_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(split.SplitInvalid, match=words):
        parsed(**changes)


def test_a_fingerprint_tells_keys_apart_and_is_no_position_of_a_patient() -> None:
    """It is of use to nobody outside `prepare`."""
    assert split.fingerprint(KEY) == "8ad884a12864"
    assert len({split.fingerprint(bytes([each]) * 32) for each in range(256)}) == 256
    assert KEY.decode() not in repr(parsed())
