"""Decides when the pod of a Prediction is made, and what its end says: an ordered list of rules. Knows no rows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wardround.api import conditions
from wardround.api.prediction import PREDICT_SECONDS, Prediction, PredictionStatus
from wardround.api.site import Site
from wardround.manifests.prediction import CONTAINER, build
from wardround.manifests.prediction_job import PredictionJob
from wardround.plans import listed
from wardround.plans.closed_job import ADMISSION_SECONDS, UNPROVEN_SECONDS, ClosedJobPlan
from wardround.plans.pod import Job, Pod, Step, out_of_time
from wardround.plans.sitetask.failure import failure, not_pulled
from wardround.plans.sitetask.job import workload
from wardround.plans.sitetask.types import Control
from wardround.reasons.predictions import PREDICTIONS, at_a_prediction
from wardround.reasons.registry import REASONS
from wardround.wire.outcome import Predicted

# While a person has to change the Site, a Dataset or the chart.
STALLED_SECONDS = 60.0
# How often the message of a pod that waits is looked at.
WAITING_SECONDS = 30.0
# The containers of our own image beside the code of a model. What `model` writes about its end counts for nothing.
OURS = ("view", "merge")
# A Job that has not ended after this time, for example because no node can mount a volume, is deleted.
LONGEST = timedelta(seconds=PREDICT_SECONDS + 600)


@dataclass(frozen=True, kw_only=True)
class ObservedJob:
    """The Job of a Prediction, its newest pod, and when the Job was made."""

    job: Job
    pod: Pod | None
    created: datetime

    @property
    def over(self) -> bool:
        return self.job.finished or (self.pod is not None and self.pod.ended and not self.pod.leaving)

    @property
    def own_steps(self) -> tuple[Step, ...]:
        """The containers of our own image."""
        return tuple(self.pod.step(name) for name in (CONTAINER, *OURS)) if self.pod is not None else ()


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`dataset`, `schema`: specs of the Dataset and its DataSchema as they stand in the API, None for a missing one.
    `site`: None if there is no Site.

    `control`: None if the site operator has not taken it for this look. `operator_image`: the image of the pod.
    """

    prediction: Prediction
    dataset: Mapping[str, Any] | None
    schema: Mapping[str, Any] | None
    site: Site | None
    made: ObservedJob | None
    control: Control | None = None
    operator_image: str
    now: datetime


Plan = ClosedJobPlan[PredictionStatus]


def plan(seen: Observation) -> Plan:
    """1. A Prediction that is over: nothing.
    2. A Job that has ended: its report becomes the status. The Job stays for its log.
    3. A Job that takes too long: the Prediction has failed, and the Job goes.
    4. A Job that runs: its state.
    5. Something that people have to change first: its reason.
    6. Else the Job, once the isolation gate can prove something.
    """
    if conditions.is_over(seen.prediction.status.conditions):
        return Plan(status=seen.prediction.status)
    if seen.made is not None:
        return _running(seen, seen.made)
    if seen.site is None:
        return Plan(status=seen.prediction.status, requeue_after=STALLED_SECONDS)
    for rule in RULES:
        if fault := rule(seen, seen.site):
            return Plan(status=_stalled(seen, *fault), requeue_after=STALLED_SECONDS)
    if seen.control is None:
        return Plan(status=seen.prediction.status, needs_control=True)
    if not seen.control.proven:
        return Plan(status=_waiting(seen, "IsolationUnproven"), requeue_after=UNPROVEN_SECONDS)
    return Plan(status=_waiting(seen, "Predicting"), create=build(job(seen, seen.site, seen.control)))


def not_admitted(seen: Observation, words: str) -> Plan:
    """The plan after the API server has refused the Job, with its `words`."""
    advice = at_a_prediction(REASONS["JobNotAdmitted"]).advice
    message = conditions.fitting(f"{words.rstrip('.')}.", advice)
    return Plan(status=_waiting(seen, "JobNotAdmitted", message), requeue_after=ADMISSION_SECONDS)


Fault = tuple[str, str]


def _models_claim(seen: Observation, site: Site) -> Fault | None:
    return None if site.spec.workload.models_claim_name else ("NoModelsClaim", REASONS["NoModelsClaim"].text)


def _listed(seen: Observation, site: Site) -> Fault | None:
    """The API server compares these too, when the Prediction is made and when its Job is."""
    spec, allowed = seen.prediction.spec, site.spec.predictions
    for claim, names, field in (
        (spec.rows.claim_name, allowed.rows_claim_names, "rowsClaimNames"),
        (spec.answer.claim_name, allowed.answers_claim_names, "answersClaimNames"),
    ):
        if claim not in names:
            return (
                "ClaimNotListed",
                f"The Prediction waits, because predictions.{field} in the values of the site chart does not list "
                f"the claim {claim}. Add the claim there, and run `helm upgrade`. The site operator then goes on.",
            )
    return None


