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
        "has failed in all tries that series.onFailure.retries allows.",
        action="The last name in status.series.rounds of the FederatedModel is this round. Run `kubectl wardround "
        "explain federatedround/NAME -n FEDERATION` with this name: it says why the round has failed. Compare "
        f"{_METRICS}. {_DECIDE}",
    ),
    _nobody(
        name="NotWorse",
        meaning="The gate accepts the new model. Compared with its references (earlier models), the new model is "
        "better, or it is worse by no more than the gate allows (docs/federation.md, How the gate decides).",
        action="Nothing to do.",
    ),
    _author(
        name="WorseThanReference",
        meaning="The gate found that the new model is worse than one of its references (earlier models). The "
        "difference is beyond chance.",
        action="The current version stays. To find the cause, ask the hospitals whether labels or "
        "units in their data have changed: flipped labels or a wrong unit make a model worse.",
    ),
    _author(
        name="WorseAtHospital",
        meaning="The gate cannot decide. Over all hospitals together, the new model is not worse than its references "
        "(earlier models). But at one hospital, the new model is worse, and the difference is beyond chance. The "
        "verdict does not name the hospital.",
        action="With flipped labels or a wrong unit at one hospital, a model can be good there and bad elsewhere. "
        f"{_ASK} If no hospital finds an error, compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="WorseWithoutOne",
        meaning="The gate cannot decide. Over all hospitals together, the new model is not worse than its references "
        "(earlier models). But without the numbers of one hospital, the new model is worse. So this hospital alone "
        "would decide for the new model. The verdict does not name the hospital.",
        action=f"{_ASK} If no hospital finds an error, compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="RowsContradictReference",
        meaning="The gate cannot decide. At one hospital, a reference (an earlier model) predicts worse than a model "
        "that knows only how frequent the target is there, and the difference is beyond chance. At the other "
        "hospitals, the reference predicts better than such a simple model. So the rows of the one hospital may be "
        "wrong. The verdict does not name the hospital.",
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
        meaning="The gate cannot decide, because the numbers of too many hospitals are missing. The hospitals with "
        "numbers hold less than 80 % of the rows that the model was trained on. A hospital's numbers are missing if a "
        "class has fewer people there than policy.minCell of the Site. They also are missing if spec.maxSamples of the "
        "Participant leaves too few people in a class.",
        action="Ask the hospitals whose numbers are missing why they are missing: status.verdict.message of the "
        f"ModelVersion names these hospitals. Compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="NotMeasured",
        meaning="The gate cannot decide, because the round measured too few hospitals or people. So the result has no "
        "comparison of the new model with a reference (an earlier model).",
        action=f"Compare {_METRICS}. {_DECIDE}",
    ),
)

