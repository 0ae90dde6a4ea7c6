"""A metric's text has fewer digits over fewer people."""

from __future__ import annotations

import pytest

from wardround.metrics import digits


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (1.0, "1"), (0, "0"), (12345, "12340"), (0.00001234567, "0.00001235"), (1e-9, "1e-09")],
)
def test_a_metric_over_many_patients_has_four_digits(value: float, text: str) -> None:
    assert digits.text(value, 1000) == text


@pytest.mark.parametrize(("patients", "text"), [(11, "0.12"), (99, "0.12"), (100, "0.123"), (999, "0.123")])
def test_a_metric_over_fewer_patients_has_fewer_digits(patients: int, text: str) -> None:
    assert digits.text(0.123456, patients) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        digits.text(value, 1000)
