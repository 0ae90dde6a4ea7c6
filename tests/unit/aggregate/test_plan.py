"""An answer always fits the termination message. A plan that breaks the contract is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.unit.aggregate.updates import usable
from wardround.aggregate import examination, plan
from wardround.metrics import registry
from wardround.sealing import body
from wardround.wire.aggregation import (
    AggregationFailure,
    AggregationResult,
    CalibrationGroup,
    CombinedDifference,
    CombinedMetric,
    CombinedVerdict,
    LeftOut,
)

HEADER = body.new_header(
    bytes(32),
    kind=body.MODEL,
    round_uid="0" * 36,
    attempt=1,
    participant="",
    base_digest="sha256:" + "0" * 64,
    image_digest="sha256:" + "0" * 64,
    schema_digest="sha256:" + "0" * 64,
    length=5,
)


NAMES = registry.with_companions(registry.EVALUATE)
METRICS = {
    name: CombinedMetric(value="0.9712", low="0.9012", high="0.9912", people=1234, hospitals=3) for name in NAMES
}
GROUP = CalibrationGroup(low="0.000001", high="0.01234", people=123, observed="0.123")


DIFFERENCE = CombinedDifference(
    reference="r" * 253,
    value="-0.01234",
    low="-0.02345",
    high="0.001234",
    loss="0.4567",
    people=1234,
    events=234,
    hospitals=3,
)


def result(aggregated: int, left_out: int, telling: int = 0, unseen: int = 0, counted: int = 0) -> AggregationResult:
    return AggregationResult(
        header=HEADER,
        digest="sha256:" + "0" * 64,
        segments_digest="sha256:" + "0" * 64,
        bytes=21,
        samples=100,
        metrics=METRICS,
        calibration=(GROUP,) * 10,
        by_hospital={f"hospital-{number}": {"loss": "0.1"} for number in range(telling)},
        differences=(DIFFERENCE,) * 2,
        verdict=CombinedVerdict(
            outcome="Undecided",
            reason="TooFewSeen",
            reference="",
            unseen=tuple(f"hospital-{number}" for number in range(unseen)),
        ),
        withheld=1,
        uncounted=("hospital-w",),
        aggregated=tuple(f"hospital-{number}" for number in range(aggregated)),
        counted=(12345,) * counted,
        left_out=tuple(LeftOut(f"hospital-{number}", "Altered") for number in range(left_out)),
        state=(),
        closed=None,
    )


def test_a_short_answer_is_complete() -> None:
    answer = json.loads(plan.spell(result(2, 1)))
    assert answer["aggregated"] == ["hospital-0", "hospital-1"]
    assert answer["leftOut"] == [{"participant": "hospital-0", "reason": "Altered"}]
    assert set(answer["header"]) >= {"roundUID", "commitment"}


def test_a_long_answer_does_not_name_aggregated_participants() -> None:
    text = plan.spell(result(10_000, 5))
    assert len(text) <= 4096
    assert json.loads(text)["aggregated"] == []
    assert len(json.loads(text)["leftOut"]) == 5


def test_a_full_answer_of_three_hospitals_that_tell_has_room() -> None:
    answer = json.loads(plan.spell(result(3, 0, telling=3)))
    assert len(answer["metrics"]) == len(METRICS)
    assert len(answer["byHospital"]) == 3
    assert len(answer["calibration"]) == 10
    assert len(answer["aggregated"]) == 3
    assert len(answer["differences"]) == 2


def test_without_room_the_numbers_of_single_hospitals_are_left_out_and_the_answer_says_so() -> None:
    text = plan.spell(result(10, 0, telling=1000))
    answer = json.loads(text)
    assert len(text) <= 4096
    assert answer["byHospital"] is None
    assert answer["calibration"]
    assert len(answer["metrics"]) == len(METRICS)
    assert answer["uncounted"] == ["hospital-w"]


def test_without_room_the_hospitals_whose_numbers_are_too_large_are_not_named() -> None:
    names = tuple(f"hospital-{number}" for number in range(1000))
    answer = json.loads(plan.spell(dataclasses.replace(result(3, 0), numbers_too_large=names)))
    assert (answer["numbersTooLarge"], len(answer["metrics"])) == ([], len(METRICS))
    answer = json.loads(plan.spell(dataclasses.replace(result(3, 0), numbers_too_large=names[:3])))
    assert answer["numbersTooLarge"] == list(names[:3])


def test_without_room_a_verdict_stays_and_the_names_of_unseen_hospitals_go() -> None:
    answer = json.loads(plan.spell(result(3, 0, unseen=1000)))
    assert (answer["verdict"]["outcome"], answer["verdict"]["unseen"]) == ("Undecided", [])
    assert len(answer["differences"]) == 2


def test_names_that_follow_from_others_go_before_numbers_do() -> None:
    answer = json.loads(plan.spell(result(10_000, 0, telling=3)))
    assert answer["aggregated"] == []
    assert len(answer["byHospital"]) == 3


def test_names_of_many_withheld_participants_give_way_to_those_of_the_combined_ones() -> None:
    """The withheld participants are then all that are in neither `aggregated` nor `leftOut`."""
    names = tuple(f"{number:03d}".ljust(63, "x") for number in range(126))
    answer = json.loads(plan.spell(dataclasses.replace(result(2, 1), withheld=126, uncounted=names)))
    assert answer["uncounted"] == []
    assert answer["withheld"] == 126
    assert answer["aggregated"] == ["hospital-0", "hospital-1"]
    assert len(answer["metrics"]) == len(METRICS)


def test_rows_of_many_hospitals_stay_when_their_names_have_no_room() -> None:
    answer = json.loads(plan.spell(result(100, 0, counted=100)))
    assert answer["aggregated"] == []
    assert answer["counted"] == [12345] * 100


def test_without_room_for_any_number_the_model_is_still_a_result() -> None:
    answer = json.loads(plan.spell(result(4, 25)))
    assert (answer["metrics"], answer["calibration"], answer["differences"]) == ({}, [], [])
    assert len(answer["leftOut"]) == 25


def test_too_many_left_out_participants_are_a_failure() -> None:
    assert json.loads(plan.spell(result(3, 10_000)))["reason"] == "TooManyLeftOut"
    failure = AggregationFailure(
        "NothingToAggregate", "x" * 9000, tuple(LeftOut(f"h{n}", "Altered") for n in range(999))
    )
    assert json.loads(plan.spell(failure))["reason"] == "NothingToAggregate"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"round":{"uid":1}}'])
def test_a_malformed_plan_is_refused(data: bytes) -> None:
    with pytest.raises(plan.AggregationError) as caught:
        plan.parse(data)
    assert caught.value.answer.reason == "PlanUnreadable"


def test_a_sites_digest_cannot_control_a_terminal() -> None:
    """In an initial round, each site chooses the text of its base's digest."""
    updates = [usable("site-a", "sha256:" + "a" * 64), usable("site-b", "\u001b[2J\u202eharmless")]
    with pytest.raises(plan.AggregationError) as caught:
        examination.agree(updates, (), initial=True)
    assert caught.value.answer.reason == "InitialWeightsDiffer"
    assert "site-b" in caught.value.answer.message
    assert caught.value.answer.message.isascii()
    assert caught.value.answer.message.isprintable()