MODELS = (
    _nobody(
        name="SeriesStatistics",
        meaning="The series computes statistics: its first round, a Statistics round, waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesTraining",
        meaning="The series trains: one of its Train rounds waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesEvaluating",
        meaning="The series measures its newest model: an Evaluate round of this model waits or runs.",
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
        meaning="The series has ended without a version. One of its rounds has failed in all tries that "
        "series.onFailure.retries allows, or for a reason for which each further try would fail too. And "
        "series.onFailure.then is Skip.",
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
        meaning="The text in trigger.cron of the FederatedModel is no cron line. Or the cron line names a time that "
        "never comes, such as 30 February. So no series begins by trigger.cron.",
        action="Correct trigger.cron of the FederatedModel. Write five fields: minute, hour, day of the month, month, "
        "day of the week. For example, `0 2 * * 1` begins a series each Monday at 02:00.",
    ),
    _author(
        name="TimeZoneUnknown",
        meaning="The field trigger.timeZone of the FederatedModel names no time zone of the IANA database.",
        action="Write a name such as Europe/Berlin or Etc/UTC in trigger.timeZone of the FederatedModel.",
    ),
    _author(
        name="PeopleDecide",
        meaning="The newest version of the model is not the current one. The round's author has to decide whether it "
        "becomes the current one.",
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
        meaning="spec.current of the FederatedModel names a version that does not exist. Or somebody has deleted the "
        "version that was the current one.",
        action="Set spec.current.version to a version that status.versions of the FederatedModel lists, or remove "
        "spec.current.",
    ),
    _author(
        name="VersionPinnedEarly",
        meaning="spec.current of the FederatedModel named a version before this version existed, so nobody can have "
        "seen its metrics. The hub operator does not make this version the current one.",
        action=f"Compare {_METRICS}. If the new version should become current, remove spec.current, and then set "
        "spec.current.version to its number again.",
    ),
    _nobody(name="VersionReady", meaning="The ModelVersion has its model and its metrics.", action="Nothing to do."),
    _nobody(name="VersionCurrent", meaning="The model has a current version.", action="Nothing to do."),
    _nobody(
        name="NoVersionYet", meaning="The model gets its first version when its first series ends.", action="Wait."
    ),
    _nobody(
        name="VersionTested",
        meaning="The hub operator has measured the current version on test rows, for reports.",
        action="Nothing to do. The command `kubectl wardround results` shows the numbers.",
    ),
    _nobody(
        name="VersionTesting",
        meaning="The hub operator measures the current version on test rows. It does this once for each version. The "
        "version is the current one meanwhile.",
        action="Wait.",
    ),
    _author(
        name="TestFailed",
        meaning="The current version has no numbers about test rows, and the hub operator makes no further round for "
        "them. The version stays the current one.",
        action="Read status.test.message of the ModelVersion: it says why. If you still need the numbers, apply an "
        "Evaluate round with `rows: Test` whose base is spec.roundName of the ModelVersion.",
    ),
    _nobody(
        name="NoTestRows",
        meaning="The hospitals have no test rows, or too few people in them. So the current version has no numbers "
        "about test rows, and the hub operator makes no further round for them. The version stays the current one.",
        action="Nothing to do.",
    ),
    _author(
        name="TooFewForTest",
        meaning="The hub operator does not measure the current version on test rows now: the hub may ask fewer "
        "hospitals than the quorum of evaluations needs, or not all that it requires.",
        action="Wait: the hub operator looks again every hour, and whenever the FederatedModel changes. If hospitals "
        "have left for good, lower evaluation.quorum of the FederatedModel.",
    ),
    _nobody(
        name="TestRowsOff",
        meaning="spec.evaluation.testRows is false, so the hub operator measures no version on test rows.",
        action="Nothing to do. To measure the current version, set spec.evaluation.testRows to true.",
    ),
    _author(
        name="SeriesRoundFailed",
        meaning="The series does not continue: one of its rounds has failed in all tries that series.onFailure.retries "
        "allows, or for a reason for which each further try would fail too.",
        action="Correct the spec of the FederatedModel: the hub operator then tries the round again. If the spec was "
        "right, remove the cause, and change any field of the spec, such as series.onFailure.retries: this also makes "
        "the hub operator try again.",
    ),
    _author(
        name="RoundRefused",
        meaning="The hub's API server refuses the next round of the series.",
        action="Change the field of the FederatedModel that the condition's message names. If the message names a "
        "quota or a policy, ask the hub's administrator to change the quota or the policy. The hub operator tries "
        "again every minute, and when the FederatedModel changes.",
    ),
    _author(
        name="NameTaken",
        meaning="Another object already has the name of the round or version that the hub operator has to create.",
        action="Delete that object, or apply the FederatedModel under another name. The hub operator looks again every "
        "minute, and when the FederatedModel changes.",
    ),
    _nobody(
        name="TransferReady",
        meaning="The person who made the ModelTransfer can get the model now: the hub operator has encrypted the "
        "model's key for this person.",
        action="Nothing to do: the command `model pull` made the ModelTransfer, and now fetches the model.",
    ),
    _reader(
        name="TransferWithoutResult",
        meaning="The ModelTransfer names a round or a version that does not exist in its namespace. Or the hub has no "
        "result of this round or version.",
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
        meaning="The hub operator does not release the model. The round that made the model, or an earlier round of "
        "its training, has release: Participants, so readers get no model of this training.",
        action="Train a new model with release: Readers in all its rounds, also in the Statistics round. A hospital "
        "takes part in these rounds only if policy.release of its Site is Readers.",
    ),
    _author(
        name="TransferTooFewHospitals",
        meaning="By the hub's record of the model, the model combines updates of fewer hospitals than quorum.min of "
        "its round, so the hub operator does not release the model. The hub operator completes no round with so few "
        "updates. So somebody may have changed the record.",
        action="Ask the hub's administrator to find out who changed the record: the API server's audit log shows who "
        "wrote to Secrets of the namespace wardround-hub. Then train another model.",
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
        action="Apply the FederatedModel again under another name. Do not delete the rounds that the hub operator then "
        "makes for it.",
    ),
)
