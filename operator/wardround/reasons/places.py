"""Where each reason stands: a kind and its condition, or a list in a status. Decides nothing.

docs/reasons.md shows it. A reason with a class fails tasks, so those places are derived; the rest is listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wardround.reasons.refusals import REFUSALS
from wardround.reasons.registry import REASONS

ACCEPTED = "RoundTask, SiteTask: `Accepted`"
FAILED = "RoundTask, SiteTask: `Failed`"
WAITS = "RoundTask, SiteTask: `Reconciling`"
REACHED = "RoundTask, SiteTask: the condition of the stage"
ROUND_FAILED = "FederatedRound: `Failed`"
ROUND_STALLED = "FederatedRound: `Stalled`"
ROUND_RECONCILING = "FederatedRound: `Reconciling`"
ROUND_OTHER = "FederatedRound: the condition of that name"
CLEANING = "FederatedRound: `CleanedUp`"
ATTENTION = "FederatedRound: `status.attention`"
PARTICIPANT = "Participant: `Ready`"
SUSPENDED = "FederatedRound, FederatedModel, Participant: `Suspended`"
VERDICT = "FederatedRound: `status.result.verdict`"
VERSION_VERDICT = "ModelVersion: `status.verdict`"
MODEL_WAITS = "FederatedModel: `VersionWaits`"
MODEL_SCHEDULED = "FederatedModel: `Scheduled`"
VERSION_READY = "ModelVersion: `Ready`"
MODEL_READY = "FederatedModel: `Ready`"
MODEL_DELIVERED = "FederatedModel: `Delivered`"
MODEL_TESTED = "FederatedModel: `Tested`"
MODEL_RECONCILING = "FederatedModel: `Reconciling`"
MODEL_STALLED = "FederatedModel: `Stalled`"
TRANSFER_COMPLETE = "ModelTransfer: `Complete`"
TRANSFER_FAILED = "ModelTransfer: `Failed`"
PUSH_COMPLETE = "ModelPush: `Complete`"
PUSH_FAILED = "ModelPush: `Failed`"
PUSH_RECONCILING = "ModelPush: `Reconciling`"
SITE = "Site: `Ready`"
CONNECTED = "Site: `HubConnected`"
LINK_LOCAL = "Site: `LinkLocalClosed`"
DATASET = "Dataset: `Ready`"
REMARKS = "Dataset: `status.remarks`"
PREDICTION_COMPLETE = "Prediction: `Complete`"
PREDICTION_FAILED = "Prediction: `Failed`"
PREDICTION_STALLED = "Prediction: `Stalled`"
PREDICTION_RECONCILING = "Prediction: `Reconciling`"
CANCELLED = "RoundTask: the annotation `wardround.io/cancelled`"
APPROVAL = "Approval: `Ready`"
EXPLAINED = "the command `kubectl wardround explain`"
JOB_LOG = "the log of the aggregation Job"
EVERY = "every kind, until its operator has looked at it"

_LISTED: Mapping[str, str] = {
    ACCEPTED: "Accepted ClockSkew NoKeys SiteTaskNotAdmitted TooManyTasks WaitingForApproval",
    FAILED: "Cancelled",
    WAITS: "Delivering Evicted Fetching ImagePullFailed IsolationUnproven JobNotAdmitted ModelsClaimFull "
    "ModelsClaimUnusable Queued Sending SiteTaskNotAdmitted "
    "Starting StepFailed StoreObjectMissing StoreObjectShort StoreRefused StoreTooSlow StoreUnreachable StoreUntrusted "
    "TooManyTasks Training Unschedulable WorkspaceUnusable",
    REACHED: "Complete Delivered InputFetched Sent Trained",
    ROUND_FAILED: "AggregationDeadline AggregationFailed AggregatorFailed BaseCycle BaseFailed BaseLost BaseNotFound "
    "BaseReplaced BaseTaskDiffers BaseUnusable DatasetUnknown DeliveryTooFewHospitals DeliveryWithoutCard "
    "InitialWeightsDiffer NotDispatched "
    "NothingToAggregate NumbersWithheld ParticipantNotApproved ParticipantSuspended ParticipantUnknown PlanUnreadable "
    "PushedVersionNotFound QuorumImpossible "
    "ReferenceDiffers ReferenceFailed ReferenceLost ReferenceNotFound ReferenceReplaced ReferenceTaskDiffers "
    "RoundSchemaInvalid RoundSchemaNotFound SchemaDiffersFromBase ServerStateUnusable "
    "HubTooOld QuorumNotMet ResultNotFinite SchemasDiffer SiteTooOld StoreInconsistent StrategyImpossible "
    "TooFewForStrategy TooFewParticipants TooManyLeftOut TooMuchForScratch TooMuchToAggregate",
    ROUND_STALLED: "BaseNotFound BaseUnusable DatasetDiffers DatasetNotFound DatasetUnknown "
    "FederationNotAllowed FingerprintMismatch ParticipantNoKeys ParticipantNotApproved ParticipantRevoked "
    "HubTooOld ParticipantSuspended ParticipantUnknown PushedVersionNotFound ReferenceNotFound "
    "RoundSchemaNotFound SiteTooOld TaskRefused TooFewParticipants",
    ROUND_RECONCILING: "ActionFailed Aggregating Collecting Dispatched ResultExists StoreUnreachable WaitingForBase "
    "WaitingForReference",
    CLEANING: "ActionFailed",
    ROUND_OTHER: "BaseDeleted CleanedUp Complete",
    ATTENTION: "CompressionInvalid CountsInvalid DatasetDiffers FederationNotAllowed FingerprintMismatch FrozenNotZero "
    "HubTooOld Missing NotSentInTime ParticipantNoKeys ParticipantNotApproved ParticipantRevoked "
    "ParticipantSuspended ParticipantUnknown SiteTooOld StepsMissing TaskRefused UpdateTooLarge "
    "UploadTooLarge WrongAttempt WrongImage WrongParticipant WrongRound WrongSchema",
    PARTICIPANT: "Approved FingerprintMismatch HubTooOld NamespaceDiffers NoKeys NotApproved Revoked SiteTooOld",
    SUSPENDED: "Resumed Suspended",
    VERDICT: "NotMeasured NotShown NotWorse RowsContradictReference TooFewEvents TooFewSeen WorseAtHospital "
    "WorseThanReference WorseWithoutOne",
    VERSION_VERDICT: "ComparisonFailed FirstVersion NotMeasured NotShown NotWorse ReferencesGone "
    "RowsContradictReference SchemaChanged TooFewEvents TooFewSeen WorseAtHospital WorseThanReference WorseWithoutOne",
    MODEL_READY: "NoVersionYet VersionCurrent VersionGone VersionPinnedEarly",
    MODEL_DELIVERED: "Delivering DeliveryComplete DeliveryFailed DeliveryOff NameTaken",
    MODEL_TESTED: "NameTaken NoTestRows TestFailed TestRowsOff TooFewForTest VersionTested VersionTesting",
    MODEL_WAITS: "NoVersionWaits PeopleDecide",
    MODEL_SCHEDULED: "CronInvalid NextSeries NoTrigger TimeZoneUnknown",
    VERSION_READY: "VersionPushed VersionReady",
    MODEL_RECONCILING: "SeriesComparing SeriesEnded SeriesEvaluating SeriesRetrying SeriesSkipped SeriesStatistics "
    "SeriesTraining",
    MODEL_STALLED: "CronInvalid DatasetNotFound DatasetUnknown FederationNotAllowed FingerprintMismatch HubTooOld "
    "NameTaken ParticipantNoKeys ParticipantNotApproved ParticipantRevoked ParticipantSuspended ParticipantUnknown "
    "ResultGone RoundRefused SeriesRoundFailed SiteTooOld TimeZoneUnknown TooFewParticipants VersionGone "
    "VersionPinnedEarly",
    TRANSFER_COMPLETE: "TransferReady",
    TRANSFER_FAILED: "TransferKeyUnusable TransferNotReleased TransferTooFewHospitals TransferWithoutModel "
    "TransferWithoutResult",
    PUSH_COMPLETE: "PushReady",
    PUSH_FAILED: "PushAltered PushDiffers PushKeyUnusable PushNameTaken PushNotFinite PushUnreadable PushWithoutSchema",
    PUSH_RECONCILING: "PushChecking PushUploading",
    SITE: "Approved Connecting EnrolmentExpired FingerprintMismatch HubForbids HubNotPinned HubUnreachable NoKeys "
    "HubTooOld NotApproved NotEnrolled ParticipantUnknown SiteTooOld Suspended TooManyTasks",
    CONNECTED: "Connected Connecting EnrolmentExpired HubForbids HubUnreachable NotEnrolled",
    LINK_LOCAL: "LinkLocalAbsent LinkLocalOpen LinkLocalSilent",
    DATASET: "ColumnMissing ColumnsChanged DataReplaced DataUnreadable IdentifiersChanged NotReadYet Read "
    "SchemaInvalid SchemaNotFound SplitChanged SplitKeyChanged SplitKeyLost TooFewSamples TooManyRowsLeftOut",
    REMARKS: "ClassLeftOut OneClass RowsRepeated TargetsContradict",
    APPROVAL: "ApprovalOver ApprovalUnreadable ApprovalUsedUp DenialUnreadable SeriesApproved SeriesDenied",
    PREDICTION_COMPLETE: "Predicted",
    PREDICTION_FAILED: "AnswerExists AnswerUnwritable CodeDiffers CodeNotNamed ColumnMissing DataReplaced "
    "DataUnreadable DeadlineExceeded IsolationUnknown ModelNotDelivered ModelRefused NetworkOpen NodeLost NotFinite "
    "OutOfMemory OutputLink OutputMissing OutputTooLarge ParametersNotAllowed ParametersRefused PathOutside PodFailed "
    "PredictionsInvalid SchemaInvalid TrainerFailed",
    PREDICTION_STALLED: "ClaimNotListed CommandNotAllowed ImageNotAllowed NoDataset NoModelsClaim",
    PREDICTION_RECONCILING: "IsolationUnproven JobNotAdmitted Predicting",
    CANCELLED: "NotSentInTime RoundFailed RoundOver Suspended",
    EXPLAINED: "NotConnected",
    JOB_LOG: "StillCollecting",
    EVERY: "Pending",
}


def _places(name: str) -> tuple[str, ...]:
    listed = [place for place, names in _LISTED.items() if name in names.split()]
    fails = REASONS[name].failure_class is not None
    refuses = fails and name in {reason.name for reason in REFUSALS}
    derived = [place for place, holds in ((ACCEPTED, refuses), (FAILED, fails), (ATTENTION, fails)) if holds]
    return tuple(place for place in (*_LISTED,) if place in listed or place in derived)


PLACES: Mapping[str, tuple[str, ...]] = MappingProxyType({name: _places(name) for name in REASONS})
