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
        action="Wait. If the pod waits for long, the condition's message says why.",
    ),
    Reason(
        name="Predicted",
        owner=NOBODY,
        meaning="The pod has written the file of answers. status.answer counts the rows with a probability, and the "
        "rows that break the DataSchema.",
        action="Nothing to do.",
    ),
    _hospital(
        name="ClaimNotListed",
        meaning="The values of the site chart do not list the Prediction's claim of rows, or its claim of the answer.",
        action="Add the claim to predictions.rowsClaimNames or predictions.answersClaimNames in the values of the site "
        "chart, and run `helm upgrade`. The site operator then goes on.",
    ),
    _hospital(
        name="NoDataset",
        meaning="The Dataset that spec.datasetName of the Prediction names does not exist in this namespace.",
        action="Apply the Dataset that describes the file of rows: the Prediction then continues. Or make another "
        "Prediction that names another Dataset.",
    ),
    _hospital(
        name="ModelNotDelivered",
        meaning="The claim of models does not hold the model or the version that the Prediction names.",
        action="Correct spec.model in a new Prediction. Or ask the author of the FederatedModel to deliver the "
        "version, and make a new Prediction after that.",
    ),
    _hospital(
        name="ModelRefused",
        meaning="The pod refused the model: the pinned hub has not signed the model's folder, or its card lacks what a "
        "prediction needs.",
        action="The condition's message says what is wrong. If somebody has changed the folder, delete it, and ask the "
        "author of the FederatedModel to delete the Deliver round: the hub operator then delivers the version again.",
    ),
    _hospital(
        name="CodeNotNamed",
        meaning="Another training image than the built-in trainer made the model, and the Prediction names no code.",
        action="The condition's message has the image and the command of the model's card. If the hospital has "
        "reviewed them, list them in policy.images and policy.commands in the values of the site chart, and make a new "
        "Prediction with this spec.code.",
    ),
    _hospital(
        name="CodeDiffers",
        meaning="spec.code of the Prediction is not the image and the command on the model's card.",
        action="Make a new Prediction with the code that the condition's message shows. Another version of the model "
        "may have other code.",
    ),
    _hospital(
        name="PathOutside",
        meaning="A symbolic link leads a path of the Prediction out of its claim.",
        action="Make a new Prediction with the path of the file itself. Or remove the link from the claim, and make "
        "the Prediction again.",
    ),
    _hospital(
        name="AnswerExists",
        meaning="The claim of answers already holds a file at the path of the answer. A Prediction never replaces a "
        "file.",
        action="Make a new Prediction with another answer.path. Or remove the file, and make the Prediction again.",
    ),
    _hospital(
        name="AnswerUnwritable",
        meaning="The pod cannot write the file of answers.",
        action="Check three things: the claim of answers has space, the group 65532 may write to it, and its file "
        "system supports hard links. Then make a new Prediction.",
    ),
)
