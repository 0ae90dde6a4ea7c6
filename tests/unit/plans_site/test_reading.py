"""When a Dataset is read without a round, and what the end of such a reading says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.players.hospital import OURS
from tests.unit.plans_site.test_dataset import LOST, REPORT, SCHEMA, SPEC, ready
from tests.worlds.site import CONTROL, NOW, UNPROVEN, a_pod, a_site, ended
from wardround.api import conditions
from wardround.api.dataset import DatasetStatus, Limits, Reading
from wardround.manifests.reading import build
from wardround.plans import closed_job, reading
from wardround.plans.pod import Job
from wardround.plans.reading import Observation, ObservedReading, Plan

SITE = a_site(datasets=[{"name": "breast", "federations": ["breast-cancer"]}])
LIMITS = Limits(min_samples=11, min_cell=11, max_left_out="0.1")
JOB = Job(name="read-uid", namespace="hospital-a", uid="job", limits=LIMITS)
FAILED = dataclasses.replace(JOB, failed="BackoffLimitExceeded")


def seen(status: DatasetStatus | None = None, **changes: Any) -> Observation:
    known: dict[str, Any] = {
        "namespace": "hospital-a",
        "name": "breast",
        "uid": "uid",
        "control": CONTROL,
        "operator_image": OURS,
        "spec": SPEC,
        "schema": SCHEMA,
        "status": status or DatasetStatus(),
        "generation": 1,
        "request": None,
        "site": SITE,
        "reading": None,
        "now": NOW,
    }
    return Observation(**(known | changes))


def digest() -> str:
    digest = reading.plan(seen()).status.schema_digest
    assert digest is not None
    return digest


def made(outcome: Mapping[str, Any] | None = None, code: int = 0, **changes: Any) -> ObservedReading:
    """A Job whose pod has ended with this report; without one, a Job that runs."""
    job = JOB if outcome is None else FAILED if code else dataclasses.replace(JOB, complete=True)
    pod = None if outcome is None else a_pod(ended("prepare", code, json.dumps(outcome)))
    known: dict[str, Any] = {
        "job": job,
        "pod": pod,
        "generation": 1,
        "schema_digest": digest(),
        "request": None,
        "created": NOW - timedelta(seconds=20),
    }
    return ObservedReading(**(known | changes))


def read(**changes: Any) -> DatasetStatus:
    """The status after a reading without faults."""
    return reading.plan(seen(reading=made(REPORT), **changes)).status


def later(status: DatasetStatus, seconds: float, **changes: Any) -> Plan:
    return reading.plan(seen(status, now=NOW + timedelta(seconds=seconds), **changes))


def reading_of(status: DatasetStatus) -> Reading:
    assert status.reading is not None
    return status.reading


def test_a_job_needs_a_control_that_proves_the_gate_and_the_dataset_says_so() -> None:
    due = seen(control=None)
    assert reading.plan(due) == Plan(status=reading.plan(due).status, needs_control=True)
    unproven = reading.plan(seen(control=UNPROVEN))
    assert (unproven.create, unproven.requeue_after) == (None, closed_job.UNPROVEN_SECONDS)
    assert reading_of(unproven.status).reason == "IsolationUnproven"
    assert not later(unproven.status, 29).create
    assert later(unproven.status, 31).create


def test_a_job_carries_the_texts_of_the_api_and_the_limits_of_the_site() -> None:
    due = seen(request="now", site=RAISED)
    planned = reading.plan(due)
    job = reading.job(due, RAISED, CONTROL, planned.status)
    assert planned.create == build(job)
    assert (job.namespace, job.dataset_name, job.dataset_uid, job.request) == ("hospital-a", "breast", "uid", "now")
    assert (job.dataset, job.schema, job.schema_digest) == (SPEC, SCHEMA, digest())
    assert (job.operator_image, job.isolation, job.isolation_seconds) == (OURS, CONTROL.targets, CONTROL.seconds)
    assert job.max_left_out == RAISED.spec.policy.max_left_out != SITE.spec.policy.max_left_out


def test_a_new_dataset_is_read_at_once_and_then_not_again() -> None:
    assert reading.plan(seen()).create
    status = read()
    assert (ready(status).status, ready(status).reason, status.rows) == ("True", "Read", 341)
    assert (reading_of(status).reason, reading_of(status).generation) == ("Read", 1)
    assert later(status, 10**6) == Plan(status=status)


def test_a_job_that_has_ended_is_deleted_after_its_report_is_written() -> None:
    planned = reading.plan(seen(reading=made(REPORT)))
    assert planned.delete is not None
    assert planned.delete.uid == "job"
    assert not planned.create


def test_while_a_job_runs_there_is_no_second_one() -> None:
    """A change of the Dataset waits: the end of the Job leads to the next look."""
    planned = reading.plan(seen(read(), generation=2, request="now", reading=made()))
    assert (planned.create, planned.delete) == (None, None)
    assert planned.requeue_after is not None


def test_a_changed_dataset_is_read_again_and_a_report_of_the_former_one_says_nothing() -> None:
    planned = reading.plan(seen(read(), generation=2, reading=made(REPORT | {"rows": 7})))
    assert planned.delete is not None
    assert planned.status.rows is None
    assert later(planned.status, 0, generation=2).create


def test_a_dataset_whose_schema_has_another_meaning_now_is_read_again() -> None:
    """The DataSchema was deleted and applied again: the Dataset's generation is the same."""
    other = json.loads(json.dumps(SCHEMA))
    other["fields"][0]["maximum"] = "17"
    assert later(read(), 0, schema=other).create


