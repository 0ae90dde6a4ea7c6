"""Decides how long the present stage of a running task may last, and why the task fails if it lasts longer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from wardround.api import conditions
from wardround.api.federatedround import FederatedRound
from wardround.api.roundtask import RoundTask
from wardround.api.timeline import reached
from wardround.api.times import parse_time
from wardround.plans import waits

# The site enforces the deadlines after admission itself and says more about them: it is given this long to do so, and
# longer where it has to wait for a node that may be dead.
SITE_SAYS_FIRST, SITE_NOTICES_A_DEAD_NODE = timedelta(seconds=30), timedelta(seconds=120)


@dataclass(frozen=True)
class StageLimit:
    """`until`: when the stage must be over. `lapsed`: the reason of the failure if it is not. `waits_for`: what a
    person should look at while the task is under way, or nothing."""

    until: datetime
    lapsed: str
    waits_for: str = ""


def stage(federated_round: FederatedRound, task: RoundTask) -> StageLimit:
    """The present stage: sending, training, waiting to train, or not accepted yet."""
    accepted = conditions.since(task.status.conditions, "Accepted")
    trained = conditions.since(task.status.conditions, "Trained")
    started = reached(task.status.timeline, "Started")
    reason = _reconciling(task)
    trouble = reason if reason in waits.TROUBLE else ""
    limits = federated_round.spec.deadlines
    if trained:
        until = trained + timedelta(seconds=limits.upload_seconds) + SITE_SAYS_FIRST
        return StageLimit(until, waits.too_long(reason, "UploadDeadline"), trouble)
    until_training = timedelta(seconds=limits.queue_seconds + limits.start_seconds)
    if started:
        until = started + timedelta(seconds=limits.train_seconds) + SITE_NOTICES_A_DEAD_NODE
        if reason in waits.BEFORE_TRAINING:
            # Its pod has lost its node, and another one waits.
            return StageLimit(until + until_training, waits.too_long(reason, "StartDeadline"), trouble)
        # The site says that it trains, and nothing of the end. So nobody knows of a fault of the training code.
        return StageLimit(until, "SiteSilent", trouble)
    if accepted:
        return StageLimit(accepted + until_training + SITE_SAYS_FIRST, waits.too_long(reason, "QueueDeadline"), trouble)
    return _admission(federated_round, task, trouble)


def _admission(federated_round: FederatedRound, task: RoundTask, trouble: str) -> StageLimit:
    condition = conditions.find(task.status.conditions, "Accepted")
    reason = condition.reason if condition and condition.reason in waits.UNACCEPTED else ""
    asked = parse_time(task.metadata.creation_timestamp)
    until = asked + timedelta(seconds=federated_round.spec.deadlines.admission_seconds)
    return StageLimit(until, waits.too_long(reason, "NotAnswered"), reason if reason in waits.STALLED else trouble)


def _reconciling(task: RoundTask) -> str:
    condition = conditions.find_true(task.status.conditions, "Reconciling")
    return condition.reason if condition else ""
