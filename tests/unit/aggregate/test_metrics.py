"""A result's metrics cover the sites that reported them, and no site that suppressed them."""

from __future__ import annotations

import numpy as np

from wardround.aggregate.metrics import Combined, Part, combine


def part(metrics: dict[str, str], share: float, *suppressed: str, patients: int = 30) -> Part:
    return Part(metrics, suppressed, share, patients, {})


def evaluated(right: int, wrong: int, *suppressed: str) -> Part:
    """Counts of equally many negatives and positives: `right` of each are classified right, `wrong` of each wrong."""
    counts = np.zeros(100), np.zeros(100)
    counts[0][10], counts[0][90], counts[1][90], counts[1][10] = right, wrong, right, wrong
    return Part({}, suppressed, 0.5, 2 * (right + wrong), {"negatives": counts[0], "positives": counts[1]})


def test_a_metric_is_the_weighted_mean_over_the_sites_that_sent_it() -> None:
    sent = [part({"loss": "0.5", "only": "1"}, 0.25), part({"loss": "0.1"}, 0.25), part({}, 0.5)]
    assert combine("Train", sent) == Combined({"loss": "0.3", "only": "1"}, {})


def test_a_mean_over_more_patients_has_more_digits() -> None:
    texts = [
        combine("Train", [part({"loss": "0.123456"}, 1, patients=patients)]).metrics["loss"]
        for patients in (99, 100, 999, 1000)
    ]
    assert texts == ["0.12", "0.123", "0.123", "0.1235"]
    sent = [part({"loss": "0.123456"}, 0.5), part({}, 0.5, "loss", patients=1000)]
    assert combine("Train", sent) == Combined({"loss": "0.12"}, {"loss": 1})


def test_a_metric_whose_mean_overflows_is_left_out() -> None:
    sent = [part({"loss": "1.7976931348623157e308", "rows": "7"}, share) for share in (1 / 120, 1 / 120, 15 / 120)]
    assert combine("Train", sent) == Combined({"rows": "7"}, {})


def test_metrics_of_few_sites_do_not_crowd_out_the_rounds_own() -> None:
    sent = [part({"loss": "0.5", **{f"a{site}.{number}": "1" for number in range(15)}}, 0.3) for site in range(3)]
    sent.append(part({}, 0.1, *(f"b{number}" for number in range(16))))
    combined = combine("Train", sent)
    assert len({*combined.metrics, *combined.suppressed}) == 16
    assert combined.metrics["loss"] == "0.5"


def test_a_metric_that_all_sites_suppress_has_no_value() -> None:
    assert combine("Train", [part({}, 0.5, "loss")] * 2) == Combined({}, {"loss": 2})
    assert combine("Evaluate", [evaluated(9, 1, "auc")] * 2).suppressed == {"auc": 2}
    assert "auc" not in combine("Evaluate", [evaluated(9, 1, "auc")] * 2).metrics


def test_a_metric_does_not_cover_a_site_that_suppressed_it() -> None:
    """Otherwise the author of a round could subtract the other sites' metrics from the result."""
    many = evaluated(12, 0)
    for few in (evaluated(1, 0, "sensitivity", "auc", "positives"), evaluated(0, 1, "sensitivity", "auc", "positives")):
        combined = combine("Evaluate", [many, few])
        assert {name: combined.metrics[name] for name in few.suppressed} == {
            name: combine("Evaluate", [many]).metrics[name] for name in few.suppressed
        }
        assert combined.suppressed == dict.fromkeys(few.suppressed, 1)
        assert combined.metrics["rows"] == "26"
