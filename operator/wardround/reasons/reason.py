"""The type of a reason, the people who own reasons, and the exit codes of our containers. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from wardround.reasons.places import Place

FailureClass = Literal["Site", "Code", "Platform", "Network"]
# Processes of a hospital on whose word a task fails. `Pod`: a container of our own image in the training pod.
Process = Literal["Pod", "Courier"]
# Parts of a hospital's data. `Objects`: the Dataset and its DataSchema, so no pod has read the file. `Split`: the
# split, so a pod has read no row. `File`: the file. `Limits`: the rows, compared with the policy. `Rows`: rows that
# look wrong, but rounds use them. `Offer`: whether the round may use the Dataset.
DataPart = Literal["Objects", "Split", "File", "Limits", "Rows", "Offer"]

HOSPITAL = "the hospital's administrator"
IMAGE = "the author of the training image"
ROUND = "the round's author"
ROUND_OR_HOSPITAL = "the round's author or the hospital's administrator"
IMAGE_OR_ROUND = "the author of the training image or the round's author"
HUB = "the hub's administrator"
CLUSTER = "the administrator of the hospital's cluster"
NETWORK = "the network administrators of the hospital and the hub"
NOBODY = "nobody"
PUSHER = "the person who pushes the model"
READER = "the person who asks for the model"

# Exit codes of our containers and of training images. The last four are EX_USAGE, EX_DATAERR, EX_SOFTWARE and
# EX_TEMPFAIL of sysexits.h.
EXIT_CODE, EXIT_PARAMETERS, EXIT_DATA, EXIT_OUR_FAULT, EXIT_TRY_AGAIN = 1, 64, 65, 70, 75


# What the hub's administrator does first if somebody may have a hospital's keys.
SUSPEND = (
    "treat this as an attack: set spec.suspend of Participant PARTICIPANT to true, and ask the hospital by telephone "
    "for its fingerprint. Set spec.suspend to false only if this fingerprint equals spec.keyFingerprint of the "
    "Participant"
)
# How the hub's administrator gets back what the hub needs to open a result or to deliver it.
RESTORE = (
    "Restore the Secret model-UID in the hub's namespace from your backup. UID is metadata.uid of the round that made "
    "the model (or the sums)."
)
# Where the author corrects a field: the author does not make the rounds of a FederatedModel.
CORRECTED = "in a new round, or in the FederatedModel that makes the rounds"
# A Prediction that has failed is not tried again.
NEW_PREDICTION = "Then make a new Prediction, because one that has failed never continues."


@dataclass(frozen=True, kw_only=True)
class Wait:
    """How a task waits with a reason.

    `stage`: the end of the wait. `Acceptance`: the site accepts the task. `Start`: the training pod starts; a pod that
    replaces one that is gone has these waits again. `Transfer`: the courier has fetched, delivered or sent. `deadline`:
    the reason of the failure if the task waits too long; None if it is the same one, and then a person should look at
    the task meanwhile. `stalls`: whether the task is Stalled meanwhile, because it waits for a decision of people.
    """

    stage: Literal["Acceptance", "Start", "Transfer"]
    deadline: str | None = None
    stalls: bool = False


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a reason means, and what people have to do: whole sentences."""

    meaning: str
    action: str


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A reason in a condition, in `status.failure` or in `status.attention`, with its explanation. All that the code
    asks about a reason stands here, so that no other module lists three or more reasons.

    `failure_class`: the class of a task that fails for this reason; None if no task does. `exit_code`: the exit code of
    our container that ends for this reason; None if none does. `retried`: whether the hub makes another attempt after a
    site's task failed for this reason; the exit code does not decide it. `lasting`: whether each further round that
    asks for the same fails for this reason too, so that a series makes none until people have acted. `ends_series`:
    whether a series ends when its Train round fails for this reason, because nobody can bring back what the round
    starts from. `explained`:
    whether `explain` of a FederatedModel shows this reason although nobody has to act, because the message says what
    the model waits for. `warns`: whether a person should look, although the object with this reason is under way or
    complete. `places`: where the reason stands, beside the places that `stands_in` derives from other
    fields. `wait`: how a task waits with this reason; None if no task does. `reporters`: the processes on whose word a
    task fails for this reason. `concerns`: the part of a hospital's data that is the cause; None if no part is.
    `in_round`: the reason for which a round leaves out a Participant with this reason; None if it is the same one.
    `owner`: the people who must act. `meaning` and `action`: whole sentences with the placeholders PARTICIPANT,
    FEDERATION, ROUND, DATASET, TASK, SITE_NAMESPACE, MODEL_NAME, JOB and PARAMETER, which `about` replaces.
    `at_prediction`: both in the words of a Prediction, which has no round and no SiteTask; None if the reason needs no
    words of its own there.
    """

    name: str
    failure_class: FailureClass | None = None
    exit_code: int | None = None
    retried: bool = False
    lasting: bool = False
    ends_series: bool = False
    explained: bool = False
    warns: bool = False
    places: tuple[Place, ...] = ()
    wait: Wait | None = None
    reporters: tuple[Process, ...] = ()
    concerns: DataPart | None = None
    in_round: str | None = None
    owner: str
    meaning: str
    action: str
    at_prediction: Words | None = None

    @property
    def stands_in(self) -> tuple[Place, ...]:
        """All places, in their order."""
        places = set(self.places)
        if self.failure_class is not None:
            places |= {Place.FAILED, Place.ATTENTION}
        if self.wait is not None:
            places |= {Place.ACCEPTED} if self.wait.stage == "Acceptance" else set()
            places |= set() if self.wait.stalls else {Place.WAITS}
        if Place.ROUND_STALLED in places:
            places.add(Place.MODEL_STALLED)  # a model shows why its round waits
        if self.concerns in ("Objects", "Split", "File", "Limits"):
            places.add(Place.DATASET)
        elif self.concerns == "Rows":
            places.add(Place.REMARKS)
        return tuple(place for place in Place if place in places)

    def about(
        self,
        participant: str = "",
        federation: str = "",
        dataset: str = "",
        *,
        round_name: str = "",
        task: str = "",
        site_namespace: str = "",
        model: str = "",
        job: str = "",
        parameter: str = "",
    ) -> Reason:
        """The reason with these names in place of placeholders. An empty name keeps its placeholder."""
        names = {
            "PARTICIPANT": participant,
            "FEDERATION": federation,
            "ROUND": round_name,
            "DATASET": dataset,
            "TASK": task,
            "SITE_NAMESPACE": site_namespace,
            "MODEL_NAME": model,
            "JOB": job,
            # The last, because a parameter's text may hold another placeholder.
            "PARAMETER": parameter,
        }
        meaning, action = self.meaning, self.action
        for word, name in names.items():
            if name:
                meaning, action = meaning.replace(word, name), action.replace(word, name)
        return replace(self, meaning=meaning, action=action)

    @property
    def advice(self) -> str:
        """Owner and action; only the action if nobody has to act, or if the action names each owner."""
        if self.owner in (NOBODY, ROUND_OR_HOSPITAL, IMAGE_OR_ROUND):
            return self.action
        return f"{self.owner[0].upper()}{self.owner[1:]}: {self.action}"

    @property
    def text(self) -> str:
        """Meaning, owner and action."""
        return f"{self.meaning} {self.advice}"
