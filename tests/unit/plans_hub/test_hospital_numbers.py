"""What the result of a round says of single updates: the middle norm, and numbers that no mean counts."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.plans_hub.builders import NAMES, aggregating, combined
from tests.unit.plans_hub.reading import attention_of, condition_of, counts, of_type
from wardround.plans.round.plan import plan
from wardround.plans.round.types import StoreModel
from wardround.wire.aggregation import AggregationFailure, LeftOut


def test_a_hospital_whose_number_is_too_large_for_a_mean_is_named_and_its_update_counts() -> None:
    seen = aggregating(answer=replace(combined(*NAMES), numbers_too_large=("site-b",)))
    made = plan(seen)
    assert made.status.result is not None
    assert made.status.result.numbers_too_large == ("site-b",)
    assert attention_of(made) == {"site-b": "NumberTooLarge"}
    assert "update counts in the model" in made.status.attention[0].message
    assert "`kubectl describe sitetask train-1-0-a1 -n SITE_NAMESPACE`" in made.status.attention[0].message
    assert counts(made).aggregated == 3
    [kept] = of_type(made, StoreModel)
    assert kept.model.result == made.status.result
    # The status is made again from the stored model, if the hub operator stops before it has written the status.
    again = plan(replace(seen, model=kept.model))
    assert attention_of(again) == {"site-b": "NumberTooLarge"}


def test_an_update_that_is_left_out_is_named_for_that_reason() -> None:
    left_out = (LeftOut("site-c", "Altered"),)
    made = plan(aggregating(answer=replace(combined(*NAMES[:2], left_out=left_out), numbers_too_large=("site-a",))))
    assert attention_of(made) == {"site-a": "NumberTooLarge", "site-c": "Altered"}


def test_an_aggregation_without_a_result_names_nobody() -> None:
    made = plan(aggregating(answer=AggregationFailure("NothingToAggregate")))
    assert (condition_of(made, "Failed")[0], made.status.result) == ("True", None)
    assert attention_of(made) == {}


def test_the_middle_norm_of_the_updates_stands_in_the_result() -> None:
    made = plan(aggregating(answer=replace(combined(*NAMES), middle_norm="1.2")))
    assert made.status.result is not None
    assert made.status.result.middle_norm == "1.2"
    [kept] = of_type(made, StoreModel)
    assert kept.model.result == made.status.result
    without = plan(aggregating(answer=combined(*NAMES))).status.result
    assert without is not None
    assert without.middle_norm is None
