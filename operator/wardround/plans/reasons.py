"""What each reason means to people: who has to act, and what they do. A table and nothing else; decides nothing.

Hub and command line speak from it. A site sends reasons, never text (a message could carry a patient's row); the text
for them is made here. The reasons are those of docs/contracts.md and of the operators' conditions: a test sees to it.
"""

from __future__ import annotations

from dataclasses import dataclass

HOSPITAL = "the hospital's data or IT team"
RESEARCHERS = "whoever wrote the training image"
ROUND = "whoever applied the round"
HUB = "the hub's admins"
PLATFORM = "the cluster's admins"
NETWORK = "the network between the hospital and the hub"
NOBODY = "nobody, this is as it should be"


@dataclass(frozen=True)
class Advice:
    """`meaning` and `action` may hold words in capitals, which `about` fills in."""

    meaning: str
    owner: str
    action: str

    def about(
        self,
        participant: str = "",
        federation: str = "",
        dataset: str = "",
        *,
        task: str = "",
        site_namespace: str = "",
        parameter: str = "",
    ) -> Advice:
        """With the names of what it is about, as far as they are known. `task`: of RoundTask and SiteTask alike."""
        names = {
            "PARTICIPANT": participant,
            "FEDERATION": federation,
            "DATASET": dataset,
            "TASK": task,
            "SITE_NAMESPACE": site_namespace,
            # The last, since it may be any word.
            "PARAMETER": parameter,
        }
        meaning, action = self.meaning, self.action
        for word, name in names.items():
            if name:
                meaning, action = meaning.replace(word, name), action.replace(word, name)
        return Advice(meaning, self.owner, action)


def advice_for(reason: str, failure_class: str = "") -> Advice:
    """Advice on a reason. One that is unknown is said to be unknown, never guessed at; its class says whose it is."""
    if reason in TABLE:
        return TABLE[reason]
    what = f"a reason that this version does not know ({reason})" if reason else "no reason was given"
    owner, action = _BY_CLASS.get(failure_class, (PLATFORM, "read the message beside it and the operator's log."))
    return Advice(what, owner, action)


def advise(
    reason: str,
    name: str,
    *,
    federation: str = "",
    dataset: str = "",
    task: str = "",
    failure_class: str = "Site",
    parameter: str = "",
) -> str:
    """The advice on `reason` at participant `name`, in sentences."""
    advice = advice_for(reason, failure_class).about(name, federation, dataset, task=task, parameter=parameter)
    return f"{name}: {advice.meaning}. {advice.owner[0].upper()}{advice.owner[1:]}: {advice.action}"


