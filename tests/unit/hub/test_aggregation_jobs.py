"""What the hub operator reads off aggregation Jobs and their pods: whether one has ended, when, and how."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from wardround.hub import tries
from wardround.hub.observe import aggregation
from wardround.manifests import aggregation as manifest
from wardround.manifests.aggregation import AggregationJob
from wardround.ports import Object
from wardround.wire.aggregation import AggregationFailure

TIME = "2026-11-24T16:15:00Z"
AT = datetime(2026, 11, 24, 16, 15, tzinfo=UTC)
DISRUPTION = {"type": "DisruptionTarget", "status": "True"}


def job(number: int, *conditions: Object, **spec: Any) -> Object:
    labels = {"wardround.io/attempt": str(number)}
    metadata = {"labels": labels, "creationTimestamp": "2026-11-24T16:00:00Z"}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": list(conditions)}}


def failed(reason: str, condition: str = "Failed") -> Object:
    return {"type": condition, "status": "True", "reason": reason, "lastTransitionTime": TIME}


def pod(number: int, ended: Object | None = None, deleted: str = "", **status: Any) -> Object:
    metadata = {"name": "p", "namespace": "hub", "labels": {"wardround.io/attempt": str(number)}}
    metadata |= {"deletionTimestamp": deleted} if deleted else {}
    state = {"terminated": {"finishedAt": TIME, **ended}} if ended is not None else {"running": {}}
    container = {"name": "aggregate", "state": state}
    return {"metadata": metadata, "status": {"containerStatuses": [container], **status}}


def test_the_latest_aggregation_counts_and_its_pod_knows_first() -> None:
    ended = {"message": '{"reason":"NothingToAggregate","message":""}', "exitCode": 65}
    assert aggregation([], []) is None
    latest = aggregation([job(1), job(2)], [])
    assert latest is not None
    assert (latest.number, latest.over) == (2, False)
    shown = aggregation([job(1), job(2)], [pod(2, ended)])
    assert shown is not None
    assert (shown.over, shown.answer) == (True, AggregationFailure("NothingToAggregate"))
    assert shown.ended == AT


def test_a_job_whose_pod_stays_counts_by_its_condition_before_failed() -> None:
    over = aggregation([job(1, failed("BackoffLimitExceeded", "FailureTarget"))], [])
    assert over is not None
    assert (over.over, over.answer, over.ended) == (True, None, AT)
    terminating = aggregation([job(1)], [pod(1, deleted=TIME, phase="Running")])
    assert terminating is not None
    assert (terminating.over, terminating.gone_by) == (False, AT)


@pytest.mark.parametrize("times", [("2026-11-24T16:10:00Z", TIME), (TIME, "2026-11-24T16:10:00Z")])
def test_a_job_is_gone_when_the_last_of_its_pods_should_be(times: tuple[str, str]) -> None:
    leaving = aggregation([job(1)], [pod(1, deleted=time, phase="Running") for time in times])
    assert leaving is not None
    assert leaving.gone_by == AT


def test_the_end_of_a_job_is_its_creation_and_its_deadline() -> None:
    begun = aggregation([job(0, activeDeadlineSeconds=4200)], [])
    assert begun is not None
    assert begun.until == datetime(2026, 11, 24, 17, 10, tzinfo=UTC)


KILLED = {"exitCode": 137, "reason": "Error"}
ENDS: dict[str, tuple[list[Object], list[Object], tuple[bool, int | None, str]]] = {
    "too little memory": ([], [pod(1, {"exitCode": 137, "reason": "OOMKilled"})], (False, 137, "OOMKilled")),
    "a fault of the program": ([], [pod(1, {"exitCode": 1, "reason": "Error"})], (False, 1, "Error")),
    "scratch above its limit": ([], [pod(1, KILLED, phase="Failed", reason="Evicted")], (False, 137, "Evicted")),
    "pressure on the node": ([], [pod(1, KILLED, reason="Evicted", conditions=[DISRUPTION])], (True, 137, "Evicted")),
    "deleted, and still there": ([], [pod(1, KILLED, deleted=TIME)], (True, 137, "Error")),
    "deleted, and gone": ([failed("BackoffLimitExceeded")], [], (True, None, "")),
    "a node that does not answer": ([], [pod(1, deleted=TIME)], (True, None, "")),
    "its own deadline, and gone": ([failed("DeadlineExceeded")], [], (False, None, "")),
    "its own deadline, before the Job says so": ([], [pod(1, KILLED, deleted=TIME)], (False, 137, "Error")),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_pod_that_was_taken_away_is_told_from_one_that_failed(case: str) -> None:
    conditions, pods, expected = ENDS[case]
    limit = 900 if "before the Job" in case else 4200
    shown = aggregation([job(1, *conditions, activeDeadlineSeconds=limit)], pods)
    assert shown is not None
    assert (shown.disrupted, shown.exit_code, shown.cause) == expected


def test_the_try_before_the_latest_is_known_but_not_the_one_that_began_early() -> None:
    pods = [pod(1, {"exitCode": 137, "reason": "OOMKilled"}), pod(2)]
    latest = aggregation([job(0), job(1), job(2)], pods)
    assert latest is not None
    assert latest.before is not None
    assert (latest.over, latest.before.number, latest.before.cause) == (False, 1, "OOMKilled")
    first = aggregation([job(0), job(1)], pods)
    assert first is not None
    assert first.before is None


def test_the_attempts_that_a_try_and_those_before_it_had_are_read_as_they_are_written() -> None:
    known: dict[str, Any] = {"given": frozenset({"site-a/2", "site-b/1"}), "earlier": frozenset({"site-c/1"})}
    made = AggregationJob(
        namespace="hub",
        round_namespace="breast-cancer",
        round_name="train-1",
        round_uid="uid-1",
        number=2,
        image="image",
        scratch_bytes=1,
        **known,
    )
    written = manifest.secret(made, b"{}")
    assert (tries.given(written), tries.earlier(written)) == (known["given"], known["earlier"])
    early = manifest.secret(replace(made, number=0, given=None, earlier=frozenset()), b"{}")
    assert (tries.given(early), tries.earlier(early)) == (None, frozenset())
