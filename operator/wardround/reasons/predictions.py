"""Why a Prediction waits, has failed, or is complete."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import HOSPITAL, NOBODY, Reason

_hospital = partial(Reason, owner=HOSPITAL)

PREDICTIONS = (
    Reason(
        name="Predicting",
        owner=NOBODY,
        meaning="The pod of the Prediction waits for a node, or is predicting.",
        action="Wait. If it lasts, read the message: it says why the pod waits.",
    ),
    Reason(
        name="Predicted",
        owner=NOBODY,
        meaning="The answer is written. status.answer counts the rows with a probability and the rows that break the "
        "DataSchema.",
        action="Nothing to do.",
    ),
    _hospital(
        name="ClaimNotListed",
        meaning="The site chart does not list the claim of the rows or of the answer.",
        action="Add the claim to predictions.rowsClaimNames or predictions.answersClaimNames in the values of the site "
        "chart, and run `helm upgrade`. The site operator then goes on.",
    ),
    _hospital(
        name="NoDataset",
        meaning="The Dataset that spec.datasetName of the Prediction names does not exist in this namespace.",
        action="Apply the Dataset that describes the file of rows. The site operator then goes on. To name another "
        "Dataset, make another Prediction.",
    ),
    _hospital(
        name="ModelNotDelivered",
        meaning="The claim of models does not hold this model, or not this version.",
        action="Correct spec.model in a new Prediction, or have the hub deliver the version first.",
    ),
    _hospital(
        name="ModelRefused",
        meaning="The pinned hub has not signed the model's folder, or another image than the built-in trainer's has "
        "made the model.",
        action="Read the message. Wardround predicts only with models of its built-in trainer. If the folder was "
        "changed, have the hub deliver the version again.",
    ),
    _hospital(
        name="PathOutside",
        meaning="A path of the Prediction leads out of its claim, by a symbolic link.",
        action="Remove the link, or name the file itself in a new Prediction.",
    ),
    _hospital(
        name="AnswerExists",
        meaning="The claim of answers already holds a file of this name. A Prediction never replaces a file.",
        action="Name another path in a new Prediction, or remove the file first.",
    ),
    _hospital(
        name="AnswerUnwritable",
        meaning="The file of the answer cannot be written.",
        action="Check that the claim of answers has space, that the pod's group 65532 may write to it, and that its "
        "file system knows hard links. Then make a new Prediction.",
    ),
)
