"""Why a round waits or fails. `participants` says why a round leaves a hospital out."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import CORRECTED, HUB, RESTORE, ROUND, Reason

_hub = partial(Reason, owner=HUB)
_round = partial(Reason, owner=ROUND)

_DATASETS = (
    _round(
        name="RoundSchemaNotFound",
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED),
        meaning="The DataSchema that schemaName of the round names does not exist in this namespace.",
        action="Apply the federation's DataSchema in this namespace: then the round goes on. If schemaName is wrong, "
        "correct it in a new round. In a FederatedModel, schemaName is immutable: delete the FederatedModel, and apply "
        "a new one with the right name.",
    ),
    _round(
        name="RoundSchemaInvalid",
        places=(Place.ROUND_FAILED,),
        meaning="The DataSchema that the round names is invalid.",
        action="Apply a correct DataSchema with another name, and name it in a new round, or in a new FederatedModel.",
    ),
    _round(
        name="SchemaDiffersFromBase",
        lasting=True,
        places=(Place.ROUND_FAILED,),
        meaning="The round's DataSchema has other columns than the DataSchema with which the round's base was trained.",
        action="To go on from this base, apply a new round whose DataSchema has the same target and the same "
        "features as the base's, with equal names, units and order. To use the new columns, apply a new round with "
        "spec.initial, which makes a new model. If a FederatedModel has made the round, do not apply a round. To go "
        "on with this model, delete its DataSchema, apply the earlier DataSchema again under the same name, and change "
        "any field of the FederatedModel's spec, such as series.onFailure.retries. To use the new columns, apply a new "
        "FederatedModel.",
    ),
    _round(
        name="DatasetUnknown",
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED),
        concerns="Offer",
        meaning="No hospital of the round offers a Dataset DATASET.",
        action="Ask the hospitals which Datasets they offer to this federation. If datasetName is wrong, correct it "
        f"{CORRECTED}. If it is right, ask a hospital to offer a "
        "Dataset of this name (policy.datasets in the values of the site chart).",
    ),
)
_ASK_MODEL = (
    "Run `kubectl wardround explain federatedmodel/MODEL_NAME -n FEDERATION`: it says how the FederatedModel goes on "
    "without the lost result."
)
_PRUNE = (
    "From now on, delete no Statistics or Train round that a FederatedModel has made: the hub operator deletes each "
    "one that the model no longer needs."
)
_BASES = (
    _round(
        name="BaseNotFound",
        ends_series=True,
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED),
        meaning="The round that this round starts from does not exist in this namespace.",
        action="If the name is right, and people apply this other round, apply it in this namespace. If a "
        "FederatedModel made this other round, nobody can bring it back: apply a new round that starts from another "
        "round. If the name is wrong, correct base.roundName or initial.statisticsRoundName in a new round.",
    ),
    _round(
        name="BaseGone",
        lasting=True,
        ends_series=True,
        places=(Place.ROUND_FAILED,),
        meaning="This round needs the result of an earlier round of its FederatedModel, and somebody has deleted that "
        "earlier round. Nobody can bring the result back.",
        action=f"{_ASK_MODEL} {_PRUNE}",
    ),
    _round(
        name="BaseFailed",
        places=(Place.ROUND_FAILED,),
        meaning="The round that this round starts from has failed.",
        action="Apply a new round that starts from a round that is Complete.",
    ),
    _round(
        name="BaseCycle",
        places=(Place.ROUND_FAILED,),
        meaning="This round waits for ever: it starts from a round that, directly or through others, starts from "
        "this round.",
        action="Apply a new round that starts from an earlier round.",
    ),
    _hub(
        name="ServerStateUnusable",
        places=(Place.ROUND_FAILED,),
        meaning="This round has to continue with the state of a server optimizer from an earlier round. But the "
        "hub's signature of this state is missing or wrong, so somebody may have changed the Secret that holds it.",
        action="Find out who changed the Secret of that round's result: the API server's audit log shows who wrote "
        "to the namespace wardround-hub. If you have a backup of the Secret, restore it (docs/operations.md), and "
        "ask the round's author to apply a new round. If you have no backup, ask the author for a new round with "
        "another aggregation.strategy or another base.",
    ),
    Reason(
        name="BaseDeleted",
        owner=ROUND,
        places=(Place.ROUND_OTHER,),
        meaning="Somebody deleted the round that this round starts from. The hub keeps the result of the "
        "deleted round until this round is over.",
        action="Nothing to do for this round: the hub has kept the result. No new round can start from the deleted "
        "round. From now on, before you delete a round on the hub or in Git, check that no other round still has to "
        "start from it.",
    ),
    _round(
        name="BaseUnusable",
        ends_series=True,
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED),
        meaning="This round cannot start. It names a base (the round whose result it starts from) that somebody had "
        "deleted before this round was applied.",
        action="Apply a new round that starts from another round.",
    ),
    _round(
        name="BaseTaskDiffers",
        places=(Place.ROUND_FAILED,),
        meaning="This round names a round of the wrong kind to start from: base.roundName has to name a Train "
        "round, and initial.statisticsRoundName a Statistics round.",
        action="Apply a new round whose base.roundName names a Train round, or whose initial.statisticsRoundName "
        "names a Statistics round.",
    ),
    _round(
        name="BaseReplaced",
        lasting=True,
        ends_series=True,
        places=(Place.ROUND_FAILED,),
        meaning="This round starts from (or delivers the result of) an earlier round of its FederatedModel. "
        "Somebody has deleted that earlier round, and has applied another round under the same name.",
        action="Find out who did this: the API server's audit log shows who deleted and applied rounds in this "
        f"namespace. Delete the round that took the name. {_ASK_MODEL}",
    ),
    _hub(
        name="BaseLost",
        places=(Place.ROUND_FAILED,),
        meaning="The hub cannot open the result that this round starts from: the Secret of the result is gone, or "
        "the hub's signing key is another one now.",
        action=f"{RESTORE} If you have no backup, or have renewed the hub's key yourself, ask the round's author to "
        "repeat the round that made the result. If somebody has replaced the hub's key without your consent, find "
        "out who did it.",
    ),
)
_REFERENCES = (
    _round(
        name="ReferenceNotFound",
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED),
        meaning="A round that spec.references names does not exist in this namespace, or has no result.",
        action="If the name is right, and people apply this other round, apply it in this namespace. If a "
        "FederatedModel made this other round, nobody can bring it back: apply a new round with other references. If "
        "the name is wrong, correct spec.references in a new round.",
    ),
    _round(
        name="ReferenceGone",
        lasting=True,
        places=(Place.ROUND_FAILED,),
        meaning="This round compares its model with the model of an earlier round of its FederatedModel, and somebody "
        "has deleted that earlier round. Nobody can bring the result back.",
        action=f"{_ASK_MODEL} {_PRUNE}",
    ),
    _round(
        name="ReferenceFailed",
        places=(Place.ROUND_FAILED,),
        meaning="A round that spec.references names has failed.",
        action="Apply a new round whose spec.references names rounds that are Complete.",
    ),
    _round(
        name="ReferenceTaskDiffers",
        places=(Place.ROUND_FAILED,),
        meaning="A round that spec.references names has made no model, because it is no Train round.",
        action="Apply a new round whose spec.references names Train rounds.",
    ),
    _round(
        name="ReferenceReplaced",
        lasting=True,
        places=(Place.ROUND_FAILED,),
        meaning="This round compares its model with the model of an earlier round of its FederatedModel. Somebody "
        "has deleted that earlier round, and has applied another round under the same name.",
        action="Find out who did this: the API server's audit log shows who deleted and applied rounds in this "
        f"namespace. Delete the round that took the name. {_ASK_MODEL}",
    ),
    _round(
        name="ReferenceDiffers",
        places=(Place.ROUND_FAILED,),
        meaning="The round names a model in spec.references that was trained with another DataSchema than the base. "
        "Wardround compares only models with the same DataSchema.",
        action="Apply a new round whose spec.references names rounds with the same status.result.schemaDigest as the "
        "base.",
    ),
    _hub(
        name="ReferenceLost",
        places=(Place.ROUND_FAILED,),
        meaning="This round compares its model with the result of an earlier round. The hub cannot open this "
        "result: its Secret is gone, or the hub's signing key is another one now.",
        action=f"{RESTORE} Without a backup, ask the round's author for a new round with other references.",
    ),
)
_QUORUM = (
    _round(
        name="TooFewParticipants",
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED),
        meaning="The round's participants.selector matches fewer hospitals of federation FEDERATION than quorum.min "
        "asks for.",
        action=f"Correct participants.selector.matchLabels or lower quorum.min {CORRECTED}. Or ask the hub's "
        "administrator to give these labels to more Participants, and to list FEDERATION in their "
        "spec.allowedFederations.",
    ),
    _round(
        name="QuorumImpossible",
        lasting=True,
        places=(Place.ROUND_FAILED,),
        meaning="The quorum is impossible: quorum.min is larger than the number of hospitals that the round names, or "
        "quorum.required names a hospital that the round does not name.",
        action=f"Lower quorum.min, correct quorum.required, or name more hospitals {CORRECTED}.",
    ),
    _round(
        name="StrategyImpossible",
        lasting=True,
        places=(Place.ROUND_FAILED,),
        meaning="The round's spec.aggregation is impossible: its strategy needs more hospitals, other parameters or "
        "another task, or its compression needs a Train round with a base.",
        action=f"Correct spec.aggregation or raise quorum.min {CORRECTED}. docs/federation.md (How updates are "
        "combined) says what each strategy and each compression needs.",
    ),
    _round(
        name="QuorumNotMet",
        places=(Place.ROUND_FAILED,),
        meaning="The hub kept no result: fewer hospitals than quorum.min sent an update that can be counted, or a "
        "hospital in quorum.required sent none.",
        action="Run `kubectl wardround explain federatedround/ROUND -n FEDERATION`: it says why each hospital is "
        "missing. Remove the causes, and apply a new round.",
    ),
    _round(
        name="NumbersWithheld",
        lasting=True,
        places=(Place.ROUND_FAILED, Place.MODEL_READY, Place.VERSION_READY),
        meaning="The round has no numbers: too many hospitals withhold theirs, so the others are no quorum. A "
        "hospital withholds its numbers if its measured rows, or one class in them, have fewer people than "
        "policy.minCell of its Site.",
        action="If you need the numbers, apply a new round that asks more hospitals, or that has a lower quorum.min. "
        "In a FederatedModel, change round.participants or evaluation.quorum: this applies to the next series.",
    ),
)
# Why an aggregation Job has ended. A container that was killed has written nothing about it.
_LOOK = (
    "run `kubectl describe pod -l job-name=JOB -n HUB_NAMESPACE`. If the exit code is below 128, `kubectl logs job/JOB "
    "-n HUB_NAMESPACE` says why the Job failed. If there is no pod, run `kubectl describe job/JOB -n HUB_NAMESPACE`."
)
_HUB = (
    _round(
        name="TooMuchToAggregate",
        lasting=True,
        places=(Place.ROUND_FAILED,),
        meaning="The round asks for more than one aggregation Job can combine: for more than 512 updates, or for a "
        "model that is too large for the round's strategy.",
        action=f"Name at most 512 hospitals (or use a selector that matches fewer Participants) {CORRECTED}. If "
        "the model is too large, use the strategy FedAvg.",
    ),
    _hub(
        name="TooMuchForScratch",
        places=(Place.ROUND_FAILED,),
        meaning="The updates do not fit on the scratch volume of the aggregation Job. The round's strategy or "
        "compression needs all of them there at once.",
        action="If the message names hospitals whose updates differ in length, first ask the hospital with the longest "
        "one: in an initial round, all updates should have the same length. If the lengths are right, raise "
        "aggregation.scratchGiB in the values of the hub chart. Or ask the round's author for a new "
        "round with the strategy FedAvg or NormBounding and the compression None, which need less scratch.",
    ),
    _hub(
        name="TaskRefused",
        places=(Place.ROUND_STALLED, Place.ATTENTION),
        meaning="The hub cannot ask a hospital, because the hub's API server refuses the RoundTask of this hospital.",
        action="Read the API server's answer in the condition's message, and remove the cause. Often a quota, an "
        "admission policy or a webhook of namespace PARTICIPANT refuses the RoundTask. The hub operator tries again "
        "until admissionSeconds and queueSeconds of the round are over.",
    ),
    _round(
        name="RoundKeyLost",
        places=(Place.ROUND_FAILED,),
        meaning="Somebody has deleted the round's private key: the Secret round-UID in the hub's namespace, or what "
        "was in it. UID is metadata.uid of the round. Without this key, the hub operator can open no update and ask no "
        "hospital again.",
        action="If a FederatedModel has made the round, there is nothing to do: the hub operator makes another round, "
        "as spec.series.onFailure of the FederatedModel says. Only a round on test rows (spec.rows is Test) that has "
        "asked a hospital is not made again: the condition Tested of the FederatedModel then says what to do. If no "
        "FederatedModel has made the round, run `kubectl delete federatedround ROUND -n FEDERATION`, and apply the "
        "round again. Ask the hub's administrator to find out who deleted the Secret: the API server's audit log shows "
        "this.",
    ),
    _hub(
        name="AggregationFailed",
        places=(Place.ROUND_FAILED,),
        meaning="The round has no result, because all tries of the aggregation Job have failed.",
        action=f"On the hub, {_LOOK} Remove the cause. Then ask the round's author to apply a new round.",
    ),
    _hub(
        name="AggregatingAgain",
        warns=True,
        places=(Place.ROUND_RECONCILING,),
        meaning="The aggregation Job has ended without a result, and the hub operator makes another one after a pause.",
        action=f"Nobody has to act at once. If this comes again, {_LOOK}",
    ),
    _round(
        name="CollectingAgain",
        warns=True,
        places=(Place.ROUND_RECONCILING,),
        meaning="The aggregation could count too few updates for quorum.min or quorum.required. So the round collects "
        "on: other hospitals can still send an update until its deadline.",
        action="Read status.attention of the round: if updates were left out, it names their hospitals, says why, and "
        "who has to act there. The round itself can wait.",
    ),
    _hub(
        name="ActionFailed",
        warns=True,
        places=(Place.ROUND_RECONCILING, Place.CLEANING),
        meaning="The hub operator could not take the round's next step, and tries again.",
        action="Run `kubectl logs deployment/hub-operator -n HUB_NAMESPACE`: the log says why. Often the API server or "
        "an admission policy refuses the step, or the store fails. Remove the cause. Nobody has to start the step "
        "again.",
    ),
    _hub(
        name="NotDispatched",
        places=(Place.ROUND_FAILED,),
        meaning="The hub operator could not make the RoundTasks of all hospitals within deadlines.totalSeconds.",
        action="Run `kubectl logs deployment/hub-operator -n HUB_NAMESPACE`: the log quotes the API server. Remove the "
        "cause. Then ask the round's author to apply a new round.",
    ),
    _hub(
        name="AggregationDeadline",
        places=(Place.ROUND_FAILED,),
        meaning="The round has no result, because the aggregation Job did not end in time.",
        action="Run `kubectl describe` on the Job and its pod in the hub's namespace (label "
        "wardround.io/role=aggregation). Often no node had room for the pod, or its node died. Remove the cause. "
        "Then ask the round's author to apply a new round.",
    ),
)
ROUNDS = (*_DATASETS, *_BASES, *_REFERENCES, *_QUORUM, *_HUB)