def test_a_person_asks_for_a_reading_by_another_value_of_the_annotation() -> None:
    status = read()
    assert later(status, 0, request="first").create
    answered = reading.plan(seen(status, request="first", reading=made(REPORT, request="first"))).status
    assert reading_of(answered).request == "first"
    assert not later(answered, 0, request="first").create
    assert later(answered, 0, request="second").create


def test_the_hospitals_own_schedule_counts_from_the_newest_reading() -> None:
    status = read()
    every = {**SPEC, "readEvery": 3600}
    assert later(status, 3000, spec=every).requeue_after == pytest.approx(3600 - 3000, abs=60)
    assert not later(status, 3000, spec=every).create
    assert later(status, 3700, spec=every).create
    # A training pod has read it meanwhile.
    trained = dataclasses.replace(status, read_at="2026-11-24T12:50:00Z")
    assert not later(trained, 3700, spec=every).create


def test_a_dataset_that_a_training_pod_has_read_is_not_read_once_more() -> None:
    assert not reading.plan(seen(dataclasses.replace(read(), reading=None))).create


FAULTS: dict[str, dict[str, Any]] = {
    "ColumnMissing": {"reason": "ColumnMissing", "class": "Site", "message": "the data has no column age"},
    "TooManyRowsLeftOut": {**REPORT, "reason": "TooManyRowsLeftOut", "class": "Site", "message": "89 of 304 rows"},
    "SplitKeyLost": LOST,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_file_makes_the_dataset_not_ready_without_any_round(fault: str) -> None:
    status = reading.plan(seen(reading=made(FAULTS[fault], 65))).status
    assert (ready(status).status, ready(status).reason) == ("False", fault)
    assert ready(status).message == FAULTS[fault]["message"]
    # A person has to change something first.
    assert not later(status, 10**6).create


RAISED = a_site(maxLeftOut="0.3")


@pytest.mark.parametrize("policy", [{"maxLeftOut": "0.3"}, {"minSamples": 40}, {"minCell": 20}])
@pytest.mark.parametrize("reason", ["Read", "TooManyRowsLeftOut", "TooFewSamples"])
def test_a_file_that_was_compared_with_other_limits_is_read_again(reason: str, policy: dict[str, Any]) -> None:
    outcome = REPORT if reason == "Read" else {**REPORT, "reason": reason, "class": "Site", "message": "89 of 304 rows"}
    status = reading.plan(seen(reading=made(outcome, 65 * (reason != "Read")))).status
    assert (ready(status).reason, status.limits) == (reason, LIMITS)
    assert not later(status, 10**6).create
    other = a_site(**policy)
    assert later(status, 0, site=other).create
    limits = Limits(
        min_samples=policy.get("minSamples", 11),
        min_cell=policy.get("minCell", 11),
        max_left_out=policy.get("maxLeftOut", "0.1"),
    )
    again = seen(status, site=other, reading=made(REPORT, job=dataclasses.replace(JOB, complete=True, limits=limits)))
    after = reading.plan(again).status
    assert (ready(after).reason, after.limits) == ("Read", limits)
    assert not later(after, 10**6, site=other).create


@pytest.mark.parametrize("fault", ["ColumnMissing", "SplitKeyLost"])
def test_a_fault_that_depends_on_no_limit_is_not_read_again_for_another_limit(fault: str) -> None:
    status = reading.plan(seen(read(), reading=made(FAULTS[fault], 65))).status
    assert ready(status).reason == fault
    assert not later(status, 10**6, site=RAISED).create


def test_a_job_with_the_former_limits_is_followed_by_another_one() -> None:
    """Somebody raised the limit while the Job ran, or while a training pod read the file."""
    status = reading.plan(seen(reading=made(FAULTS["TooManyRowsLeftOut"], 65), site=RAISED)).status
    assert later(status, 0, site=RAISED).create


def test_an_api_server_that_still_compares_with_the_former_limits_is_asked_again() -> None:
    """Helm changes the Site and the admission policies, and these work a moment later."""
    status = reading.plan(seen(reading=made(FAULTS["TooManyRowsLeftOut"], 65))).status
    refused = reading.refused(seen(status, site=RAISED), status, "JobNotAdmitted", "maxLeftOut is 0.1")
    assert not later(refused, 5, site=RAISED).create
    assert later(refused, 11, site=RAISED).create


UNREAD: dict[str, tuple[dict[str, Any], int]] = {
    "NetworkOpen": ({"reason": "NetworkOpen", "class": "Site", "message": "the hub answered"}, 75),
    "PodFailed": ({"reason": "PodFailed", "class": "Platform", "message": "the volume answered OSError"}, 70),
    "DataReplaced": ({"reason": "DataReplaced", "class": "Platform", "message": "it was replaced"}, 75),
}


@pytest.mark.parametrize("fault", UNREAD)
def test_a_reading_that_did_not_come_to_the_file_is_tried_again_and_says_why(fault: str) -> None:
    outcome, code = UNREAD[fault]
    status = reading.plan(seen(reading=made(outcome, code))).status
    assert (reading_of(status).reason, reading_of(status).message) == (fault, outcome["message"])
    assert not later(status, 300).create
    assert later(status, 700).create


def test_a_pod_that_ends_without_a_report_says_so() -> None:
    killed = a_pod({"name": "prepare", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}})
    status = reading.plan(seen(reading=made(REPORT, 137, pod=killed))).status
    assert reading_of(status).reason == "PodFailed"
    assert ready(status).reason == "NotReadYet"