def _described(seen: Observation, site: Site) -> Fault | None:
    if seen.dataset is None:
        return "NoDataset", REASONS["NoDataset"].text
    if seen.schema is None:
        name, schema = seen.prediction.spec.dataset_name, seen.dataset["schemaName"]
        reason = at_a_prediction(REASONS["SchemaNotFound"]).about(
            dataset=name, site_namespace=seen.prediction.metadata.namespace
        )
        return "SchemaNotFound", f"{reason.meaning} The name of the DataSchema is {schema}. {reason.action}"
    return None


def _dataset_listed(seen: Observation, site: Site) -> Fault | None:
    """The API server compares the same lists when the Job is made."""
    assert seen.dataset is not None, "an earlier rule"
    missing = listed.unlisted(site.spec.policy, seen.prediction.spec.dataset_name, seen.dataset)
    if not missing:
        return None
    return "DatasetNotListed", f"The Prediction waits: {missing}. {REASONS['DatasetNotListed'].advice}"


def _code_allowed(seen: Observation, site: Site) -> Fault | None:
    """The first fault of the code that a Prediction names. The API server compares the same fields."""
    code, policy = seen.prediction.spec.code, site.spec.policy
    if code is None:
        return None
    if code.image not in policy.images:
        return "ImageNotAllowed", _unlisted("image", code.image)
    if code.command not in policy.commands:
        return "CommandNotAllowed", _unlisted("command", json.dumps(code.command))
    return None


def _unlisted(part: str, shown: str) -> str:
    """The message about a `part` of spec.code, image or command, that the hospital's policy does not list."""
    return (
        f"The Prediction waits, because policy.{part}s in the values of the site chart does not list the {part} "
        f"{shown} of spec.code. If the hospital has reviewed this {part}, add it to policy.{part}s, and run `helm "
        "upgrade`. The site operator then goes on."
    )


RULES: tuple[Callable[[Observation, Site], Fault | None], ...] = (
    _models_claim,
    _listed,
    _described,
    _dataset_listed,
    _code_allowed,
)


def job(seen: Observation, site: Site, control: Control) -> PredictionJob:
    """All that the Job of the Prediction depends on."""
    meta = seen.prediction.metadata
    assert seen.dataset is not None, "an earlier rule"
    assert seen.schema is not None, "an earlier rule"
    return PredictionJob(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        spec=seen.prediction.spec,
        dataset=seen.dataset,
        schema=seen.schema,
        models_claim=site.spec.workload.models_claim_name,
        hub_fingerprint=site.spec.hub.fingerprint,
        participant=site.spec.hub.participant_namespace,
        parameters=site.spec.policy.parameters,
        operator_image=seen.operator_image,
        isolation=control.targets,
        isolation_seconds=control.seconds,
        link_local=site.spec.policy.link_local,
        workload=workload(site),
    )


def _running(seen: Observation, made: ObservedJob) -> Plan:
    pod = made.pod
    if made.over:
        return Plan(status=_ended(seen, made))
    if fault := _code_fault(seen, made):
        return Plan(status=_failed(seen, *fault), delete=made.job)
    if made.job.suspended:
        message = "The Job waits in its queue."
        return Plan(status=_waiting(seen, "Predicting", message), requeue_after=WAITING_SECONDS)
    waits = _waits(pod)
    since = (pod.created if pod else None) or made.created
    left = (since + LONGEST - seen.now).total_seconds()
    if left <= 0:
        message = (
            f"The Prediction has no answer, because no pod has written one within {LONGEST.total_seconds():.0f} s: "
            f"{waits or 'the pod did not end'}."
        )
        return Plan(status=_failed(seen, "DeadlineExceeded", message), delete=made.job)
    message = f"The pod waits: {waits}." if waits else ""
    return Plan(status=_waiting(seen, "Predicting", message), requeue_after=min(left, WAITING_SECONDS))


def _waits(pod: Pod | None) -> str:
    """Why a pod has not begun, or nothing."""
    if pod is None:
        return ""
    unpulled = not_pulled(pod)
    return pod.unschedulable or (f"the node cannot pull the image of container {unpulled}" if unpulled else "")


def _code_fault(seen: Observation, made: ObservedJob) -> Fault | None:
    """Why a pod with the code of a model has failed, or is about to, as a training pod."""
    if seen.prediction.spec.code is None:
        return None
    cause = failure(made.job, made.pod, ours=frozenset(OURS), train_seconds=PREDICT_SECONDS, now=seen.now)
    return (cause.reason, cause.message or "") if cause is not None else None


def _ended(seen: Observation, made: ObservedJob) -> PredictionStatus:
    """The first rule that finds a fault decides. Only without a fault does an answer count: a pod that could reach an
    address is no closed pod, whatever it has written."""
    fault = _reported(made) or _late(made) or _code_fault(seen, made)
    if fault is not None:
        return _failed(seen, *fault)
    predicted = _answer(made)
    if predicted is None:
        return _failed(seen, *_no_report(made))
    if not predicted.answered:
        return dataclasses.replace(_failed(seen, "NoRowAnswered", _unanswered(seen, predicted)), answer=predicted)
    return _complete(seen, predicted)


