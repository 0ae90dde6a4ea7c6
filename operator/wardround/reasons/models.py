"""What a model of a series waits for, and why it does not go on."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import NOBODY, READER, ROUND, Reason

_nobody = partial(Reason, owner=NOBODY)
_author = partial(Reason, owner=ROUND)
_reader = partial(Reason, owner=READER)

_METRICS = (
    "the metrics of the new version with those of the current version (`kubectl wardround results "
    "federatedmodel/MODEL_NAME -n FEDERATION` shows both)"
)
_DECIDE = (
    "Then decide whether the new version becomes current. If so, set spec.current.version of the FederatedModel to the "
    "number of the new version."
)
_GO_BACK = (
    "Hospitals that have a newer version refuse an older one (ModelVersionBackwards) until they go back too: the steps "
    "are in docs/federation.md, Go back to an older version."
)
_ASK = (
    "Ask all hospitals whether labels or units in their data have changed. If a hospital finds an error, it corrects "
    "its data. Then wait for the next series, which trains with the corrected data."
)

# Why the gate decided as it did (metrics/gate.py).
VERDICTS = (
    _nobody(
        name="FirstVersion",
        places=(Place.VERSION_VERDICT,),
        meaning="The model has no other version, so the hub operator compares this version with none.",
        action="Nothing to do.",
    ),
    _author(
        name="NoCurrentVersion",
        places=(Place.VERSION_VERDICT,),
        meaning="The hub operator compares this version with no other version, because no version of the model is or "
        "was the current one.",
        action="Compare the metrics of the versions that wait (`kubectl wardround results federatedmodel/MODEL_NAME -n "
        "FEDERATION` shows them). Then set spec.current.version of the FederatedModel to the number of the version "
        "that becomes the current one.",
    ),
    _author(
        name="ReferencesGone",
        places=(Place.VERSION_VERDICT,),
        meaning="The hub operator cannot compare the new version: somebody has deleted the current version, or the "
        "round that made it, so the hub has no model to compare with.",
        action=f"Read the metrics of the new version. {_DECIDE}",
    ),
    _author(
        name="SchemaChanged",
        places=(Place.VERSION_VERDICT,),
        meaning="The hub operator cannot compare the new version: the current version, or the best version so far, was "
        "trained with another DataSchema.",
        action=f"Compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="ComparisonFailed",
        places=(Place.VERSION_VERDICT,),
        meaning="The hub operator could not compare the new version with other versions: the round for the comparison "
        "has failed. Either all tries that series.onFailure.retries allows have failed, or each further try would fail "
        "for the same reason.",
        action="Run `kubectl wardround explain federatedround/ROUND -n FEDERATION`: it says why the round has failed. "
        "status.verdict.message of the ModelVersion has the name ROUND. Compare "
        f"{_METRICS}. {_DECIDE}",
    ),
    _nobody(
        name="NotWorse",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate accepts the new model: compared with each reference (an earlier model), it is better, or "
        "worse by no more than the gate allows (docs/federation.md, How the gate decides).",
        action="Nothing to do.",
    ),
    _author(
        name="WorseThanReference",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate refuses the new model: it is worse than one of its references (earlier models), and the "
        "difference is beyond chance.",
        action="Ask the hospitals whether labels or units in their data have changed: flipped labels or a wrong "
        "unit make a model worse. If a hospital finds an error, it corrects its data before the next series.",
    ),
    _author(
        name="WorseAtHospital",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate cannot decide. Over all hospitals together, the new model is not worse than its references "
        "(earlier models). But at one hospital, the new model is worse, and the difference is beyond chance. The "
        "verdict does not name the hospital.",
        action="With flipped labels or a wrong unit at one hospital, a model can be good there and bad elsewhere. "
        f"{_ASK} If no hospital finds an error, compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="WorseWithoutOne",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate cannot decide. Over all hospitals together, the new model is not worse than its references "
        "(earlier models). But without the numbers of one hospital, the new model is worse. So this hospital alone "
        "would decide for the new model. The verdict does not name the hospital.",
        action=f"{_ASK} If no hospital finds an error, compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="RowsContradictReference",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate cannot decide, because the rows of one hospital may be wrong. On these rows, a reference "
        "(an earlier model) predicts worse than a guess that knows only how frequent the target is there, beyond "
        "chance. At the other hospitals, the reference predicts better than such a guess. The verdict does not name "
        "the hospital.",
        action=f"{_ASK} If the data of all hospitals is right, the patients of one hospital differ from the others. "
        f"{_DECIDE}",
    ),
    _author(
        name="NotShown",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate cannot decide. The new model may be worse than one of its references (earlier models) by "
        "more than the bound in docs/federation.md (How the gate decides). Often the hospitals measured too few "
        "people. Or a reference predicts worse now than a guess that knows only how frequent the target is.",
        action=f"Wait for the next series. Or compare {_METRICS} now. {_DECIDE} If the loss is much higher than in "
        "earlier series, ask all hospitals whether labels or units in their data have changed.",
    ),
    _author(
        name="TooFewEvents",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate cannot decide, because the smaller class of the target has fewer people than gate.minEvents.",
        action=f"Wait until the hospitals have more patients. Or compare {_METRICS} now. {_DECIDE}",
    ),
    _author(
        name="TooFewSeen",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate cannot decide: the hospitals whose numbers it has hold less than 80 % of the rows that "
        "the model was trained on. A hospital's numbers are missing if a class has too few people there "
        "(policy.minCell of the Site, or spec.maxSamples of the Participant), or if the hospital did not take part in "
        "the comparison or failed in it.",
        action="Read status.verdict.message of the ModelVersion: it names the hospitals without numbers, and says "
        f"which of them have too few people. Compare {_METRICS}. {_DECIDE}",
    ),
    _author(
        name="NotMeasured",
        places=(Place.VERDICT, Place.VERSION_VERDICT),
        meaning="The gate cannot decide: the round measured too few hospitals or people, so its result does not "
        "compare the new model with a reference (an earlier model).",
        action=f"Compare {_METRICS}. {_DECIDE}",
    ),
)

MODELS = (
    _nobody(
        name="SeriesStatistics",
        places=(Place.MODEL_RECONCILING,),
        meaning="The series computes statistics: its first round, a Statistics round, waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesTraining",
        places=(Place.MODEL_RECONCILING,),
        meaning="The series trains: one of its Train rounds waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesEvaluating",
        places=(Place.MODEL_RECONCILING,),
        meaning="The series measures its newest model: an Evaluate round of this model waits or runs.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesComparing",
        places=(Place.MODEL_RECONCILING,),
        meaning="The gate compares the best model of the series with the current version and with the best version so "
        "far.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesRetrying",
        explained=True,
        places=(Place.MODEL_RECONCILING,),
        meaning="A round of the series has failed. The hub operator makes another one in its place.",
        action="Wait.",
    ),
    _nobody(
        name="SeriesEnded",
        places=(Place.MODEL_RECONCILING,),
        meaning="The series has ended, and its best model is a ModelVersion.",
        action="Nothing to do.",
    ),
    _author(
        name="SeriesSkipped",
        places=(Place.MODEL_RECONCILING,),
        meaning="The series has ended without a version, because a round failed and series.onFailure.then is Skip. "
        "Either all tries that series.onFailure.retries allows have failed, or each further try would fail for the "
        "same reason.",
        action="Run `kubectl wardround explain federatedround/ROUND -n FEDERATION`: it says why that round failed, and "
        "what to do before the next series. ROUND is the last name in status.series.rounds of the FederatedModel.",
    ),
    _author(
        name="SeriesBaseGone",
        places=(Place.MODEL_RECONCILING, Place.MODEL_STALLED, Place.MODEL_SCHEDULED),
        meaning="The series has ended without a version, or the next series does not begin: somebody has deleted or "
        "replaced the round or the pushed ModelVersion that it starts from.",
        action="If the model starts from a pushed ModelVersion (initial.pushed) that is missing, push the model again "
        "under the same name (command `model push`). If no trigger begins the next series, run `kubectl "
        "wardround begin federatedmodel/MODEL_NAME -n FEDERATION`. From now on, delete no Statistics or "
        "Train round that a FederatedModel has made.",
    ),
    _nobody(
        name="NextSeries",
        places=(Place.MODEL_SCHEDULED,),
        meaning="The next series has not begun yet. The trigger of the FederatedModel sets when it begins: at a time, "
        "or when hospitals have enough new patients.",
        action="Nothing to do.",
    ),
    _nobody(
        name="NoTrigger",
        places=(Place.MODEL_SCHEDULED,),
        meaning="No further series begins, because the FederatedModel has no trigger.",
        action="Nothing to do.",
    ),
    _author(
        name="CronInvalid",
        places=(Place.MODEL_SCHEDULED, Place.MODEL_STALLED),
        meaning="No series begins by trigger.cron of the FederatedModel: the text is no cron line, or names a time "
        "that never comes, such as 30 February.",
        action="Correct trigger.cron of the FederatedModel. Write five fields: minute, hour, day of the month, month, "
        "day of the week. For example, `0 2 * * 1` begins a series each Monday at 02:00.",
    ),
    _author(
        name="TimeZoneUnknown",
        places=(Place.MODEL_SCHEDULED, Place.MODEL_STALLED),
        meaning="The field trigger.timeZone of the FederatedModel names no time zone of the IANA database.",
        action="Write a name such as Europe/Berlin or Etc/UTC in trigger.timeZone of the FederatedModel.",
    ),
    _author(
        name="PeopleDecide",
        places=(Place.MODEL_READY, Place.MODEL_WAITS),
        meaning="A new version of the model waits for a decision: the round's author has to say whether it becomes "
        "the current version. A version that is current now stays the current one until then.",
        action=f"The condition's message has the verdict of the gate. Compare {_METRICS}. {_DECIDE}",
    ),
    _nobody(
        name="NoVersionWaits",
        places=(Place.MODEL_WAITS,),
        meaning="No version of the model waits for a person's decision.",
        action="Nothing to do.",
    ),
    _author(
        name="VersionGone",
        places=(Place.MODEL_READY, Place.MODEL_DELIVERED, Place.MODEL_SCHEDULED, Place.MODEL_STALLED),
        meaning="The current version of the model is missing: somebody has deleted it, or spec.current names a version "
        "that somebody has deleted or that its series did not make. If the model has other versions, and series.from "
        "is Current, no further series begins: people have to say which version it trains further.",
        action="Set spec.current.version to a version that status.versions of the FederatedModel lists. "
        f"{_GO_BACK} Or set series.from to Scratch. If status.versions lists no version, begin a new series: `kubectl "
        "wardround begin federatedmodel/MODEL_NAME -n FEDERATION`. When the version of this series is Ready, set "
        "spec.current.version to its number.",
    ),
    _author(
        name="VersionRoundGone",
        places=(
            *(Place.MODEL_READY, Place.MODEL_DELIVERED, Place.MODEL_SCHEDULED, Place.MODEL_STALLED),
            Place.VERSION_READY,
        ),
        meaning="The hub has no model of the version any more, because somebody has deleted the round that "
        "made this version, or has applied another round under its name. So no series starts from this version, and "
        "nobody gets it from the hub.",
        action=f"If it is the current version, set spec.current.version to another version. {_GO_BACK} Or set "
        "series.from to Scratch, and when the new version is ready, set spec.current.version to its number. If no "
        "trigger begins the next series, run `kubectl wardround begin federatedmodel/MODEL_NAME -n FEDERATION`. From "
        "now on, delete no Statistics or Train round that a FederatedModel has made.",
    ),
    _author(
        name="VersionPinnedEarly",
        places=(Place.MODEL_READY, Place.MODEL_STALLED),
        meaning="spec.current of the FederatedModel named a version before this version existed, so nobody can have "
        "seen its metrics. The hub operator does not make this version the current one.",
        action=f"Remove spec.current. When the version exists, compare {_METRICS}. If the new version should become "
        "current, set spec.current.version to its number then.",
    ),
    _nobody(
        name="VersionReady",
        places=(Place.VERSION_READY,),
        meaning="The ModelVersion has its model and its metrics.",
        action="Nothing to do.",
    ),
    _author(
        name="VersionNotMeasured",
        places=(Place.MODEL_READY, Place.VERSION_READY),
        meaning="The version has its model, but no metrics: no round has measured it.",
        action="Read the condition's message: it names the round, and says how to see more. Remove the cause before "
        "the next series. If you need the numbers of this version, apply an Evaluate round whose base is "
        "spec.roundName of the ModelVersion.",
    ),
    _nobody(
        name="VersionCurrent",
        places=(Place.MODEL_READY,),
        meaning="The model has a current version.",
        action="Nothing to do.",
    ),
    _nobody(
        name="NoVersionYet",
        places=(Place.MODEL_READY,),
        meaning="The model gets its first version when its first series ends.",
        action="Wait.",
    ),
    _nobody(
        name="VersionTested",
        places=(Place.MODEL_TESTED,),
        meaning="The hub operator has measured the current version on test rows, for reports.",
        action="Nothing to do. The command `kubectl wardround results` shows the numbers.",
    ),
    _nobody(
        name="VersionTesting",
        explained=True,
        places=(Place.MODEL_TESTED,),
        meaning="The hub operator measures the current version on test rows. It does this once for each version. The "
        "version is the current one meanwhile.",
        action="Wait.",
    ),
    _author(
        name="TestFailed",
        places=(Place.MODEL_TESTED,),
        meaning="The measurement of the current version on test rows has failed. The hub operator does not repeat it: "
        "no hospital is to open its test rows twice for one version. The version stays the current one.",
        action="Read status.test.message of the ModelVersion: it says why. If you still need the numbers, apply an "
        "Evaluate round with `rows: Test` whose base is spec.roundName of the ModelVersion.",
    ),
    _nobody(
        name="NoTestRows",
        places=(Place.MODEL_TESTED,),
        meaning="The hospitals have no test rows, or too few people in them. So the current version has no numbers "
        "about test rows, and it stays the current one.",
        action="Nothing to do: the hub operator does not measure it again.",
    ),
    _author(
        name="TooFewForTest",
        places=(Place.MODEL_TESTED,),
        meaning="The hub operator has not measured the current version on test rows yet, because too few hospitals "
        "can be asked for the quorum of evaluations (evaluation.quorum of the FederatedModel).",
        action="Wait: the hub operator looks again every hour, and whenever the FederatedModel changes. If hospitals "
        "have left for good, lower evaluation.quorum of the FederatedModel.",
    ),
    _nobody(
        name="TestRowsOff",
        places=(Place.MODEL_TESTED,),
        meaning="spec.evaluation.testRows is false, so the hub operator measures no version on test rows.",
        action="Nothing to do. To measure the current version, set spec.evaluation.testRows to true.",
    ),
    _author(
        name="SeriesRoundFailed",
        places=(Place.MODEL_STALLED,),
        meaning="The series has stopped, because a round failed. Either all tries that series.onFailure.retries "
        "allows have failed, or each further try would fail for the same reason.",
        action="Run `kubectl wardround explain federatedround/ROUND -n FEDERATION`: it says why. ROUND is the last "
        "name in status.series.rounds of the FederatedModel. If the spec of the FederatedModel is the cause, "
        "correct it. If not, remove the cause, and change any field of the spec, such as series.onFailure.retries. "
        "The hub operator tries again after each change of the spec.",
    ),
    _author(
        name="RoundRefused",
        places=(Place.MODEL_STALLED,),
        meaning="The series does not continue, because the hub's API server refuses its next round.",
        action="Read the condition's message. If it names a field of the FederatedModel, correct the field. If it "
        "names a quota or a policy, ask the hub's administrator to change the quota or the policy. The hub operator "
        "tries again every minute, and when the FederatedModel changes.",
    ),
    _author(
        name="NameTaken",
        places=(Place.MODEL_DELIVERED, Place.MODEL_TESTED, Place.MODEL_STALLED),
        meaning="The hub operator cannot create a round or a version, because another object already has its name.",
        action="Delete that object, or apply the FederatedModel under another name. The hub operator looks again every "
        "minute, and when the FederatedModel changes.",
    ),
    _nobody(
        name="TransferReady",
        places=(Place.TRANSFER_COMPLETE,),
        meaning="The person who made the ModelTransfer can get the model now: the hub operator has encrypted the "
        "model's key for this person.",
        action="Nothing to do: the command `model pull` made the ModelTransfer, and now fetches the model.",
    ),
    _reader(
        name="TransferWithoutResult",
        places=(Place.TRANSFER_FAILED,),
        meaning="The hub has no model for this ModelTransfer: the round or version that it names does not exist in "
        "its namespace, or has no result.",
        action="Run the command `model pull` again, with a Train round that is Complete or with a ModelVersion.",
    ),
    _reader(
        name="TransferWithoutModel",
        places=(Place.TRANSFER_FAILED,),
        meaning="The ModelTransfer names a round that made no model. Statistics and Evaluate rounds make sums over "
        "patients, and the hub operator gives these to nobody.",
        action="Run the command `model pull` again, with a Train round or a ModelVersion.",
    ),
    _author(
        name="TransferNotReleased",
        places=(Place.TRANSFER_FAILED,),
        meaning="The hub operator does not give the model to people: the round that made it, or an earlier round of "
        "its training, has release: Participants.",
        action="Train a new model with release: Readers in all its rounds, also in the Statistics round. A hospital "
        "takes part in these rounds only if policy.release of its Site is Readers.",
    ),
    _author(
        name="TransferTooFewHospitals",
        places=(Place.TRANSFER_FAILED,),
        meaning="The hub operator does not release the model: by the hub's record, the model combines updates of "
        "fewer hospitals than quorum.min of its round. No round completes with so few updates, so somebody may have "
        "changed the record.",
        action="Ask the hub's administrator to find out who changed the record: the API server's audit log shows who "
        "wrote to Secrets of the namespace wardround-hub. Then train another model.",
    ),
    _reader(
        name="TransferKeyUnusable",
        places=(Place.TRANSFER_FAILED,),
        meaning="The hub operator cannot read spec.publicKey of the ModelTransfer as a public key.",
        action="Delete the ModelTransfer. Then run the command `model pull` again, which makes a new key.",
    ),
    _author(
        name="ResultGone",
        places=(Place.MODEL_STALLED,),
        meaning="The series cannot end with a version: somebody has deleted the round that made its best model, or "
        "this round has no result.",
        action="If no trigger begins the next series, run `kubectl wardround begin federatedmodel/MODEL_NAME -n "
        "FEDERATION`. From now on, delete no Statistics or Train round that a "
        "FederatedModel has made.",
    ),
)
