"""When the pod of a Prediction is made, what it waits for, and what its end says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.players.hospital import OURS
from tests.unit.plans_site.test_dataset import SCHEMA, SPEC
from tests.worlds.site import CONTROL, NOW, UNPROVEN, a_pod, a_site, ended, running, waiting
from wardround.api import conditions, prediction
from wardround.api.prediction import PREDICT_SECONDS, Code, PredictionStatus
from wardround.api.site import PredictionVolumeClaims, Site
from wardround.manifests.prediction import build
from wardround.plans import closed_job, events
from wardround.plans import prediction as plans
from wardround.plans.pod import Job
from wardround.plans.prediction import Observation, ObservedJob, Plan
from wardround.reasons.places import Place
from wardround.reasons.registry import REASONS

ASKED = prediction.parse(
    {
        "metadata": {"name": "new-cases", "namespace": "hospital-a", "uid": "uid", "generation": 1},
        "spec": {
            "model": {"name": "heart"},
            "datasetName": "breast",
            "rows": {"claimName": "new-cases", "path": "cases.csv"},
            "answer": {"claimName": "answers", "path": "answers.csv"},
        },
    }
)
JOB = Job(name="predict-uid", namespace="hospital-a", uid="job")
PREDICTED = {"version": "v3", "digest": "sha256:" + "a" * 64, "answered": 40, "outside": 2, "notes": ["one."]}


def site(models: str = "models", rows: str = "new-cases", answers: str = "answers", **policy: Any) -> Site:
    plain = a_site(**policy)
    workload = dataclasses.replace(plain.spec.workload, models_claim_name=models)
    claims = PredictionVolumeClaims(rows_claim_names=(rows,), answers_claim_names=(answers,))
    return dataclasses.replace(plain, spec=dataclasses.replace(plain.spec, workload=workload, predictions=claims))


def seen(**changes: Any) -> Observation:
    known: dict[str, Any] = {
        "prediction": ASKED,
        "dataset": SPEC,
        "schema": SCHEMA,
        "site": site(),
        "made": None,
        "control": CONTROL,
        "operator_image": OURS,
        "now": NOW,
    }
    return Observation(**(known | changes))


def made(outcome: Mapping[str, Any] | None = None, code: int = 0, **changes: Any) -> ObservedJob:
    """A Job whose pod has ended with this report; without one, a Job that runs."""
    job = JOB if outcome is None else dataclasses.replace(JOB, failed="PodFailed" if code else "", complete=not code)
    pod = None if outcome is None else a_pod(ended("predict", code, json.dumps(outcome)))
    known: dict[str, Any] = {"job": job, "pod": pod, "created": NOW}
    return ObservedJob(**(known | changes))


def shown(planned: Plan, kind: str) -> tuple[str, str]:
    """Reason and message of a condition that is True."""
    shown = conditions.find(planned.status.conditions, kind)
    assert shown is not None
    assert shown.status == "True"
    assert kind in PLACES_OF
    assert PLACES_OF[kind] in REASONS[shown.reason].stands_in
    return shown.reason, shown.message


PLACES_OF = {
    "Complete": Place.PREDICTION_COMPLETE,
    "Failed": Place.PREDICTION_FAILED,
    "Stalled": Place.PREDICTION_STALLED,
    "Reconciling": Place.PREDICTION_RECONCILING,
}


def test_the_job_reads_the_site_for_claims_and_hub() -> None:
    planned = plans.plan(seen())
    job = plans.job(seen(), site(), CONTROL)
    assert planned.create == build(job)
    assert (job.models_claim, job.hub_fingerprint) == ("models", site().spec.hub.fingerprint)
    assert (job.uid, job.spec, job.dataset, job.schema) == ("uid", ASKED.spec, SPEC, SCHEMA)
    assert job.operator_image == OURS
    assert shown(planned, "Reconciling")[0] == "Predicting"


def test_no_job_is_made_before_the_positive_control() -> None:
    planned = plans.plan(seen(control=None))
    assert (planned.needs_control, planned.create) == (True, None)
    unproven = plans.plan(seen(control=UNPROVEN))
    assert (shown(unproven, "Reconciling")[0], unproven.create) == ("IsolationUnproven", None)
    assert unproven.requeue_after == closed_job.UNPROVEN_SECONDS


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"site": site(models="")}, "NoModelsClaim", "models.claimName"),
        (
            {"site": site(rows="other")},
            "ClaimNotListed",
            "predictions.rowsClaimNames in the values",
        ),
        ({"site": site(answers="other")}, "ClaimNotListed", "predictions.answersClaimNames"),
        ({"dataset": None}, "NoDataset", "datasetName"),
        (
            {"site": site(datasets=[])},
            "DatasetNotListed",
            "policy.datasets in the values of the site chart does not list Dataset breast, so",
        ),
        ({"schema": None}, "SchemaNotFound", f"The name of the DataSchema is {SPEC['schemaName']}"),
    ],
)
def test_a_prediction_waits_for_what_people_have_to_change(changes: dict[str, Any], reason: str, words: str) -> None:
    planned = plans.plan(seen(**changes))
    assert shown(planned, "Stalled")[0] == reason
    assert words in shown(planned, "Stalled")[1]
    assert (planned.create, planned.needs_control) == (None, False)
    assert planned.requeue_after == plans.STALLED_SECONDS
    # It goes on when the cause is gone.
    after = dataclasses.replace(ASKED, status=planned.status)
    assert plans.plan(seen(prediction=after)).create is not None


def test_a_prediction_says_which_list_lacks_its_dataset_or_its_dataschema_and_goes_on_with_both() -> None:
    reason, message = shown(plans.plan(seen(site=site(dataSchemas=["other"]))), "Stalled")
    assert reason == "DatasetNotListed"
    assert f"policy.dataSchemas in the values of the site chart does not list {SPEC['schemaName']}" in message
    assert "The hospital's administrator: Add the name" in message
    assert plans.plan(seen(site=site(dataSchemas=[SPEC["schemaName"]]))).create


@pytest.mark.parametrize("words", ["exceeded quota", "exceeded quota " * 100])
def test_a_refused_job_is_tried_again(words: str) -> None:
    planned = plans.not_admitted(seen(), words)
    reason, message = shown(planned, "Reconciling")
    assert (reason, message.startswith("exceeded quota")) == ("JobNotAdmitted", True)
    assert message.endswith("The site operator tries again.") == (words == "exceeded quota")
    assert planned.requeue_after == closed_job.ADMISSION_SECONDS


def test_an_answer_is_complete_and_counts_its_rows() -> None:
    planned = plans.plan(seen(made=made({"prediction": PREDICTED})))
    reason, message = shown(planned, "Complete")
    assert reason == "Predicted"
    assert message == (
        "The answer answers.csv has a probability for 40 of 42 rows. 2 rows have no probability, "
        "because they break the DataSchema: the column `fault` of the answer says why."
    )
    assert planned.status.answer is not None
    assert (planned.status.answer.version, planned.status.answer.notes) == ("v3", ("one.",))
    assert (planned.create, planned.delete, planned.requeue_after) == (None, None, None)
    over = dataclasses.replace(ASKED, status=planned.status)
    # Later looks change nothing, though somebody deletes the Job.
    assert plans.plan(seen(prediction=over)) == Plan(status=planned.status)


@pytest.mark.parametrize(("columns", "words"), [(1, "But 1 column lies far"), (3, "But 3 columns lie far")])
def test_an_answer_with_columns_unlike_training_is_complete_and_warns(columns: int, words: str) -> None:
    """Its message becomes an Event, so it names no column: the name tells something about the patients."""
    note = 'More than half of the rows lie more than 3 standard deviations from the mean, in the column "radius".'
    predicted = {**PREDICTED, "farColumns": columns, "notes": [note]}
    planned = plans.plan(seen(made=made({"prediction": predicted})))
    reason, message = shown(planned, "Complete")
    assert reason == "ColumnsUnlikeTraining"
    assert words in message
    assert "kubectl describe prediction new-cases -n hospital-a" in message
    assert "radius" not in message
    [event] = events.transitions((), planned.status.conditions)
    assert (event.type, event.reason) == ("Warning", reason)
    assert planned.status.answer is not None
    assert planned.status.answer.notes == (note,)


@pytest.mark.parametrize(
    ("outside", "words"),
    [
        (
            42,
            "all 42 rows of cases.csv break the DataSchema: the column `fault` of the answer answers.csv on the claim",
        ),
        (0, "the file cases.csv on the claim new-cases has no rows"),
    ],
)
def test_a_prediction_that_answers_no_row_has_failed(outside: int, words: str) -> None:
    planned = plans.plan(seen(made=made({"prediction": {**PREDICTED, "answered": 0, "outside": outside}})))
    reason, message = shown(planned, "Failed")
    assert reason == "NoRowAnswered"
    assert words in message
    assert "kubectl edit dataset breast -n hospital-a" in message
    assert planned.status.answer is not None
    assert (planned.status.answer.answered, planned.status.answer.outside) == (0, outside)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (
            {"reason": "AnswerExists", "message": "the claim has a file answers.csv already"},
            "Make a new Prediction with another",
        ),
        ({"reason": "ModelRefused", "message": "card.json is not what the hub signed"}, "card.json is not what"),
        ({"reason": "ColumnMissing", "message": "the data has no column age"}, "the data has no column age"),
        ({"reason": "NetworkOpen", "message": "the training pod reaches hub"}, "reaches hub"),
    ],
)
def test_the_reason_of_a_pod_that_refuses_is_final(outcome: dict[str, str], words: str) -> None:
    planned = plans.plan(seen(made=made(outcome, 65)))
    assert shown(planned, "Failed")[0] == outcome["reason"]
    assert words in shown(planned, "Failed")[1]
    assert planned.status.answer is None
    stalled = conditions.find(planned.status.conditions, "Stalled")
    assert stalled is not None
    assert stalled.status == "True"


@pytest.mark.parametrize(
    ("job", "outcome", "reason"),
    [
        (dataclasses.replace(JOB, failed="DeadlineExceeded"), {}, "DeadlineExceeded"),
        (dataclasses.replace(JOB, failed="BackoffLimitExceeded"), {}, "PodFailed"),
        (dataclasses.replace(JOB, complete=True), {}, "PodFailed"),
    ],
)
def test_a_pod_that_ends_without_a_word_has_failed(job: Job, outcome: dict[str, str], reason: str) -> None:
    planned = plans.plan(seen(made=made(outcome, job=job)))
    assert shown(planned, "Failed")[0] == reason


def test_an_evicted_pod_is_replaced() -> None:
    gone = dataclasses.replace(a_pod(ended("predict", 137, "")), disrupted=True)
    planned = plans.plan(seen(made=made(pod=gone)))
    assert shown(planned, "Reconciling")[0] == "Predicting"


def test_a_pod_that_waits_says_why_and_fails_at_last() -> None:
    waiting = dataclasses.replace(a_pod(), unschedulable="no node can mount the volume")
    early = plans.plan(seen(made=made(pod=waiting)))
    assert "no node can mount the volume" in shown(early, "Reconciling")[1]
    late = plans.plan(seen(made=made(pod=dataclasses.replace(waiting, created=None)), now=NOW + plans.LONGEST))
    assert shown(late, "Failed")[0] == "DeadlineExceeded"
    assert "no node can mount the volume" in shown(late, "Failed")[1]
    assert late.delete == JOB


def test_a_job_in_a_queue_waits_as_long_as_the_queue_wants() -> None:
    queued = made(job=dataclasses.replace(JOB, suspended=True))
    planned = plans.plan(seen(made=queued, now=NOW + timedelta(days=3)))
    assert shown(planned, "Reconciling") == ("Predicting", "The Job waits in its queue.")


IMAGE = "registry.example/own@sha256:" + "5" * 64
CODE = Code(image=IMAGE, command=("python", "/trainer.py"))
CODED = dataclasses.replace(ASKED, spec=dataclasses.replace(ASKED.spec, code=CODE))


def listing(images: tuple[str, ...] = (IMAGE,), commands: tuple[tuple[str, ...], ...] = (CODE.command,)) -> Site:
    plain = site()
    policy = dataclasses.replace(plain.spec.policy, images=images, commands=commands)
    return dataclasses.replace(plain, spec=dataclasses.replace(plain.spec, policy=policy))


def coded(*steps: dict[str, Any], failed: str = "", complete: bool = False, **status: Any) -> Plan:
    """The plan for a Prediction that names code, after its pod has come so far."""
    pod = dataclasses.replace(a_pod(*steps, **status), deadline_seconds=PREDICT_SECONDS)
    job = dataclasses.replace(JOB, failed=failed, complete=complete)
    return plans.plan(seen(prediction=CODED, site=listing(), made=ObservedJob(job=job, pod=pod, created=NOW)))


VIEWED, WATCHED = ended("view", 0, "{}"), running("isolation")


def test_a_job_with_code_has_what_the_site_allows() -> None:
    coded = seen(prediction=CODED, site=listing())
    job = plans.job(coded, listing(), CONTROL)
    assert plans.plan(coded).create == build(job)
    assert job.spec.code == CODE
    assert job.parameters == listing().spec.policy.parameters
    assert job.participant == listing().spec.hub.participant_namespace


@pytest.mark.parametrize(
    ("policy", "reason", "words"),
    [
        (listing(images=()), "ImageNotAllowed", IMAGE),
        (listing(commands=()), "CommandNotAllowed", '["python", "/trainer.py"]'),
    ],
)
def test_code_that_the_hospital_has_not_listed_waits_for_the_hospital(policy: Site, reason: str, words: str) -> None:
    planned = plans.plan(seen(prediction=CODED, site=policy))
    assert shown(planned, "Stalled")[0] == reason
    assert words in shown(planned, "Stalled")[1]
    assert planned.create is None


def test_an_answer_of_code_is_complete() -> None:
    merge = ended("merge", 0, json.dumps({"prediction": PREDICTED}))
    planned = coded(VIEWED, ended("isolation", 0), ended("model", 0), merge, complete=True)
    assert shown(planned, "Complete")[0] == "Predicted"
    assert planned.status.answer is not None


@pytest.mark.parametrize(
    ("steps", "reason", "words"),
    [
        (
            [ended("view", 65, json.dumps({"reason": "CodeDiffers", "message": "another command"}))],
            "CodeDiffers",
            "Make a new Prediction whose spec.code has the image and the command",
        ),
        ([VIEWED, WATCHED, ended("model", 1)], "TrainerFailed", "Container model ended with exit code 1"),
        ([VIEWED, WATCHED, ended("model", 137, reason="OOMKilled")], "OutOfMemory", "Container model needed more"),
        (
            [VIEWED, ended("isolation", 0), ended("model", 0), ended("merge", 65, '{"reason": "OutputMissing"}')],
            "OutputMissing",
            "",
        ),
    ],
)
def test_the_code_of_a_model_fails_as_that_of_a_round(steps: list[dict[str, Any]], reason: str, words: str) -> None:
    planned = coded(*steps, failed="PodFailed", phase="Failed")
    assert shown(planned, "Failed")[0] == reason
    assert words in shown(planned, "Failed")[1]


def test_the_termination_message_of_the_models_code_counts_for_nothing() -> None:
    """Its termination message could carry a patient's values into the status."""
    forged = {"prediction": PREDICTED, "reason": "AnswerExists", "message": "patient 7 is ill"}
    planned = coded(VIEWED, WATCHED, ended("model", 1, json.dumps(forged)), failed="PodFailed", phase="Failed")
    reason, message = shown(planned, "Failed")
    assert reason == "TrainerFailed"
    assert "patient 7" not in message
    assert planned.status.answer is None
    done = coded(VIEWED, ended("isolation", 0), ended("model", 0, json.dumps(forged)), ended("merge", 0), complete=True)
    assert shown(done, "Failed")[0] == "PodFailed"


def test_a_network_that_opens_ends_the_pod_while_the_code_runs() -> None:
    opened = ended("isolation", 75, json.dumps({"reason": "NetworkOpen", "message": "the pod reaches hub"}))
    planned = coded(VIEWED, opened, running("model"))
    assert shown(planned, "Failed")[0] == "NetworkOpen"
    assert planned.delete == JOB


def test_an_answer_after_the_network_opened_is_none() -> None:
    opened = ended("isolation", 75, json.dumps({"reason": "NetworkOpen", "message": "the pod reaches hub"}))
    merge = ended("merge", 0, json.dumps({"prediction": PREDICTED}))
    planned = coded(VIEWED, opened, ended("model", 0), merge, complete=True)
    assert shown(planned, "Failed")[0] == "NetworkOpen"
    assert planned.status.answer is None


def test_an_image_that_cannot_be_pulled_is_named_while_the_pod_waits() -> None:
    planned = coded(VIEWED, WATCHED, waiting("model", "ImagePullBackOff"), phase="Pending")
    assert "cannot pull the image of container model" in shown(planned, "Reconciling")[1]


def test_without_a_site_nothing_happens() -> None:
    assert plans.plan(seen(site=None)).status == PredictionStatus()