def _reported(made: ObservedJob) -> Fault | None:
    """The fault that a container of our own image reports."""
    reports = (step.report for step in made.own_steps if step.report is not None)
    return next(((each.reason, _advised(each.reason, each.message or "")) for each in reports if each.reason), None)


def _late(made: ObservedJob) -> Fault | None:
    if not out_of_time(made.job, made.pod):
        return None
    return (
        "DeadlineExceeded",
        f"The Prediction has no answer, because its pod ran longer than {PREDICT_SECONDS} s, the most that a "
        "Prediction may take.",
    )


def _answer(made: ObservedJob) -> Predicted | None:
    reports = (step.report for step in made.own_steps if step.succeeded and step.report is not None)
    return next((each.prediction for each in reports if each.prediction is not None), None)


def _no_report(made: ObservedJob) -> Fault:
    reasons = (made.pod.reason if made.pod else "", *(step.reason for step in made.own_steps), made.job.failed)
    return (
        "PodFailed",
        "The Prediction has no answer, because its pod ended without a report. Kubernetes gives the reason: "
        f"{next(filter(None, reasons), 'none')}.",
    )


def _advised(reason: str, message: str) -> str:
    """The pod's own words, and what to do. Reasons that only Predictions have say it in general."""
    own = {each.name: each for each in PREDICTIONS}
    return f"{message}. {own[reason].action}" if reason in own else message


def _unanswered(seen: Observation, predicted: Predicted) -> str:
    """The message if the model has computed no probability. The file of answers stays, because it names the faults."""
    spec, namespace = seen.prediction.spec, seen.prediction.metadata.namespace
    if not predicted.outside:
        fault = f"the file {spec.rows.path} on the claim {spec.rows.claim_name} has no rows"
    else:
        fault = (
            f"all {predicted.outside} rows of {spec.rows.path} break the DataSchema: the column `fault` of the answer "
            f"{spec.answer.path} on the claim {spec.answer.claim_name} says why"
        )
    advice = REASONS["NoRowAnswered"].about(dataset=spec.dataset_name, site_namespace=namespace)
    return f"No row has a probability, because {fault}. {advice.action}"


def _complete(seen: Observation, predicted: Predicted) -> PredictionStatus:
    rows = predicted.answered + predicted.outside
    message = (
        f"The answer {seen.prediction.spec.answer.path} has a probability for {predicted.answered} of {rows} rows."
    )
    if predicted.outside:
        message += (
            f" {predicted.outside} rows have no probability, because they break the DataSchema: the column `fault` "
            "of the answer says why."
        )
    reason = "Predicted"
    if predicted.far_columns:
        reason, message = "ColumnsUnlikeTraining", f"{message} {_far(seen, predicted.far_columns)}"
    return dataclasses.replace(_over(seen, "Complete", reason, message), answer=predicted)


def _far(seen: Observation, columns: int) -> str:
    """Without the columns' names: these tell something about the patients, and an Event goes further than a status."""
    meta = seen.prediction.metadata
    reason = REASONS["ColumnsUnlikeTraining"]
    advice = reason.about(dataset=seen.prediction.spec.dataset_name, site_namespace=meta.namespace)
    return (
        f"But {columns} {'columns lie' if columns > 1 else 'column lies'} far from the rows that trained the model, so "
        f"the probabilities may be worthless. `kubectl describe prediction {meta.name} -n {meta.namespace}` shows "
        f"which: the first text of Notes. {advice.action}"
    )


def _failed(seen: Observation, reason: str, message: str) -> PredictionStatus:
    return _over(seen, "Failed", reason, message)


def _over(seen: Observation, kind: conditions.End, reason: str, message: str) -> PredictionStatus:
    before, generation = seen.prediction.status, _generation(seen)
    known = conditions.ended(before.conditions, kind, reason, message, now=seen.now, generation=generation)
    return dataclasses.replace(before, observed_generation=generation, conditions=known)


def _waiting(seen: Observation, reason: str, message: str = "") -> PredictionStatus:
    words = message or REASONS[reason].meaning
    before = seen.prediction.status
    known = conditions.progressing(before.conditions, reason, words, now=seen.now, generation=_generation(seen))
    return dataclasses.replace(before, observed_generation=_generation(seen), conditions=known)


def _stalled(seen: Observation, reason: str, message: str) -> PredictionStatus:
    before = seen.prediction.status
    known = conditions.stalled(before.conditions, reason, message, now=seen.now, generation=_generation(seen))
    return dataclasses.replace(before, observed_generation=_generation(seen), conditions=known)


def _generation(seen: Observation) -> int:
    return seen.prediction.metadata.generation
