"""Objects parse as the API server returns them, conditions follow the Kubernetes conventions, names are valid."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wardround.api import federatedround, meta, names, participant, roundtask, sitetask
from wardround.api.conditions import Conditions, find, set_condition, since
from wardround.api.timeline import mark, reached
from wardround.api.times import parse_time, to_microseconds, to_seconds
from wardround.wire import codec

NOW = datetime(2026, 11, 24, 16, 0, 0, 123456, tzinfo=UTC)
ROUND: dict[str, Any] = {
    "metadata": {"name": "train-1", "namespace": "n", "uid": "u", "managedFields": []},
    "spec": {
        "task": "Train",
        "datasetName": "breast",
        "schemaName": "breast-v1",
        "participants": {"names": ["a"]},
        "later": {"x": 1},
    },
}


def test_unknown_fields_are_ignored_and_defaults_are_set() -> None:
    parsed = federatedround.parse(ROUND)
    assert parsed.spec.command == ("python", "-m", "wardround_trainer")
    assert parsed.spec.quorum.grace_seconds == 60
    assert parsed.status.conditions == ()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"task": "Sing"}, "spec.task"),
        ({"retryLimit": "2"}, "spec.retryLimit"),
        ({"retryLimit": True}, "spec.retryLimit"),
        ({"participants": {"names": ["a", 1]}}, r"spec.participants.names\[1\]"),
        ({"datasetName": None}, "spec.datasetName"),
    ],
)
def test_the_error_names_a_field_of_the_wrong_type(change: dict[str, Any], place: str) -> None:
    with pytest.raises(codec.Malformed, match=place):
        federatedround.parse({**ROUND, "spec": {**ROUND["spec"], **change}})


def test_field_names_are_spelt_as_in_kubernetes() -> None:
    spec = sitetask.SiteTaskSpec(
        round_ref=meta.RoundRef(namespace="n", name="r", uid="u"),
        round_task_uid="t",
        attempt=1,
        assignment="{}",
        hub_key="k",
    )
    written = codec.dump(spec)
    assert (written["roundTaskUID"], written["roundRef"]["uid"], "grants" in written) == ("t", "u", False)


def test_a_dumped_task_parses_to_an_equal_task() -> None:
    task = {
        "metadata": {"name": "t"},
        "spec": {
            "roundRef": {"namespace": "n", "name": "r", "uid": "u"},
            "attempt": 1,
            "assignment": "{}",
            "hubKey": "k",
        },
        "status": {"failure": {"class": "Site", "reason": "ColumnMissing", "exitCode": 65}, "upload": {"bytes": 3}},
    }
    parsed = roundtask.parse(task)
    assert parsed.status.failure is not None
    assert parsed.status.failure.failure_class == "Site"
    assert roundtask.parse({"metadata": {"name": "t"}, **codec.dump(parsed)}) == parsed


def test_absent_fields_of_a_participant_are_none() -> None:
    parsed = participant.parse({"metadata": {"name": "a"}, "spec": {}})
    assert (parsed.spec.key_fingerprint, parsed.status.site) == (None, None)


def test_the_transition_time_moves_only_with_the_status() -> None:
    later = NOW + timedelta(seconds=60)
    first: Conditions = set_condition((), "Ready", False, "NoKeys", now=NOW, generation=1)
    same = set_condition(first, "Ready", False, "NotApproved", "see", now=later, generation=2)
    other = set_condition(same, "Ready", True, "Approved", now=later, generation=2)
    kept, moved = find(same, "Ready"), find(other, "Ready")
    assert kept is not None
    assert moved is not None
    assert (kept.reason, kept.observed_generation, kept.last_transition_time) == ("NotApproved", 2, to_seconds(NOW))
    assert moved.last_transition_time == to_seconds(later)


def test_other_conditions_are_kept() -> None:
    both = set_condition((), "A", True, "R", now=NOW, generation=1)
    both = set_condition(both, "B", True, "R", now=NOW, generation=1)
    assert [each.type for each in set_condition(both, "A", False, "S", now=NOW, generation=1)] == ["A", "B"]


def test_a_stage_is_recorded_once() -> None:
    once = mark((), "Started", NOW)
    assert mark(once, "Started", NOW + timedelta(seconds=1)) == once
    assert reached(once, "Started") == NOW


def test_a_malformed_time_is_none() -> None:
    once = mark((), "Started", NOW)
    assert reached((replace(once[0], time="yesterday"),), "Started") is None
    condition = set_condition((), "Sent", True, "Sent", now=NOW, generation=1)
    assert since((replace(condition[0], last_transition_time="soon"),), "Sent") is None


def test_written_times_parse_to_equal_times() -> None:
    assert parse_time(to_microseconds(NOW)) == NOW
    assert parse_time(to_seconds(NOW)) == NOW.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "tomorrow",
        "2026-11-24",
        "2026-W48Z",
        "20261124T160000Z",
        "2026-11-24T16:00Z",
        "2026-11-24 16:00:00Z",
        "2026-11-24T16:00:00",
        "2026-11-24T16:00:00z",
        "2026-11-24T16:00:00.123Z",
        "2026-11-24T16:00:00,123456Z",
        "2026-11-24T17:00:00+01:00",
        "2026-11-24T17:00:00+01:00Z",
        "2026-11-24T16:00:00Z\n",
        "2026-11-31T16:00:00Z",
        "2026-11-24T16:00:60Z",
        "２026-11-24T16:00:00Z",
    ],
)
def test_a_time_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@pytest.mark.parametrize("name", ["train-1", "a" * 253, "a" * 39 + ".b", "a" * 39 + "-b"])
def test_task_names_are_valid_job_names(name: str) -> None:
    child = names.task_name(name, "some-uid", 12)
    assert len(child) <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", child)
    assert len(names.label_value(name)) <= 63
