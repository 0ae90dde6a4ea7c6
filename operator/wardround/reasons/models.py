"""What a model of a series waits for, and why it does not go on."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import NOBODY, ROUND, Reason

_nobody = partial(Reason, owner=NOBODY)
_author = partial(Reason, owner=ROUND)

# Why the gate decided as it did (metrics/gate.py).
VERDICTS = (
    _nobody(
        name="FirstVersion",
        meaning="No version was the current one before, so there is nothing to compare with.",
        action="Nothing to do.",
    ),
    _author(
        name="ReferencesGone",
        meaning="The versions that were current are deleted, so there is nothing to compare with.",
        action="Read the numbers of the version, and decide yourself.",
    ),
    _author(
        name="SchemaChanged",
        meaning="The model was trained with another DataSchema than the version with which it would be compared.",
        action="Compare the numbers of both versions, and decide yourself.",
    ),
    _author(
        name="ComparisonFailed",
        meaning="The round that compares the model with other versions has failed as often as series.onFailure.retries "
        "allows.",
        action="Read why with `kubectl wardround explain`, compare the numbers of both versions, and decide yourself.",
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
        "flipped or a unit is another one: both make a model worse.",
    ),
    _author(
        name="WorseAtHospital",
        meaning="The model is not worse than the references in the total, but surely worse at one hospital. The "
        "verdict does not say at which.",
        action="Ask the people of all hospitals whether their data changed: flipped labels or another unit at one "
        "hospital make the model good there and bad at the others. Then decide yourself.",
    ),
    _author(
        name="WorseWithoutOne",
        meaning="The model is not worse than the references in the total, but it is worse without the numbers of one "
        "hospital. The verdict does not say without which.",
        action="Ask the people of all hospitals whether their data changed. The numbers of one hospital alone would "
        "have made the model the current version. Then decide yourself.",
    ),
    _author(
        name="NotShown",
        meaning="Too few people were measured to show that the model is not worse than a reference by more than the "
        "bound that docs/contracts.md gives (verdict of a gate).",
        action="Wait for the next series, or compare the numbers of both versions and decide yourself.",
    ),
    _author(
        name="TooFewEvents",
        meaning="Fewer people than gate.minEvents are in the smaller class.",
        action="Wait for more cases, or compare the numbers of both versions and decide yourself.",
    ),
    _author(
        name="TooFewSeen",
        meaning="The hospitals that could be measured hold less than 80 % of the rows that the model was trained on. A "
        "hospital with fewer than policy.minCell people in a class sends nothing.",
        action="Compare the numbers of both versions, ask the hospitals that were not measured, and decide yourself.",
    ),
    _author(
        name="NotMeasured",
        meaning="The result may show no comparison of the model with its references, because too few hospitals or "
        "people were measured.",
        action="Compare the numbers of both versions, and decide yourself.",
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
        action="Read the verdict in the condition's message, compare the numbers of both versions, and set "
        "spec.current.version. Without a decision, the current version stays.",
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
        action="Nothing to do. The program that asked for it fetches it.",
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