_BY_CLASS = {
    "Site": (HOSPITAL, "`kubectl wardround explain sitetask/TASK -n SITE_NAMESPACE` at the site says more."),
    "Code": (RESEARCHERS, "see the log of the training Job at the site."),
    "Platform": (PLATFORM, "look at the pod and its node at the site."),
    "Network": (NETWORK, "check egress from the site to hub and store."),
}
_SITE = {
    "DatasetNotFound": Advice(
        "the hospital offers no dataset DATASET",
        HOSPITAL,
        "apply a Dataset of that name at the site and list it in policy.datasets of the site chart, with the "
        "federation FEDERATION, or correct datasetName in a new round.",
    ),
    "DatasetNotAllowed": Advice(
        "the hospital's policy does not let federation FEDERATION use dataset DATASET",
        HOSPITAL,
        "if the hospital agrees to it, list that federation under that name in policy.datasets of the site chart and "
        "make a new round; or correct datasetName in a new round.",
    ),
    "ColumnMissing": Advice(
        "a column that the schema names is not in the file",
        HOSPITAL,
        "`kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site names the column: add it to the file, or "
        "correct the schema.",
    ),
    "DataUnreadable": Advice(
        "the data file cannot be read as its Dataset says",
        HOSPITAL,
        "compare path and format of Dataset DATASET with the file on the volume; the site's SiteTask has the details, "
        "or says where the log is if it was the training code that gave up on the data (exit code 65).",
    ),
    "TooFewSamples": Advice(
        "fewer usable patients than the site's policy asks for",
        HOSPITAL,
        "see status.quality of Dataset DATASET for rows left out and why, or lower minSamples and minCell in the "
        "Site's policy. minCell is never below 11: with fewer test patients a hospital takes part in training alone.",
    ),
    "NetworkOpen": Advice(
        "the training pod could reach something that it must not",
        HOSPITAL,
        "`kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site says what was reached: close it (start the "
        "cluster's policy engine, a CNI that enforces NetworkPolicy; for IPv6 link-local see docs/operations.md). This "
        "round does not ask the hospital again: apply it under a new name.",
    ),
    "ImageNotAllowed": Advice(
        "the image is not on the site's list",
        HOSPITAL,
        "review the image and add its repo@sha256 reference to policy.images of the site chart, or use one that is "
        "there.",
    ),
    "CommandNotAllowed": Advice(
        "the command is not on the site's list",
        HOSPITAL,
        "review what it runs in that image and add it, word for word and without its verb, to policy.commands of the "
        "site chart, or use one that is there.",
    ),
    "LocalSocketsNotAllowed": Advice(
        "the hospital's policy does not allow the training code sockets of IP, which the round asks for",
        ROUND,
        "set resources.localSockets to false in a new round, if its code runs without loopback; or ask the hospital to "
        "set policy.localSockets of its site chart, which leaves the isolation of that code to its cluster's network.",
    ),
    "ParametersNotAllowed": Advice(
        "the hospital's policy does not allow one of the round's parameters: its name is not on the site's list, or "
        "its value is outside the bounds there",
        ROUND,
        "the parameter is PARAMETER: compare its name with the training contract's list or the image's own "
        "documentation, and correct it in a new round. If it is right, ask the hospital to allow it in "
        "policy.parameters of its Site: `kubectl describe sitetask TASK -n SITE_NAMESPACE` at the site says what is "
        "against it. Without a list of its own a site allows the parameters of the built-in trainer but steps, with "
        "batchSize from 16.",
    ),
}
_CODE = {
    "OutputMissing": Advice(
        "the training code ended well but left no model, or no predictions",
        RESEARCHERS,
        "write out/model.safetensors (Evaluate: out/predictions.f64) before exiting with 0.",
    ),
    "OutputNotSafetensors": Advice(
        "what the training code left is not a safetensors file, or has a tensor of a dtype that is not read",
        RESEARCHERS,
        "save with safetensors, in F64, F32, F16, BF16, I64, I32, U8 or BOOL; a pickle (torch.save) is refused.",
    ),
    "OutputLink": Advice(
        "the output is a link",
        RESEARCHERS,
        "write a regular file: links out of out/ are refused, because they could point at data.",
    ),
    "OutputTooLarge": Advice(
        "the output is larger than the model that went in allows",
        RESEARCHERS,
        "write only the model's own tensors.",
    ),
    "TensorsDiffer": Advice(
        "the output's tensors have other names, shapes or types than the base model's",
        RESEARCHERS,
        "start from base/model.safetensors and keep its tensors as they are named, shaped and typed, and no others: "
        "what training is to remember belongs into state/out/.",
    ),
    "FrozenChanged": Advice(
        "tensors that the round froze were changed",
        RESEARCHERS,
        "keep tensors that match exchange.frozen bit for bit (register them as buffers, not parameters).",
    ),
    "NotFinite": Advice(
        "the model, or a prediction, is NaN or infinite",
        RESEARCHERS,
        "training diverged: lower the learning rate or look for unscaled inputs.",
    ),
    "TrainerFailed": Advice(
        "the training code ended with an error",
        RESEARCHERS,
        "its log is at the site (`kubectl logs job/TASK -n SITE_NAMESPACE -c train`, or `-c init` where a first round "
        "failed before that): ask the hospital, it leaves only if they send it. Exit code 126 or 127: the image does "
        "not contain the command.",
    ),
    "ParametersRefused": Advice(
        "the training code does not take the round's parameters: it does not know one, or cannot use its value",
        ROUND,
        "compare parameters with the training contract's list or the image's own documentation, and make a new round; "
        "the log of the training pod at the hospital (container train, or init in a first round) names the parameter.",
    ),
    "MetricsInvalid": Advice(
        "out/metrics.json is not as the training contract asks",
        RESEARCHERS,
        "write an object whose `trained` has a finite number under each declared name.",
    ),
    "PredictionsInvalid": Advice(
        "out/predictions.f64 is not as the training contract asks",
        RESEARCHERS,
        "write one probability between 0 and 1 for each row of test.parquet, in its order, as a float64 of 8 bytes.",
    ),
}
_PLATFORM = {
    "Evicted": Advice(
        "the training pod was removed from its node",
        PLATFORM,
        "look at the node's memory and disk, and whether it was drained; the Job makes another pod, or the round tries "
        "again.",
    ),
    "NodeLost": Advice(
        "the node of the training pod does not answer any more, so nobody knows what became of the training",
        PLATFORM,
        "`kubectl describe pod TASK -n SITE_NAMESPACE` at the site names the node: repair or remove it. The round "
        "tries again.",
    ),
    "StartDeadline": Advice(
        "the training pod took too long to start: its node had not started its containers in time",
        PLATFORM,
        "`kubectl describe pod TASK -n SITE_NAMESPACE` at the site says what took so long, such as pulling an image or "
        "mounting a volume; the round tries again.",
    ),
    "TooManyTasks": Advice(
        "the hospital holds as many tasks as it may (256), and takes no new one before some of them expire",
        HOSPITAL,
        "see `kubectl get sitetasks -n SITE_NAMESPACE` at the site. A task that has ended stays until an hour "
        "after its round's deadlines.totalSeconds: rounds with a shorter totalSeconds leave room sooner.",
    ),
    "StepFailed": Advice(
        "the site operator could not do the next step: the site's own API server did not take it",
        PLATFORM,
        "the message on the site's SiteTask says which step, and what the API server said; the site operator tries "
        "again by itself.",
    ),
    "OutOfMemory": Advice(
        "a container of the training pod needed more memory than the site gives it",
        PLATFORM,
        "raise workload.limits.memory in the values of the site chart, or ask whoever wrote the training image for a "
        "smaller model or smaller batches.",
    ),
    "DeadlineExceeded": Advice(
        "the task took longer than the round's deadlines allow",
        PLATFORM,
        "see in the timeline which stage was slow; free capacity there or give that stage more seconds next time.",
    ),
    "IsolationUnknown": Advice(
        "nobody could see whether the training pod's network was closed, so training was ended",
        PLATFORM,
        "the round tries again by itself, up to its retryLimit. `kubectl describe sitetask TASK -n SITE_NAMESPACE` at "
        "the site says what could not be asked, or how the sidecar ended: if it comes back, look at the node's memory, "
        "and at training code that takes all ports.",
    ),
    "PodFailed": Advice(
        "the training pod failed outside of any container's own doing",
        PLATFORM,
        "`kubectl describe pod TASK -n SITE_NAMESPACE` at the site says why.",
    ),
    "JobNotAdmitted": Advice(
        "the site's API server did not admit the training Job",
        PLATFORM,
        "the message on the site's SiteTask says what stood against it: a ResourceQuota or LimitRange of the "
        "namespace, an admission policy of the cluster or of the site chart, or chart, CRDs and operator of different "
        "versions (`helm upgrade` them together).",
    ),
}
_NETWORK = {
    "StoreUnreachable": Advice(
        "the object store cannot be reached",
        NETWORK,
        "check that the pinned store origin, its CA and the proxy, if any, are right and allowed outbound.",
    ),
    "StoreTooSlow": Advice(
        "the object store moves less than 1 MiB in a minute",
        NETWORK,
        "see whether the store, a proxy or the line to the hospital is overloaded; the courier tries again by itself.",
    ),
    "StoreRefused": Advice(
        "the store said no: the grant has expired or is not for this",
        HUB,
        "grants are renewed by themselves; if it stays so, compare the clocks of store, hub and site.",
    ),
    "StoreObjectMissing": Advice(
        "something is not in the store that should be",
        HUB,
        "see who deletes there, and run the round that made it again.",
    ),
    "StoreObjectShort": Advice(
        "something in the store is shorter than it was",
        HUB,
        "look at who can write to the store; nothing of it was used.",
    ),
    "HubUnreachable": Advice(
        "the hub's API server cannot be reached from the site",
        NETWORK,
        "check outbound access from the site to the hub's address; the site tries again by itself.",
    ),
}
_REFUSALS = {
    "AssignmentUnreadable": Advice(
        "the site cannot verify the assignment",
        HUB,
        "the hub is of a newer version than the site (upgrade the site), or it was altered on the way or is not signed "
        "by the hub; look at who can write RoundTasks on the hub.",
    ),
    "HubNotPinned": Advice(
        "the assignment is signed by a hub that this site has not pinned",
        HOSPITAL,
        "compare hub.fingerprint of the Site with the one that the hub's admin reads out; never pin one from a task.",
    ),
    "NotAddressee": Advice(
        "the assignment is addressed to another site or to older keys of this one",
        HUB,
        "if the site's keys were renewed, `kubectl wardround approve PARTICIPANT` and start a new round.",
    ),
    "Expired": Advice(
        "its time is over",
        ROUND,
        "start a new round; give admissionSeconds more if the hospital needs longer to answer.",
    ),
    "Replayed": Advice(
        "the site has already taken this attempt of this round",
        HUB,
        "start a new round; old tasks are not taken twice.",
    ),
    "TaskNotAllowed": Advice(
        "the site's policy does not allow this kind of task",
        HOSPITAL,
        "add the task to policy.tasks of the site chart, if the hospital agrees to it.",
    ),
    "ImageNotByDigest": Advice("the image is named by a tag", ROUND, "name it as repo@sha256:... in a new round."),
    "QuorumTooSmall": Advice(
        "the round would be closed with fewer hospitals than this site asks for",
        ROUND,
        "raise quorum.min to the site's policy.minQuorum: a sum of few hospitals says more about each.",
    ),
    "Denied": Advice("the hospital said no", HOSPITAL, "ask them; a refusal is final for this task."),
    "WaitingForApproval": Advice(
        "the site's policy asks a person at the hospital first",
        HOSPITAL,
        "at the site: look at the assignment, and approve by the command that `kubectl wardround explain "
        "sitetask/TASK -n SITE_NAMESPACE` shows: it is for this very task.",
    ),
}
_LEFT_OUT = {
    "ManifestUnreadable": Advice(
        "the update's manifest cannot be read", HOSPITAL, "see the courier's log at the site."
    ),
    "SignatureInvalid": Advice(
        "the update is not signed by the pinned key",
        HUB,
        "if the site renewed its keys, approve the new fingerprint; if not, treat it as an attack.",
    ),
    "WrongRound": Advice("the update belongs to another round", HUB, "treat it as an attack unless explained."),
    "WrongAttempt": Advice("the update belongs to another attempt", HUB, "usually harmless: the newer attempt counts."),
    "WrongParticipant": Advice("the update names another hospital", HUB, "treat it as an attack unless explained."),
    "WrongImage": Advice(
        "the update says that it was made by another image than the round's",
        HUB,
        "treat it as an attack unless explained.",
    ),
    "WrongBase": Advice(
        "the update was trained from another model than this round's", HOSPITAL, "let the site take part again."
    ),
    "WrongSchema": Advice(
        "the update's tensors are not this model's", RESEARCHERS, "keep names, shapes and types of the base model."
    ),
    "CountsInvalid": Advice(
        "the update's counts and sums are not those of any rows, or it is of nobody's",
        HOSPITAL,
        "see that site and hub run the same version; if they do, ask how that update was made: ours cannot make it.",
    ),
    "KeyUnusable": Advice(
        "the update's key cannot be unwrapped for this round", HOSPITAL, "let the site take part again."
    ),
    "Altered": Advice(
        "a model or an update in the store does not have the bytes that were sealed",
        HUB,
        "look at who can write to the store; nothing of it was used.",
    ),
    "Missing": Advice(
        "the update is not in the store", NETWORK, "let the site send again; see the courier's log there."
    ),
    "UploadTooLarge": Advice(
        "the site asks to send more than an update of this round can be",
        HOSPITAL,
        "see that site and hub run the same version; if they do, treat it as an attack.",
    ),
    "NothingToAggregate": Advice(
        "no update could be counted", ROUND, "see status.attention of the round for why each was left out."
    ),
    "TooManyLeftOut": Advice(
        "more updates were left out than the aggregation's answer has room to name",
        HUB,
        "report it with the Job's log.",
    ),
    "SchemasDiffer": Advice(
        "the hospitals' updates do not have the same tensors, or were centred differently",
        ROUND,
        "the schema of the Dataset has to be the same at all hospitals.",
    ),
    "ResultNotFinite": Advice(
        "the combined model would have infinite values", RESEARCHERS, "training diverged: lower the learning rate."
    ),
    "ResultExists": Advice("this result is in the store already", HUB, "nothing: the hub tries under another name."),
    "StoreInconsistent": Advice(
        "the store gave other bytes when asked twice", HUB, "look at the store; nothing of it was used."
    ),
    "PlanUnreadable": Advice(
        "the aggregation Job cannot read its plan", HUB, "see that operator and aggregation run the same image."
    ),
    "AggregatorFailed": Advice(
        "the aggregation Job failed by a fault of its own", HUB, "read its log in the hub's namespace and report it."
    ),
    "InitialWeightsDiffer": Advice(
        "the hospitals made different first weights from the same seed",
        RESEARCHERS,
        "init must depend on seed, statistics and schema alone; see that all sites run the same kind of hardware code.",
    ),
}
_PARTICIPANT = {
    "Approved": Advice("the hospital is approved", NOBODY, "nothing."),
    "NoKeys": Advice(
        "the site has not sent its public keys yet",
        HOSPITAL,
        "install the site chart there with the values that `kubectl wardround enrol --bootstrap` printed.",
    ),
    "NotApproved": Advice(
        "its fingerprint is not pinned yet",
        HUB,
        "compare the fingerprint with the hospital by telephone, then `kubectl wardround approve PARTICIPANT`.",
    ),
    "FingerprintMismatch": Advice(
        "the site's keys are not those that were approved",
        HUB,
        "ask the hospital whether it renewed its keys; if so approve again, if not treat it as an attack.",
    ),
    "Suspended": Advice("it is suspended", HUB, "set spec.suspend to false to go on."),
}
_ROUND = {
    "ParticipantUnknown": Advice(
        "the hub knows no such hospital",
        ROUND,
        "correct the name in a new round, or have the hub's admins enrol it (`kubectl wardround enrol PARTICIPANT`).",
    ),
    "ParticipantSuspended": Advice("the hub has suspended it", HUB, "set spec.suspend of the Participant to false."),
    "ParticipantNoKeys": Advice("its site has not sent its public keys yet", HOSPITAL, _PARTICIPANT["NoKeys"].action),
    "ParticipantNotApproved": Advice("its fingerprint is not pinned", HUB, _PARTICIPANT["NotApproved"].action),
    "FederationNotAllowed": Advice(
        "the hospital does not take part in the rounds of namespace FEDERATION",
        HUB,
        "with the hospital's consent, add that namespace to spec.allowedFederations of Participant PARTICIPANT.",
    ),
    "NamespaceDiffers": Advice(
        "a Participant must be named like its namespace", HUB, "delete it and enrol the hospital with `enrol`."
    ),
    "DatasetDiffers": Advice(
        "its dataset DATASET means other columns than that of other hospitals of the round",
        HOSPITAL,
        "compare spec.schema of Dataset DATASET with the others': the same target, and the same features in the same "
        "order, with the same type, unit, minimum, maximum and enum. The round goes on when they are equal.",
    ),
    "DatasetDiffersFromBase": Advice(
        "its dataset DATASET means other columns than those that the round which this one starts from was made with",
        HOSPITAL,
        "give spec.schema of Dataset DATASET the target and the features that it had then, by name, order and unit: "
        "the round goes on. A model cannot go on with other columns; for those begin again, with spec.initial.",
    ),
    "DatasetUnknown": Advice(
        "no hospital of the round offers a dataset DATASET",
        ROUND,
        "check datasetName, ask the hospitals what they offer to this federation, and correct it in a new round; or "
        "have a hospital offer a Dataset of that name (policy.datasets of its site chart).",
    ),
    "BaseNotFound": Advice(
        "there is no round of that name in this namespace",
        ROUND,
        "correct base.roundName, or initial.statisticsRoundName, in a new round.",
    ),
    "BaseFailed": Advice(
        "the round that this one starts from has failed", ROUND, "start again from a round that is Complete."
    ),
    "BaseCycle": Advice(
        "the round waits for itself, by way of the rounds that it starts from",
        ROUND,
        "make a new round that names an earlier one.",
    ),
    "BaseDeleted": Advice(
        "the round whose result this one starts from was deleted; the result is kept until this round is over",
        ROUND,
        "do nothing for this round. No new round can start from that result: keep a round, also in Git, as long as "
        "others are to start from it.",
    ),
    "BaseUnusable": Advice(
        "the round that this one starts from was deleted before, or has a result of another kind",
        ROUND,
        "make a new round: base.roundName has to name a Train round, initial.statisticsRoundName a Statistics round.",
    ),
    "TooMuchToAggregate": Advice(
        "one aggregation cannot take so many updates of this size",
        ROUND,
        "ask fewer hospitals, or train a smaller model.",
    ),
    "TaskRefused": Advice(
        "the hub's API server does not take the RoundTask",
        HUB,
        "it says why: a quota or policy in the namespace PARTICIPANT, or a task that is too large.",
    ),
    "BaseLost": Advice("the hub no longer has that model's key", HUB, "run the round that made it again."),
    "WaitingForBase": Advice("the round that this one starts from is not Complete yet", NOBODY, "wait."),
    "TooFewParticipants": Advice(
        "the round's participants.selector finds fewer hospitals of federation FEDERATION than quorum asks for",
        ROUND,
        "correct matchLabels or quorum in a new round; or ask the hub's admins to give Participants these labels, and "
        "FEDERATION in their spec.allowedFederations.",
    ),
    "QuorumImpossible": Advice(
        "quorum asks for more hospitals than the round names", ROUND, "lower quorum.min or name more in a new round."
    ),
    "QuorumNotMet": Advice(
        "too few hospitals sent an update, so nothing was combined",
        ROUND,
        "see below why each did not, then start anew.",
    ),
    "AggregationFailed": Advice(
        "the aggregation Job failed several times", HUB, "read the log of the aggregation Job in the hub's namespace."
    ),
    "ActionFailed": Advice(
        "the hub operator cannot do what the round needs next; it tries again by itself",
        HUB,
        "read the log of the hub operator: an API server or an admission policy that says no, or the store.",
    ),
    "NotDispatched": Advice(
        "the hub operator could not make the RoundTasks of all hospitals in deadlines.totalSeconds",
        HUB,
        "read the log of the hub operator: its API server, or what stands before it, did not take them. Then make the "
        "round again.",
    ),
    "AggregationDeadline": Advice(
        "the aggregation Job did not end in time",
        HUB,
        "describe the Job and its pod in the hub's namespace (label wardround.io/role=aggregation): there was no room "
        "for the pod, or its node died. Then make the round again.",
    ),
    "NotAnswered": Advice(
        "the site did not answer in deadlines.admissionSeconds",
        HOSPITAL,
        "see that the site operator runs and that its Site says HubConnected.",
    ),
    "QueueDeadline": Advice(
        "other tasks of the site came first for all of deadlines.queueSeconds and startSeconds",
        HOSPITAL,
        "raise workload.maxConcurrentTasks of the Site or the quota of its Kueue queue; the round tries again.",
    ),
    "FetchDeadline": Advice(
        "the courier had not fetched the base model when deadlines.queueSeconds and startSeconds were over",
        NETWORK,
        "see the courier's log at the site; a new round may give it more time.",
    ),
    "TrainDeadline": Advice(
        "training took longer than deadlines.trainSeconds", ROUND, "give a new round more time, or train less in one."
    ),
    "SiteSilent": Advice(
        "the site has not said how its training ended, long after deadlines.trainSeconds",
        HOSPITAL,
        "see that the site operator runs, that its Site says HubConnected, and that the node of the training pod is "
        "Ready.",
    ),
    "UploadDeadline": Advice(
        "the update was not sent in time", NETWORK, "see that the site's courier reaches the store."
    ),
    "NotSentInTime": Advice(
        "the round closed before this update came",
        HOSPITAL,
        "nothing is lost but this update; the next round asks again.",
    ),
    "RoundOver": Advice("the round ended without this task", NOBODY, "nothing."),
    "RoundFailed": Advice("the round failed and took this task with it", ROUND, "`explain` the round."),
    "Complete": Advice("it is done", NOBODY, "nothing."),
    "Cancelled": Advice(
        "the hub ended this task or its round",
        NOBODY,
        "nothing at the hospital; whoever applied the round sees by `explain` of it on the hub why.",
    ),
}
_AT_THE_SITE = {
    "NotEnrolled": Advice(
        "the site has no credentials for the hub",
        HOSPITAL,
        "apply the Secret that `kubectl wardround enrol --bootstrap` wrote on the hub.",
    ),
    "EnrolmentExpired": Advice(
        "the site's token for the hub has expired",
        HUB,
        "run `kubectl wardround enrol PARTICIPANT --hub-server URL --bootstrap FILE` again, with the URL under which "
        "the site reaches the hub, and hand the new Secret over.",
    ),
    "HubForbids": Advice(
        "the hub does not let the site in", HUB, "see that the manifests of `enrol` are applied there."
    ),
    "StoreNotPinned": Advice(
        "the hub names another store than the site has pinned",
        HOSPITAL,
        "compare store.origin with the hub's admin before changing the site chart's values.",
    ),
    "StoreUntrusted": Advice(
        "TLS to the store fails: its certificate is not signed by the pinned CA, or something between changes it",
        HOSPITAL,
        "if it lasts, compare store.caBundle with the hub's admin; the courier tries again by itself.",
    ),
    "SchemaInvalid": Advice("the Dataset's schema is wrong", HOSPITAL, "correct what the message names."),
    "Connecting": Advice("the site has just started to connect to the hub", NOBODY, "wait."),
    "LinkLocalOpen": Advice(
        "training pods can reach their neighbours over IPv6 link-local, which no NetworkPolicy closes here",
        PLATFORM,
        "run the command of the message on each node, as docs/operations.md says (IPv6 link-local). Rounds go on "
        "meanwhile, unless policy.linkLocal of the site chart is Refuse.",
    ),
    "LinkLocalSilent": Advice(
        "nobody answered a training pod over IPv6 link-local, which does not show that nobody can",
        NOBODY,
        "nothing.",
    ),
    "LinkLocalAbsent": Advice("training pods have no IPv6 here", NOBODY, "nothing."),
    "NotReadYet": Advice("no task has read the data yet", NOBODY, "the first task reads it."),
}
# What a task or a round that is under way waits for: the reason of its condition Reconciling.
_WAITING = {
    "Pending": Advice(
        "its operator has not looked at it yet", NOBODY, "wait; if it lasts, see that the operator runs."
    ),
    "Fetching": Advice(
        "the courier fetches and opens the input",
        NOBODY,
        "wait; if it lasts, see the courier's log at the site.",
    ),
    "Queued": Advice(
        "other tasks of the site come first",
        HOSPITAL,
        "wait, or raise workload.maxConcurrentTasks of the Site or the quota of its Kueue queue.",
    ),
    "IsolationUnproven": Advice(
        "hub and Kubernetes API do not answer the site operator, so a closed network proves nothing: training waits",
        NETWORK,
        "restore them; it goes on by itself.",
    ),
    "Starting": Advice(
        "the training pod is about to start",
        NOBODY,
        "wait; if it lasts, `kubectl describe pod TASK -n SITE_NAMESPACE` at the site.",
    ),
    "Unschedulable": Advice(
        "no node of the site has room for the training pod",
        PLATFORM,
        "free or add nodes or accelerators, or ask for less: resources of the round, workload.limits of the Site.",
    ),
    "ImagePullFailed": Advice(
        "the image cannot be pulled", HOSPITAL, "see that the registry is reachable and imagePullSecrets are right."
    ),
    "Training": Advice("the training pod is at work", NOBODY, "wait; its log at the site says how far it is."),
    "Sending": Advice(
        "the courier seals and sends the update",
        NOBODY,
        "wait; if it lasts, see the courier's log at the site.",
    ),
    "WorkspaceUnusable": Advice(
        "the courier cannot use the volume that it shares with training",
        PLATFORM,
        "see the courier's log at the site: often the volume of workload.workspaceClaimName is full or not mounted.",
    ),
    "Dispatched": Advice("the hospitals have been asked", NOBODY, "wait."),
    "Collecting": Advice(
        "the hub waits for updates", NOBODY, "wait; `kubectl wardround watch` shows what each hospital does."
    ),
    "Aggregating": Advice("the updates are being combined", NOBODY, "wait."),
}
TABLE: dict[str, Advice] = {
    **_SITE,
    **_CODE,
    **_PLATFORM,
    **_NETWORK,
    **_REFUSALS,
    **_LEFT_OUT,
    **_PARTICIPANT,
    **_ROUND,
    **_AT_THE_SITE,
    **_WAITING,
}
