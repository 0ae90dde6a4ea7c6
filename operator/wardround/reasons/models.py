"""What a model of a series waits for, and why it does not go on."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import NOBODY, ROUND, Reason

_nobody = partial(Reason, owner=NOBODY)
_author = partial(Reason, owner=ROUND)

_METRICS = "the metrics of the new version with those of the current version"
_DECIDE = "Then decide whether the new version becomes current: if so, set spec.current.version of the FederatedModel."

# Why the gate decided as it did (metrics/gate.py).
VERDICTS = (
    _nobody(
        name="FirstVersion",
        meaning="No version was the current one before, so the hub operator has no version to compare this one with.",
        action="Nothing to do.",
    ),
    _author(
        name="ReferencesGone",
        meaning="The hub operator cannot compare the new version: somebody has deleted all versions that were current "
        "before.",
        action=f"Read the metrics of the new version. {_DECIDE}",
    ),
    _author(
        name="SchemaChanged",
        meaning="The hub operator cannot compare the new version: the current version, or the best version so far, was "
        "trained with another DataSchema.",
        action=f"Compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="ComparisonFailed",
        meaning="The round that compares the model with other versions has failed as often as series.onFailure.retries "
        "allows.",
        action=f"Read with `kubectl wardround explain` why the round has failed. Compare {_METRICS}. {_DECIDE}",
    ),
    _nobody(
        name="NotWorse",
        meaning="The model is not worse than any reference by more than the bound that docs/contracts.md gives "
        "(verdict of a gate).",
        action="Nothing to do.",
    ),
    _author(
        name="WorseThanReference",
        meaning="The model is worse than a reference, and chance does not explain that.",
        action="Keep the current version. If the data of a hospital has changed, ask the hospital whether labels are "
        "flipped or a unit has changed: both make a model worse.",
    ),
    _author(
        name="WorseAtHospital",
        meaning="Over all hospitals together, the model is not worse than the references. But it is surely worse at "
        "one hospital. The verdict does not say at which one.",
        action="Ask the administrators of all hospitals whether their data has changed: flipped labels or another unit "
        f"at one hospital make the model good there and bad at the others. {_DECIDE}",
    ),
    _author(
        name="WorseWithoutOne",
        meaning="Over all hospitals together, the model is not worse than the references. But it is worse if the "
        "numbers of one hospital are left out. The verdict does not name this hospital.",
        action="Ask the administrators of all hospitals whether their data has changed: the numbers of one hospital "
        f"alone would have made the model the current version. {_DECIDE}",
    ),
    _author(
        name="NotShown",
        meaning="Too few people were measured to show that the model is not worse than a reference by more than the "
        "bound that docs/contracts.md gives (verdict of a gate).",
        action=f"Wait for the next series. Or do not wait: compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="TooFewEvents",
        meaning="Too few people were measured: the smaller class of the target has fewer people than gate.minEvents.",
        action=f"Wait until the hospitals have more patients. Or do not wait: compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="TooFewSeen",
        meaning="The hospitals that sent numbers hold less than 80 % of the rows that the model was trained on. A "
        "hospital with fewer than policy.minCell people in a class sends no numbers.",
        action=f"Compare {_METRICS}. Some hospitals sent no numbers: the verdict names them. Ask them why. {_DECIDE}",
    ),
    _author(
        name="NotMeasured",
        meaning="Too few hospitals or people were measured, so the result may not show how the model compares with its "
        "references.",
        action=f"Compare {_METRICS}. {_DECIDE}",
    ),
)

MODELS = (
    _nobody(
        name="SeriesStatistics",
        meaning="The series begins with a Statistics round, which waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesTraining",
        meaning="A Train round of the series waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesEvaluating",
        meaning="The Evaluate round of the series waits or runs. It measures the last model.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesComparing",
        meaning="The gate compares the best model of the series with the current version and with the best version so "
        "far.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesRetrying",
        meaning="A round of the series has failed. The hub operator makes another one in its place.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesEnded",
        meaning="The series has ended, and its best model is a ModelVersion.",
        action="Nothing to do.",
    ),
    _author(
        name="SeriesSkipped",
        meaning="A round of the series has failed as often as series.onFailure.retries allows. The series has ended "
        "without a version, as series.onFailure.then asks.",
        action="Read why the last round of status.series.rounds has failed, with `kubectl wardround explain`.",
    ),
    _nobody(
        name="NextSeries",
        meaning="The trigger says when the next series begins: at a time, or with new patients.",
        action="Nothing to do.",
    ),
    _nobody(
        name="NoTrigger", meaning="The model has no trigger, so no further series begins.", action="Nothing to do."
    ),
    _author(
        name="CronInvalid",
        meaning="The cron line of the trigger names no time.",
        action="Write five fields in trigger.cron: minute, hour, day of the month, month, day of the week. For example "
        "`0 2 * * 1`.",
    ),
    _author(
        name="TimeZoneUnknown",
        meaning="The trigger's time zone is not in the database of time zones.",
        action="Write a name such as Europe/Berlin or Etc/UTC in trigger.timeZone.",
    ),
    _author(
        name="PeopleDecide",
        meaning="The newest version has not become the current one, and people may decide that it does.",
        action=f"Read the verdict in the condition's message. Compare {_METRICS}. {_DECIDE} Without a decision, "
        "the current version stays.",
    ),
    _nobody(name="NoVersionWaits", meaning="No version waits for a decision of people.", action="Nothing to do."),
    _author(
        name="VersionGone",
        meaning="The version that should be the current one does not exist.",
        action="Set spec.current.version to a version of status.versions, or remove spec.current.",
    ),
    _nobody(name="VersionReady", meaning="The ModelVersion has its model and its metrics.", action="Nothing to do."),
    _nobody(name="VersionCurrent", meaning="The model has a current version.", action="Nothing to do."),
    _nobody(name="NoVersionYet", meaning="The model has no version before its first series ends.", action="Wait."),
    _author(
        name="SeriesRoundFailed",
        meaning="A round of the series has failed as often as series.onFailure.retries allows.",
        action="Change what was wrong in the spec of the FederatedModel. The hub operator then tries the round again. "
        "If nothing was wrong with the spec, change any of its fields, such as series.onFailure.retries.",
    ),
    _author(
        name="RoundRefused",
        meaning="The hub's API server refuses the next round of the series.",
        action="Change the field of the FederatedModel that the message names. If the message names a quota or a "
        "policy, ask the hub's administrator. The hub operator tries again every minute, and when the FederatedModel "
        "changes.",
    ),
    _author(
        name="NameTaken",
        meaning="Another object has the name that the hub operator needs.",
        action="Delete that object, or apply the FederatedModel under another name.",
    ),
    _nobody(
        name="TransferReady",
        meaning="The model is ready for the person who asked: the hub operator has wrapped its key.",
        action="Nothing to do. The command that asked for the model fetches it.",
    ),
    _author(
        name="TransferWithoutResult",
        meaning="The namespace has no such round or version, or the hub has no result of it.",
        action="Name a Train round that is Complete, or a ModelVersion.",
    ),
    _author(
        name="TransferWithoutModel",
        meaning="The round has made no model. The results of Statistics and Evaluate rounds are sums over patients, "
        "and the hub gives them to nobody.",
        action="Name a Train round, or a ModelVersion.",
    ),
    _author(
        name="TransferNotReleased",
        meaning="The round, or a round that led to it, was for participants alone (release: Participants).",
        action="Train a model with release: Readers in all its rounds, also in the Statistics round. Each hospital "
        "decides by policy.release whether it takes part.",
    ),
    _author(
        name="TransferTooFewHospitals",
        meaning="The result combines fewer hospitals than its round's quorum.min.",
        action="Train a model with all hospitals of the quorum.",
    ),
    _author(
        name="TransferKeyUnusable",
        meaning="spec.publicKey of the ModelTransfer is no public key.",
        action="Delete the ModelTransfer, and make another one with a key of your own.",
    ),
    _author(
        name="ResultGone",
        meaning="The round that made the best model of the series is gone, or it has no result.",
        action="Apply a new FederatedModel, and do not delete its rounds.",
    ),
)