def test_a_job_that_cannot_run_is_deleted_and_says_why() -> None:
    pending = dataclasses.replace(a_pod(), phase="Pending", unschedulable="no node has the volume", steps={})
    waiting = made(pod=pending, created=NOW - timedelta(seconds=4100))
    assert reading.plan(seen(reading=waiting)).delete is None
    late = reading.plan(seen(reading=dataclasses.replace(waiting, created=NOW - timedelta(seconds=4201))))
    assert late.delete is not None
    assert reading_of(late.status).reason == "DeadlineExceeded"
    assert "no node has the volume" in (reading_of(late.status).message or "")


def test_a_dataset_that_the_site_does_not_list_is_not_read_and_says_so_once() -> None:
    status = reading.plan(seen(site=a_site(datasets=[]), request="now")).status
    assert reading_of(status).reason == "JobNotAdmitted"
    assert "policy.datasets" in (reading_of(status).message or "")
    assert (ready(status).status, ready(status).reason) == ("False", "ReadingNotAdmitted")
    assert "does not list Dataset breast" in ready(status).message
    assert "add the Dataset" in ready(status).message
    again = later(status, 3600, site=a_site(datasets=[]), request="now")
    assert again.status == status
    assert again.requeue_after == 60
    assert later(status, 3600, request="now").create


def test_a_dataset_whose_dataschema_the_site_does_not_list_is_not_read_and_names_it() -> None:
    planned = reading.plan(seen(site=a_site(dataSchemas=["other"])))
    assert (planned.create, planned.needs_control) == (None, False)
    assert ready(planned.status).reason == "ReadingNotAdmitted"
    assert f"does not list {SPEC['schemaName']}, the DataSchema of Dataset breast" in ready(planned.status).message
    assert "`helm upgrade`" in ready(planned.status).message
    assert later(planned.status, 3600, site=a_site(dataSchemas=[SPEC["schemaName"]])).create


