"""Why a hospital is left out of a round, and why a round waits or fails."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import HOSPITAL, HUB, NOBODY, RESTORE, ROUND, SUSPEND, Reason

_hub = partial(Reason, owner=HUB)
_round = partial(Reason, owner=ROUND)

APPROVE = (
    "Run `kubectl wardround approve PARTICIPANT`: the command shows the fingerprint of the keys that the site "
    "publishes. Ask the hospital by telephone for its fingerprint (status.courier.fingerprint of its Site). Confirm "
    "only if the two fingerprints are equal."
)
INSTALL = (
    "Ask the hub's administrator for the values that `kubectl wardround enrol PARTICIPANT --bootstrap FILE` printed on "
    "the hub. Install the site chart with these values (docs/join.md)."
)
ENROL_AGAIN = (
    "To let the hospital in again, run `kubectl wardround enrol PARTICIPANT --apply --hub-server URL --bootstrap "
    "FILE`, with the URL under which the site reaches the hub. Give FILE to the hospital's administrator, who runs "
    "`kubectl apply -n SITE_NAMESPACE -f FILE` at the site."
)
RESUME = "Set spec.suspend of Participant PARTICIPANT to false."

_PARTICIPANTS = (
    _hub(
        name="NoKeys",
        owner=HOSPITAL,
        meaning="The site has not published usable public keys.",
        action=f"{INSTALL} If the site chart is installed, run `kubectl logs deployment/courier -n SITE_NAMESPACE` at "
        "the site, and do what its last error says.",
    ),
    _hub(
        name="NotApproved",
        meaning="The hub has not pinned the fingerprint of the hospital's keys.",
        action=APPROVE,
    ),
    _hub(
        name="FingerprintMismatch",
        meaning="The hub's administrator has pinned the fingerprint of the hospital's keys. But the site publishes "
        "keys with another fingerprint.",
        action="Ask the hospital by telephone whether it has renewed its keys. If it has, run `kubectl wardround "
        "approve PARTICIPANT`. Confirm only if the hospital reads out the fingerprint that the command shows. If the "
        f"hospital has not renewed its keys, {SUSPEND}.",
    ),
    _hub(
        name="Suspended",
        meaning="spec.suspend of the FederatedRound, the FederatedModel or the Participant is true.",
        action="To continue, set spec.suspend of this object to false. For a Participant, the hub's administrator does "
        "this. For a FederatedRound or a FederatedModel, its author does it.",
    ),
    _hub(
        name="Revoked",
        meaning="The hub's administrator has revoked all tokens of the hospital by deleting its service account "
        "`site` on the hub. Rounds leave the hospital out.",
        action=ENROL_AGAIN,
    ),
    _hub(
        name="NamespaceDiffers",
        meaning="The Participant's name differs from the name of its namespace.",
        action="Delete the Participant. Then run `kubectl wardround enrol NAME --apply`, which makes a Participant "
        "NAME in the namespace NAME.",
    ),
    _round(
        name="ParticipantUnknown",
        meaning="The hub has no Participant PARTICIPANT.",
        action="Correct the name in a new round, or in the FederatedModel that makes the rounds. Or ask the hub's "
        "administrator to enrol the hospital (`kubectl wardround enrol PARTICIPANT --federation FEDERATION --apply`).",
    ),
    _hub(
        name="ParticipantSuspended",
        meaning="The hub's administrator has suspended the hospital.",
        action=RESUME,
    ),
    _hub(
        name="ParticipantRevoked",
        meaning="The hub's administrator has revoked all tokens of the hospital.",
        action=ENROL_AGAIN,
    ),
    _hub(
        name="ParticipantNoKeys",
        owner=HOSPITAL,
        meaning="The hospital's site has not published usable public keys.",
        action=INSTALL,
    ),
    _hub(
        name="ParticipantNotApproved",
        meaning="The hub has not pinned the fingerprint of the hospital's keys.",
        action=APPROVE,
    ),
    _hub(
        name="FederationNotAllowed",
        meaning="The hospital does not take part in the rounds of namespace FEDERATION: spec.allowedFederations of its "
        "Participant does not list this namespace.",
        action="Ask the hospital whether it agrees to take part. If it agrees, run `kubectl wardround enrol "
        "PARTICIPANT --federation FEDERATION --apply`.",
    ),
)
_VERSIONS = (
    _hub(
        name="SiteTooOld",
        owner=HOSPITAL,
        meaning="The site of PARTICIPANT accepts only older versions of assignments than the hub or this round needs. "
        "Or the site has not published which versions it accepts.",
        action="Upgrade the charts wardround-crds and wardround-site at the site to the hub's version "
        "(docs/operations.md, Upgrade). If they have this version already, read the log of the site operator at the "
        "site, because the site operator has to tell the hub which versions the site accepts.",
    ),
    _hub(
        name="HubTooOld",
        meaning="The site of PARTICIPANT accepts only newer versions of assignments than the hub can write.",
        action="Upgrade the hub (docs/operations.md, Upgrade). Or ask the hospital's administrator to lower "
        "policy.lowestAssignmentVersion in the values of the site chart.",
    ),
)
_DATASETS = (
    _round(
        name="RoundSchemaNotFound",
        meaning="The DataSchema that schemaName of the round names does not exist in this namespace.",
        action="Apply the federation's DataSchema in this namespace, or correct schemaName in a new round.",
    ),
    _round(
        name="RoundSchemaInvalid",
        meaning="The DataSchema that the round names is invalid.",
        action="Apply a correct DataSchema with another name, and name it in a new round.",
    ),
    _round(
        name="SchemaDiffersFromBase",
        lasting=True,
        meaning="The columns of the round's DataSchema differ from the columns on which the round's base was trained.",
        action="Apply a new round whose DataSchema has the same target and the same features as the base's DataSchema, "
        "with equal names, units and order. Or apply a new round with spec.initial, which makes a new model for the "
        "new columns.",
    ),
    _round(
        name="DatasetUnknown",
        meaning="No hospital of the round offers a Dataset DATASET.",
        action="Ask the hospitals which Datasets they offer to this federation, and correct datasetName in a new "
        "round, or in the FederatedModel that makes the rounds. Or ask a hospital to offer a Dataset of that name "
        "(policy.datasets in the values of the site chart).",
    ),
)
_BASES = (
    _round(
        name="BaseNotFound",
        meaning="The round that this round starts from does not exist in this namespace.",
        action="Apply that round in this namespace. Or correct base.roundName, or initial.statisticsRoundName, in a "
        "new round.",
    ),
    _round(
        name="BaseFailed",
        meaning="The round that this round starts from has failed.",
        action="Apply a new round that starts from a round that is Complete.",
    ),
    _round(
        name="BaseCycle",
        meaning="The round and the rounds that it starts from form a circle, so they wait for each other.",
        action="Apply a new round that starts from an earlier round.",
    ),
    _hub(
        name="ServerStateUnusable",
        meaning="This round has to continue with the server state of an earlier round (the moments of its server "
        "optimizer). But no valid signature of the hub confirms the server state in the Secret of that round's "
        "result. So somebody may have changed this Secret.",
        action="Find out who changed the Secret: the API server's audit log shows who wrote to the namespace "
        "wardround-hub. If you have a backup of the Secret, restore the Secret (docs/operations.md), and ask the "
        "round's author to apply a new round. If you have no backup, ask the author to apply a new round with another "
        "aggregation.strategy or another base.",
    ),
    Reason(
        name="BaseDeleted",
        owner=ROUND,
        meaning="Somebody deleted the round that this round starts from. The hub keeps the result of the "
        "deleted round until this round is over.",
        action="Nothing to do for this round. No new round can start from the deleted round. From now on, before you "
        "delete a round on the hub or in Git, check that no other round still has to start from it.",
    ),
    _round(
        name="BaseUnusable",
        meaning="Somebody deleted the round that this round starts from, before this round was applied.",
        action="Apply a new round that starts from another round.",
    ),
    _round(
        name="BaseTaskDiffers",
        meaning="The round that this round starts from has the wrong task: a base has to be a Train round, and "
        "statistics have to come from a Statistics round.",
        action="Apply a new round whose base.roundName names a Train round, or whose initial.statisticsRoundName "
        "names a Statistics round.",
    ),
    _round(
        name="BaseReplaced",
        meaning="This round starts from an earlier round of its FederatedModel, or delivers the result of an earlier "
        "round. Somebody has deleted the earlier round, and has applied a different round under the same name.",
        action="Find out who did this: the API server's audit log shows who deleted and applied rounds in this "
        "namespace. Delete the round that took the name. If the FederatedModel needs the lost result, apply the "
        "FederatedModel again under another name.",
    ),
    _hub(
        name="BaseLost",
        meaning="The hub cannot open the result that this round starts from: the Secret of the result is gone, or the "
        "hub has another signing key now.",
        action=f"{RESTORE} If somebody has replaced the hub's key without your consent, find out who did it. If you "
        "have no backup, or have renewed the key yourself, ask the round's author to repeat the round that made the "
        "result.",
    ),
)
_REFERENCES = (
    _round(
        name="ReferenceNotFound",
        meaning="A round that spec.references names does not exist in this namespace, or has no result.",
        action="Apply that round in this namespace. Or correct spec.references in a new round.",
    ),
    _round(
        name="ReferenceFailed",
        meaning="A round that spec.references names has failed.",
        action="Apply a new round whose spec.references names rounds that are Complete.",
    ),
    _round(
        name="ReferenceTaskDiffers",
        meaning="A round that spec.references names made no model.",
        action="Apply a new round whose spec.references names Train rounds.",
    ),
    _round(
        name="ReferenceReplaced",
        meaning="This round compares its model with the model of an earlier round of its FederatedModel. Somebody has "
        "deleted the earlier round, and has applied a different round under the same name.",
        action="Find out who did this: the API server's audit log shows who deleted and applied rounds in this "
        "namespace. Delete the round that took the name.",
    ),
    _round(
        name="ReferenceDiffers",
        meaning="The model of a round that spec.references names was trained with another DataSchema than the model of "
        "the base. Wardround compares only models with the same DataSchema.",
        action="Apply a new round whose spec.references names rounds with the same status.result.schemaDigest as the "
        "base.",
    ),
    _hub(
        name="ReferenceLost",
        meaning="This round compares its model with the result of an earlier round, and the hub cannot open this "
        "result: the Secret of the result is gone, or the hub has another signing key now.",
        action=f"{RESTORE} Without a backup, ask the round's author for a new round with other references.",
    ),
)
_QUORUM = (
    _round(
        name="TooFewParticipants",
        meaning="The round's participants.selector matches fewer hospitals of federation FEDERATION than quorum.min.",
        action="Correct participants.selector.matchLabels or quorum.min in a new round. Or ask the hub's administrator "
        "to give these labels to more Participants, and to list FEDERATION in spec.allowedFederations of these "
        "Participants.",
    ),
    _round(
        name="QuorumImpossible",
        lasting=True,
        meaning="The quorum is impossible: quorum.min is larger than the number of hospitals that the round names, or "
        "quorum.required names a hospital that the round does not name.",
        action="Apply a new round: lower quorum.min, correct quorum.required, or name more hospitals.",
    ),
    _round(
        name="StrategyImpossible",
        lasting=True,
        meaning="spec.aggregation of the round does not fit the round. Either its strategy needs more hospitals, other "
        "parameters or another task, or its compression needs a Train round with a base.",
        action="Correct spec.aggregation, or raise quorum.min, in a new round. docs/federation.md (How updates are "
        "combined) says what each strategy and compression needs.",
    ),
    _round(
        name="QuorumNotMet",
        meaning="Fewer hospitals than quorum.min sent an update, or a hospital of quorum.required sent none. So the "
        "hub combined no updates.",
        action="Run `kubectl wardround explain federatedround/NAME -n FEDERATION`: it says why each hospital is "
        "missing. Then apply a new round.",
    ),
    _round(
        name="NumbersWithheld",
        lasting=True,
        meaning="So many hospitals withhold their numbers that the other hospitals are no quorum. A hospital withholds "
        "its numbers if a class has fewer people than policy.minCell of its Site in the rows that the round measures. "
        "This is also so if the hospital has no such rows.",
        action="If you need the numbers, apply a new round that asks more hospitals, or one with a lower quorum.min.",
    ),
)
_HUB = (
    _round(
        name="TooMuchToAggregate",
        lasting=True,
        meaning="One aggregation Job cannot combine what the round would ask for: more than 512 updates, or a model "
        "that is too large for the round's strategy.",
        action="In a new round, name at most 512 hospitals, or use a selector that matches fewer Participants. For a "
        "model that is too large, use the strategy FedAvg.",
    ),
    _hub(
        name="TooMuchForScratch",
        meaning="The round's strategy or compression needs the updates of all hospitals at once on the scratch volume "
        "of the aggregation Job. The updates are larger than this volume.",
        action="Raise aggregation.scratchGiB in the values of the hub chart. Or ask the round's author for a new round "
        "with the strategy FedAvg or NormBounding, and the compression None. For this round, the aggregation Job needs "
        "less scratch, because it can read the updates from the store twice.",
    ),
    _hub(
        name="TaskRefused",
        meaning="The hub's API server refuses the RoundTask of a hospital.",
        action="Read the API server's answer in the condition's message, and remove the cause. Often a quota, an "
        "admission policy or a webhook of namespace PARTICIPANT refuses the RoundTask. The hub operator tries again "
        "until admissionSeconds and queueSeconds of the round are over.",
    ),
    _hub(
        name="AggregationFailed",
        meaning="The aggregation Job has failed in all its tries, so the round has no result.",
        action="Read the log of the aggregation Job in the hub's namespace (label wardround.io/role=aggregation): it "
        "says why the Job failed. Remove the cause. Then ask the round's author to apply a new round.",
    ),
    _hub(
        name="ActionFailed",
        meaning="The hub operator could not take the round's next step.",
        action="Read the log of the hub operator: it says why. Often the API server or an admission policy refuses "
        "the step, or the store fails. Remove the cause. The hub operator tries again.",
    ),
    _hub(
        name="NotDispatched",
        meaning="The hub operator could not make the RoundTasks of all hospitals within deadlines.totalSeconds.",
        action="Read the log of the hub operator: it quotes the API server. Then ask the round's author to apply a "
        "new round.",
    ),
    _hub(
        name="AggregationDeadline",
        meaning="The aggregation Job did not end in time.",
        action="Run `kubectl describe` on the Job and its pod in the hub's namespace (label "
        "wardround.io/role=aggregation). Often no node had room for the pod, or its node died. Then ask the round's "
        "author to apply a new round.",
    ),
)
_PARTS = (
    Reason(
        name="NotAnswered",
        failure_class="Site",
        owner=HOSPITAL,
        meaning="The site did not answer within deadlines.admissionSeconds.",
        action="Check at the site that the site operator runs, and that the Site's condition HubConnected is True. The "
        "hub does not ask this hospital again in this round.",
    ),
    Reason(
        name="NotSentInTime",
        owner=NOBODY,
        meaning="The round closed before the site's update arrived.",
        action="Nothing to do. The round's result does not contain this update. The next round asks the hospital "
        "again.",
    ),
    Reason(
        name="RoundOver",
        owner=NOBODY,
        meaning="The round ended before this task did, and the hub no longer needs the task.",
        action="Nothing to do.",
    ),
    _round(
        name="RoundFailed",
        meaning="The round failed, so the hub ended this task.",
        action="Run `kubectl wardround explain federatedround/NAME -n FEDERATION` on the hub: it says why the round "
        "failed.",
    ),
    Reason(
        name="Cancelled",
        owner=NOBODY,
        meaning="The hub operator ended this task: its round has ended, somebody has suspended the round, or the hub "
        "no longer needs the task.",
        action="Nothing to do at the hospital. To learn why, ask the round's author to run `kubectl wardround explain "
        "federatedround/NAME -n FEDERATION` on the hub.",
    ),
)
ROUNDS = (*_PARTICIPANTS, *_VERSIONS, *_DATASETS, *_BASES, *_REFERENCES, *_QUORUM, *_HUB, *_PARTS)
