"""What a model of a series waits for, and why it does not go on."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import NOBODY, READER, ROUND, Reason

_nobody = partial(Reason, owner=NOBODY)
_author = partial(Reason, owner=ROUND)
_reader = partial(Reason, owner=READER)

_METRICS = "the metrics of the new version with those of the current version"
_DECIDE = (
    "Then decide whether the new version becomes current. If so, set spec.current.version of the FederatedModel to the "
    "number of the new version."
)
_ASK = (
    "Ask all hospitals whether labels or units in their data have changed. If a hospital finds an error, it corrects "
    "its data. Then wait for the next series, which trains with the corrected data."
)

# Why the gate decided as it did (metrics/gate.py).
VERDICTS = (
    _nobody(
        name="FirstVersion",
        meaning="This version is the model's first one, so the hub operator compares it with no other version.",
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
        meaning="The hub operator could not compare the new version with other versions: the round for the comparison "
        "has failed as often as series.onFailure.retries allows.",
        action="Run `kubectl wardround explain federatedround/NAME -n FEDERATION`: it says why this round has "
        f"failed. Compare {_METRICS}. {_DECIDE}",
    ),
    _nobody(
        name="NotWorse",
        meaning="The gate accepts the new model: compared with its references (earlier models), it is better, or "
        "worse by no more than the bound in docs/federation.md (How the gate decides).",
        action="Nothing to do.",
    ),
    _author(
        name="WorseThanReference",
        meaning="The gate found that the new model is worse than one of its references (earlier models), and that "
        "chance does not explain the difference.",
        action="Nothing to do: the current version stays. To find the cause, ask the hospitals whether labels or "
        "units in their data have changed: flipped labels or a wrong unit make a model worse.",
    ),
    _author(
        name="WorseAtHospital",
        meaning="The gate cannot decide. Over all hospitals together, the new model is not worse than its references "
        "(earlier models). But at one hospital, the new model is worse, and chance does not explain the difference. "
        "The verdict does not name the hospital.",
        action="With flipped labels or a wrong unit at one hospital, a model can be good there and bad elsewhere. "
        f"{_ASK} If no hospital finds an error, compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="WorseWithoutOne",
        meaning="The gate cannot decide. Over all hospitals together, the new model is not worse than its references "
        "(earlier models). But without the numbers of one hospital, the new model is worse. The verdict does not name "
        "the hospital.",
        action="The numbers of one hospital alone would have decided for the new model. "
        f"{_ASK} If no hospital finds an error, compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="RowsContradictReference",
        meaning="The gate cannot decide, because the rows of one hospital contradict a reference (an earlier model). "
        "At this hospital, the reference predicts worse than a model that knows only how frequent the target is "
        "there, and chance does not explain the difference. At the other hospitals, the reference predicts better "
        "than such a model. The verdict does not name the hospital.",
        action=f"{_ASK} If the data of all hospitals is right, the patients of one hospital differ from the others. "
        f"{_DECIDE}",
    ),
    _author(
        name="NotShown",
        meaning="The gate cannot decide, because the hospitals measured too few people. The new model may be worse "
        "than one of its references (earlier models) by more than the bound in docs/federation.md (How the gate "
        "decides).",
        action=f"Wait for the next series. Or compare {_METRICS} now. {_DECIDE}",
    ),
    _author(
        name="TooFewEvents",
        meaning="The gate cannot decide, because the smaller class of the target has fewer people than gate.minEvents.",
        action=f"Wait until the hospitals have more patients. Or compare {_METRICS} now. {_DECIDE}",
    ),
    _author(
        name="TooFewSeen",
        meaning="The gate cannot decide, because too many hospitals sent no numbers. The hospitals that sent numbers "
        "hold less than 80 % of the rows that the model was trained on. (The gate counts the largest hospital at most "
        "like the second largest, because a hospital could state too many rows.) A hospital sends no numbers if fewer "
        "than policy.minCell of its people are in a class. The numbers of a hospital do not count if spec.maxSamples "
        "of its Participant leaves fewer people than that.",
        action="The verdict names the hospitals whose numbers are missing: ask them why. "
        f"Compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="NotMeasured",
        meaning="The gate cannot decide, because too few hospitals or people were measured. So the result shows no "
        "comparison of the new model with one of its references (earlier models).",
        action=f"Compare {_METRICS}. {_DECIDE}",
    ),
)

MODELS = (
    _nobody(
        name="SeriesStatistics",
        meaning="The first round of the series, a Statistics round, waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesTraining",
        meaning="A Train round of the series waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesEvaluating",
        meaning="The Evaluate round that measures the last model of the series waits or runs.",
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
        meaning="The series has ended without a version. One of its rounds has failed as often as "
        "series.onFailure.retries allows, and series.onFailure.then is Skip.",
        action="Run `kubectl wardround explain federatedround/NAME -n FEDERATION` with the last name in "
        "status.series.rounds of the FederatedModel: it says why that round has failed.",
    ),
    _nobody(
        name="NextSeries",
        meaning="The next series has not begun yet. The trigger of the FederatedModel sets when it begins: at a time, "
        "or when hospitals have enough new patients.",
        action="Nothing to do.",
    ),
    _nobody(
        name="NoTrigger",
        meaning="No further series begins, because the FederatedModel has no trigger.",
        action="Nothing to do.",
    ),
    _author(
        name="CronInvalid",
        meaning="The cron line of the trigger names no time.",
        action="Write five fields in trigger.cron: minute, hour, day of the month, month, day of the week. For example "
        "`0 2 * * 1`.",
    ),
    _author(
        name="TimeZoneUnknown",
        meaning="The field trigger.timeZone of the FederatedModel names no time zone of the IANA database.",
        action="Write a name such as Europe/Berlin or Etc/UTC in trigger.timeZone of the FederatedModel.",
    ),
    _author(
        name="PeopleDecide",
        meaning="The newest version of the model is not the current one. The round's author may make it the current "
        "one.",
        action=f"The condition's message has the verdict of the gate. Compare {_METRICS}. {_DECIDE} Without a "
        "decision, the current version stays.",
    ),
    _nobody(
        name="NoVersionWaits",
        meaning="No version of the model waits for a decision of people.",
        action="Nothing to do.",
    ),
    _author(
        name="VersionGone",
        meaning="The version that spec.current of the FederatedModel names does not exist, or somebody deleted the "
        "version that was the current one.",
        action="Set spec.current.version to a version that status.versions of the FederatedModel lists, or remove "
        "spec.current.",
    ),
    _nobody(name="VersionReady", meaning="The ModelVersion has its model and its metrics.", action="Nothing to do."),
    _nobody(name="VersionCurrent", meaning="The model has a current version.", action="Nothing to do."),
    _nobody(
        name="NoVersionYet", meaning="The model gets its first version when its first series ends.", action="Wait."
    ),
    _author(
        name="SeriesRoundFailed",
        meaning="The series does not continue: one of its rounds has failed as often as series.onFailure.retries "
        "allows.",
        action="Correct the spec of the FederatedModel: the hub operator then tries the round again. If nothing in "
        "the spec was wrong, change any field of it, such as series.onFailure.retries.",
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
        meaning="Another object already has the name of the round or version that the hub operator has to create.",
        action="Delete that object, or apply the FederatedModel under another name.",
    ),
    _nobody(
        name="TransferReady",
        meaning="The person who made the ModelTransfer can get the model now: the hub operator has encrypted the "
        "model's key for this person.",
        action="Nothing to do: the command `model pull`, which made the ModelTransfer, fetches the model.",
    ),
    _reader(
        name="TransferWithoutResult",
        meaning="The ModelTransfer names a round or version that does not exist in its namespace, or of which the hub "
        "has no result.",
        action="In a new ModelTransfer, name a Train round that is Complete, or a ModelVersion.",
    ),
    _reader(
        name="TransferWithoutModel",
        meaning="The ModelTransfer names a round that has made no model. The results of Statistics and Evaluate "
        "rounds are sums over patients, and the hub operator gives them to nobody.",
        action="In a new ModelTransfer, name a Train round or a ModelVersion.",
    ),
    _author(
        name="TransferNotReleased",
        meaning="The hub operator does not release the model: the round that made it, or an earlier round of its "
        "training, has release: Participants.",
        action="Train a new model with release: Readers in all its rounds, also in the Statistics round. Each "
        "hospital decides by policy.release of its Site whether it takes part.",
    ),
    _author(
        name="TransferTooFewHospitals",
        meaning="The hub operator does not release the model, because the model combines updates of fewer hospitals "
        "than quorum.min of the round that made it.",
        action="Train a model in a round to which at least quorum.min hospitals send updates.",
    ),
    _reader(
        name="TransferKeyUnusable",
        meaning="The hub operator cannot read spec.publicKey of the ModelTransfer as a public key.",
        action="Delete the ModelTransfer. Then run the command `model pull` again: it makes another ModelTransfer "
        "with a new key.",
    ),
    _author(
        name="ResultGone",
        meaning="Somebody has deleted the round that made the best model of the series, or this round has no result.",
        action="Apply the FederatedModel again under another name. Then do not delete the rounds that the hub operator "
        "makes for it.",
    ),
)