@pytest.mark.parametrize("change", [{"schema": None}, {"schema": {**SCHEMA, "target": "benign"}}])
def test_a_dataset_without_a_valid_schema_is_not_read_and_answers_all_the_same(change: dict[str, Any]) -> None:
    planned = reading.plan(seen(request="now", **change))
    assert not planned.create
    assert reading_of(planned.status).request == "now"
    assert reading_of(planned.status).reason == ready(planned.status).reason
    assert later(planned.status, 0, request="now", **change).status == planned.status
    assert later(planned.status, 0, request="now").create


def test_a_namespace_without_a_site_reads_nothing() -> None:
    assert reading.plan(seen(site=None)) == Plan(status=reading.plan(seen()).status)


def not_admitted(words: str = "policy.dataSchemas lacks heart-v1.") -> DatasetStatus:
    """The status of a new Dataset after the API server has refused the Job."""
    due = seen()
    return reading.not_admitted(due, reading.plan(due), words).status


@pytest.mark.parametrize("words", ["policy.dataSchemas lacks heart-v1.", "exceeded quota " * 200])
def test_a_new_dataset_whose_job_the_api_server_refuses_is_not_ready_and_says_why(words: str) -> None:
    status = not_admitted(words)
    assert (ready(status).status, ready(status).reason) == ("False", "ReadingNotAdmitted")
    assert ready(status).message.startswith(words[:26])
    assert ready(status).message.endswith("The site operator tries again."), "a long cause leaves room for the advice"
    # Just after a change, the API server may still go by the former objects: the next try succeeds.
    assert not conditions.is_true(status.conditions, "Stalled")
    assert conditions.is_true(status.conditions, "Reconciling")
    assert later(status, 11).create


def test_once_its_job_is_admitted_a_dataset_waits_for_its_first_reading_as_others_do() -> None:
    running = reading.plan(seen(not_admitted(), reading=made(pod=a_pod()))).status
    assert (ready(running).status, ready(running).reason) == ("True", "NotReadYet")
    assert not conditions.is_true(running.conditions, "Stalled")
    assert ready(reading.plan(seen(running, reading=made(REPORT))).status).reason == "Read"


def test_a_dataset_stays_not_admitted_while_isolation_is_unproven() -> None:
    """No Job was made, so nothing has shown that the API server admits one now."""
    status = not_admitted()
    unproven = later(status, 11, control=UNPROVEN).status
    assert reading_of(unproven).reason == "IsolationUnproven"
    assert ready(unproven) == ready(status)
    assert conditions.is_true(unproven.conditions, "Reconciling")
    assert ready(later(unproven, 42, control=UNPROVEN).status) == ready(status)
    assert ready(reading.plan(seen(unproven, reading=made(pod=a_pod()))).status).reason == "NotReadYet"


@pytest.mark.parametrize("age", [20, 61, 4201])
def test_a_dataset_stays_not_admitted_while_its_admitted_job_has_no_pod(age: int) -> None:
    """For example a quota refuses the pod, and not the Job."""
    waiting = made(created=NOW - timedelta(seconds=age))
    planned = reading.plan(seen(not_admitted(), reading=waiting))
    assert (ready(planned.status).status, ready(planned.status).reason) == ("False", "ReadingNotAdmitted")
    assert ("kubectl describe job/read-uid -n hospital-a" in ready(planned.status).message) is (age > 60)
    assert (planned.delete is not None) is (age > 4200)
    if planned.delete is None:
        assert planned.requeue_after == (40 if age == 20 else 4200 - age)
    else:
        assert later(planned.status, 11).create


def test_a_new_dataset_whose_job_has_no_pod_for_a_minute_says_so() -> None:
    def after(seconds: int, **changes: Any) -> DatasetStatus:
        return reading.plan(seen(reading=made(created=NOW - timedelta(seconds=seconds), **changes))).status

    assert ready(after(59)).reason == "NotReadYet"
    assert ready(after(61)).reason == "ReadingNotAdmitted"
    assert ready(after(61, pod=a_pod())).reason == "NotReadYet"
    # The queue of Kueue holds this Job back.
    assert ready(after(61, job=dataclasses.replace(JOB, suspended=True))).reason == "NotReadYet"
    again = reading.plan(seen(after(61), reading=made(created=NOW - timedelta(seconds=61))))
    assert again.status == after(61), "it says so once"


def test_a_dataset_that_was_read_stays_ready_after_a_refused_job() -> None:
    status = read()
    refused = reading.refused(seen(status, request="now"), status, "JobNotAdmitted", "exceeded quota")
    assert (reading_of(refused).reason, ready(refused).reason) == ("JobNotAdmitted", "Read")
