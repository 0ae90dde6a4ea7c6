"""A result's metrics: over those who told them, and over nobody who had too few patients to."""

from __future__ import annotations

import numpy as np

from wardround.aggregate.metrics import Combined, Part, combine


def part(metrics: dict[str, str], share: float, *suppressed: str, patients: int = 30) -> Part:
    return Part(metrics, suppressed, share, patients, {})


def evaluated(right: int, wrong: int, *suppressed: str) -> Part:
    """As many negatives as positives, all of both told apart but so many."""
    counts = np.zeros(100), np.zeros(100)
    counts[0][10], counts[0][90], counts[1][90], counts[1][10] = right, wrong, right, wrong
    return Part({}, suppressed, 0.5, 2 * (right + wrong), {"negatives": counts[0], "positives": counts[1]})


def test_a_metric_is_the_mean_over_those_who_sent_it() -> None:
    sent = [part({"loss": "0.5", "only": "1"}, 0.25), part({"loss": "0.1"}, 0.25), part({}, 0.5)]
    assert combine("Train", sent) == Combined({"loss": "0.3", "only": "1"}, {})


def test_a_mean_has_the_digits_of_the_patients_that_it_is_over() -> None:
    told = [
        combine("Train", [part({"loss": "0.123456"}, 1, patients=patients)]).metrics["loss"]
        for patients in (99, 100, 999, 1000)
    ]
    assert told == ["0.12", "0.123", "0.123", "0.1235"]
    sent = [part({"loss": "0.123456"}, 0.5), part({}, 0.5, "loss", patients=1000)]
    assert combine("Train", sent) == Combined({"loss": "0.12"}, {"loss": 1})


def test_a_metric_whose_mean_overflows_is_left_out_and_the_others_stay() -> None:
    sent = [part({"loss": "1.7976931348623157e308", "rows": "7"}, share) for share in (1 / 120, 1 / 120, 15 / 120)]
    assert combine("Train", sent) == Combined({"rows": "7"}, {})


def test_metrics_that_few_sent_do_not_crowd_out_the_rounds_own() -> None:
    sent = [part({"loss": "0.5", **{f"a{site}.{number}": "1" for number in range(15)}}, 0.3) for site in range(3)]
    sent.append(part({}, 0.1, *(f"b{number}" for number in range(16))))
    found = combine("Train", sent)
    assert len({*found.metrics, *found.suppressed}) == 16
    assert found.metrics["loss"] == "0.5"


def test_a_metric_that_everybody_suppresses_has_no_value() -> None:
    assert combine("Train", [part({}, 0.5, "loss")] * 2) == Combined({}, {"loss": 2})
    assert combine("Evaluate", [evaluated(9, 1, "auc")] * 2).suppressed == {"auc": 2}
    assert "auc" not in combine("Evaluate", [evaluated(9, 1, "auc")] * 2).metrics


def test_nothing_of_who_suppresses_a_metric_is_in_that_metric() -> None:
    """Else the hub's administrators, and with them whoever makes rounds, subtract what the others told."""
    telling = evaluated(12, 0)
    for few in (evaluated(1, 0, "sensitivity", "auc", "positives"), evaluated(0, 1, "sensitivity", "auc", "positives")):
        found = combine("Evaluate", [telling, few])
        assert {name: found.metrics[name] for name in few.suppressed} == {
            name: combine("Evaluate", [telling]).metrics[name] for name in few.suppressed
        }
        assert found.suppressed == dict.fromkeys(few.suppressed, 1)
        assert found.metrics["rows"] == "26"
