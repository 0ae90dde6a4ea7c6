"""What a task or a round is doing, and how each stage ends well."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import NOBODY, Reason, Wait

_nobody = partial(Reason, owner=NOBODY)
_done = partial(Reason, owner=NOBODY, action="Nothing to do.")

PROGRESS = (
    _nobody(
        name="Pending",
        places=(Place.EVERY,),
        meaning="The operator has not looked at the object yet.",
        action="Wait. If this lasts for minutes, check that the operator runs: the site operator at a hospital, the "
        "hub operator on the hub. Check too that the object is in the right cluster and namespace: an object of a "
        "hospital belongs in the namespace of the hospital's Site.",
    ),
    _nobody(
        name="Fetching",
        wait=Wait(stage="Transfer", deadline="FetchDeadline"),
        meaning="The courier is fetching and opening the base: the model from which the task starts.",
        action="Wait. If the courier takes long, run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site.",
    ),
    _nobody(
        name="Queued",
        wait=Wait(stage="Start", deadline="QueueDeadline"),
        meaning="The task waits at the hospital until other tasks of the site end, or until Kueue admits the task's "
        "Job.",
        action="Wait. `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site names the other tasks or the "
        "queue. To shorten the wait, the hospital's administrator can raise workload.maxConcurrentTasks in the values "
        "of the site chart, or the quota of Kueue's queue (workload.queueName).",
    ),
    _nobody(
        name="Starting",
        wait=Wait(stage="Start", deadline="StartDeadline"),
        meaning="The training pod is starting.",
        action="Wait. If the pod takes long, run `kubectl describe pod TASK -n SITE_NAMESPACE` at the site. If there "
        "is no pod, run `kubectl describe job TASK -n SITE_NAMESPACE`: the events of the Job say why, for example a "
        "ResourceQuota of the namespace.",
    ),
    _nobody(
        name="Training",
        places=(Place.WAITS,),
        meaning="The training pod is working on the task.",
        action="Wait. `kubectl logs job/TASK -n SITE_NAMESPACE -c train` at the site shows how far training is.",
    ),
    _nobody(
        name="Sending",
        wait=Wait(stage="Transfer", deadline="UploadDeadline"),
        meaning="The courier is sealing and sending the update.",
        action="Wait. If the courier takes long, run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site.",
    ),
    _nobody(
        name="WaitingForBase",
        places=(Place.ROUND_RECONCILING,),
        meaning="This round starts from another round, and the other round is not Complete yet.",
        action="Wait: this round begins by itself when the other round is Complete.",
    ),
    _nobody(
        name="WaitingForReference",
        places=(Place.ROUND_RECONCILING,),
        meaning=(
            "This round waits until all rounds in its spec.references are Complete, because it compares its model "
            "with theirs."
        ),
        action="Wait: this round then begins by itself.",
    ),
    _nobody(
        name="Dispatched",
        places=(Place.ROUND_RECONCILING,),
        meaning="The hub has asked the hospitals, and waits for their first answers.",
        action="Wait. `kubectl wardround watch federatedround/ROUND -n FEDERATION` shows what each hospital is doing.",
    ),
    _nobody(
        name="Collecting",
        places=(Place.ROUND_RECONCILING,),
        meaning="The hub is waiting for the hospitals' updates.",
        action="Wait. `kubectl wardround watch federatedround/ROUND -n FEDERATION` shows what each hospital is doing.",
    ),
    _nobody(
        name="Aggregating",
        places=(Place.ROUND_RECONCILING,),
        meaning="The hub is combining the hospitals' updates.",
        action="Wait.",
    ),
    _done(
        name="Approved",
        places=(Place.PARTICIPANT, Place.SITE),
        meaning="The hub trusts the hospital's keys, so rounds can ask the hospital.",
    ),
    _done(
        name="Resumed", places=(Place.SUSPENDED,), meaning="The object continues, because spec.suspend is false again."
    ),
    _done(name="Accepted", places=(Place.ACCEPTED,), meaning="The site has accepted the task."),
    _done(
        name="InputFetched",
        places=(Place.REACHED,),
        meaning="The courier has fetched and opened the base (the model from which the task starts), or the task "
        "needs no base.",
    ),
    _done(name="Trained", places=(Place.REACHED,), meaning="The training pod has ended without an error."),
    _done(
        name="Sent",
        places=(Place.REACHED,),
        meaning="The courier has sent the update, and the whole update is in the store.",
    ),
    _nobody(
        name="GrantsValid",
        places=(Place.CLEANING,),
        meaning="The hub operator has deleted the keys and the updates of the round. But a hospital may still have a "
        "valid grant, and may store an update once more. The hub operator deletes such an update after the grant has "
        "expired, at most an hour after the last grant.",
        action="Wait.",
    ),
    _done(
        name="CleanedUp",
        places=(Place.ROUND_OTHER,),
        meaning="Of the keys and the updates of the round, nothing is left. The result stays.",
    ),
    _done(name="Complete", places=(Place.REACHED, Place.ROUND_OTHER), meaning="The task or the round is complete."),
)
