"""An answer always fits the termination message. A plan that breaks the contract is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest

from wardround.aggregate import job, plan
from wardround.aggregate.updates import SealedFile, Usable
from wardround.sealing import body
from wardround.store.transfer import Store
from wardround.wire.aggregation import AggregationFailure, AggregationResult, LeftOut

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


def result(aggregated: int, left_out: int) -> AggregationResult:
    return AggregationResult(
        header=HEADER,
        digest="sha256:" + "0" * 64,
        segments_digest="sha256:" + "0" * 64,
        bytes=21,
        samples=100,
        metrics={"loss": "0.1"},
        suppressed={"auc": 1},
        aggregated=tuple(f"hospital-{number}" for number in range(aggregated)),
        left_out=tuple(LeftOut(f"hospital-{number}", "Altered") for number in range(left_out)),
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


def test_too_many_left_out_participants_are_a_failure() -> None:
    assert json.loads(plan.spell(result(3, 10_000)))["reason"] == "TooManyLeftOut"
    failure = AggregationFailure(
        "NothingToAggregate", "x" * 9000, tuple(LeftOut(f"h{n}", "Altered") for n in range(999))
    )
    assert json.loads(plan.spell(failure))["reason"] == "NothingToAggregate"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"round":{"uid":1}}'])
def test_a_malformed_plan_is_refused(data: bytes) -> None:
    with pytest.raises(plan.Failure) as caught:
        plan.parse(data)
    assert caught.value.answer.reason == "PlanUnreadable"


def test_a_sites_digest_cannot_control_a_terminal() -> None:
    """In an initial round, each site chooses the text of its base's digest."""
    updates = [usable("site-a", "sha256:" + "a" * 64), usable("site-b", "\u001b[2J\u202eharmless")]
    with pytest.raises(plan.Failure) as caught:
        job.agree(updates, (), initial=True)
    assert caught.value.answer.reason == "InitialWeightsDiffer"
    assert "site-b" in caught.value.answer.message
    assert caught.value.answer.message.isascii()
    assert caught.value.answer.message.isprintable()


def usable(participant: str, base_digest: str) -> Usable:
    store = Store("https://store.example")
    file = SealedFile(store, (), body.Body(bytes(32), HEADER))
    header = dataclasses.replace(HEADER, base_digest=base_digest)
    return Usable(participant, header, 1, 1, {}, frozenset(), {}, file)
