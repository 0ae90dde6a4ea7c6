"""Why a Prediction waits, has failed, or is complete."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import HOSPITAL, NEW_PREDICTION, NOBODY, ROUND, ROUND_OR_HOSPITAL, Reason

_hospital = partial(Reason, owner=HOSPITAL)

PREDICTIONS = (
    Reason(
        name="Predicting",
        owner=NOBODY,
        places=(Place.PREDICTION_RECONCILING,),
        meaning="The Prediction is under way: its pod waits for a node, or computes the answers.",
        action="Wait. If the pod waits for long, the condition's message says why.",
    ),
    Reason(
        name="Predicted",
        owner=NOBODY,
        places=(Place.PREDICTION_COMPLETE,),
        meaning="The pod has written the file of answers. status.answer counts the rows with a probability, and the "
        "rows that break the DataSchema.",
        action="Nothing to do.",
    ),
    _hospital(
        name="ColumnsUnlikeTraining",
        warns=True,
        places=(Place.PREDICTION_COMPLETE,),
        meaning="The pod has written the file of answers, but columns of the rows lie far from the rows that trained "
        "the model. Often a column has another unit, and then the probabilities are worthless.",
        action="Compare the units of these columns in the file with the units on the model's card (fields in "
        "card.json). If one differs, correct the file, or scale of the column: `kubectl edit dataset DATASET -n "
        "SITE_NAMESPACE`. Then make a new Prediction with another answer.path. If all units are right, these patients "
        "are unlike those who trained the model: do not rely on the answer.",
    ),
    _hospital(
        name="NoRowAnswered",
        places=(Place.PREDICTION_FAILED,),
        meaning="The model has computed no probability: the file of rows is empty, or every row breaks the DataSchema "
        "on the model's card.",
        action="Correct the file of rows, or how the Dataset describes it: `kubectl edit dataset DATASET -n "
        "SITE_NAMESPACE`. Then make a new Prediction with another answer.path.",
    ),
    _hospital(
        name="ClaimNotListed",
        places=(Place.PREDICTION_STALLED,),
        meaning=(
            "The Prediction waits: the values of the site chart do not list its claim of rows, or its claim of answers."
        ),
        action="Add the claim to predictions.rowsClaimNames or predictions.answersClaimNames in the values of the site "
        "chart, and run `helm upgrade`. The site operator then goes on.",
    ),
    _hospital(
        name="DatasetNotListed",
        places=(Place.PREDICTION_STALLED,),
        meaning="The Prediction waits: the values of the site chart do not list its Dataset, or the DataSchema of this "
        "Dataset. So the site's API server admits no pod that reads with them.",
        action="Add the name that the condition's message shows to policy.datasets or policy.dataSchemas in the values "
        "of the site chart, and run `helm upgrade`. The site operator then goes on.",
    ),
    _hospital(
        name="NoDataset",
        places=(Place.PREDICTION_STALLED,),
        meaning="The Prediction waits: the Dataset in its spec.datasetName does not exist in this namespace.",
        action="Apply the Dataset that describes the file of rows: the Prediction then continues. Or make another "
        "Prediction that names another Dataset.",
    ),
    _hospital(
        name="ModelNotDelivered",
        places=(Place.PREDICTION_FAILED,),
        meaning="The site does not have the model or the version in spec.model of the Prediction: it is not on the "
        "claim of models (models.claimName in the values of the site chart).",
        action="If spec.model is wrong, correct it in a new Prediction. If a delivery of the model waits until people "
        "of this hospital approve it, approve it. Otherwise ask the author of the FederatedModel to deliver the "
        "version. Make a new Prediction after the delivery.",
    ),
    _hospital(
        name="ModelRefused",
        places=(Place.PREDICTION_FAILED,),
        meaning="The pod of the Prediction refused the model: the hub that this site trusts has not signed the "
        "model's folder, or the model's card lacks something that a prediction needs.",
        action="The condition's message says what is wrong. If somebody has changed the folder, delete it, and ask "
        "the author of the FederatedModel to delete the Deliver round: the hub operator then delivers the version "
        "again. If the hub has a new signing key, or if the card lacks something, ask the author to train a new "
        "version.",
    ),
    _hospital(
        name="DatasetDiffersFromModel",
        places=(Place.PREDICTION_FAILED,),
        meaning="The DataSchema of the Prediction's Dataset lacks a column that the model reads, or has it in another "
        "unit. So the Dataset does not say how the file writes the model's columns.",
        action="Compare the DataSchema with the fields on the model's card (card.json). Then make a new Prediction "
        "with a Dataset that names a DataSchema with the model's columns and units, or with another version of the "
        "model.",
    ),
    _hospital(
        name="CodeNotNamed",
        places=(Place.PREDICTION_FAILED,),
        meaning="The Prediction needs the model's own code in spec.code, because the built-in trainer did not make "
        "the model.",
        action="The condition's message shows the image and the command of the model's card. If the hospital has "
        "reviewed both, list them in policy.images and policy.commands in the values of the site chart, and allow the "
        "model's parameters in policy.parameters. Then make a new Prediction with this image and command in spec.code.",
    ),
    _hospital(
        name="CodeDiffers",
        places=(Place.PREDICTION_FAILED,),
        meaning="The Prediction names other code than the one that made the model: image or command in spec.code "
        "differ from the model's card.",
        action="Make a new Prediction whose spec.code has the image and the command that the condition's message "
        "shows. Versions of a model can have different code.",
    ),
    _hospital(
        name="PathOutside",
        places=(Place.PREDICTION_FAILED,),
        meaning="A path of the Prediction has a symbolic link that leads out of the claim.",
        action="Make a new Prediction with the path of the file itself. Or remove the link, and make the Prediction "
        "again.",
    ),
    _hospital(
        name="AnswerExists",
        places=(Place.PREDICTION_FAILED,),
        meaning="The Prediction would replace a file: the claim of answers already has a file at answer.path. A "
        "Prediction never replaces a file.",
        action="Make a new Prediction with another answer.path. Or remove the file, and make the Prediction again.",
    ),
    _hospital(
        name="AnswerUnwritable",
        places=(Place.PREDICTION_FAILED,),
        meaning="The pod cannot write the file of answers.",
        action="Check three things: the claim of answers has space, the group 65532 may write to it, and its file "
        "system supports hard links. Correct what is wrong, and make a new Prediction.",
    ),
)


def at_a_prediction(known: Reason) -> Reason:
    """A reason in the words of a Prediction: no round and no SiteTask belongs to it."""
    if known.name in {"Pending", *(each.name for each in PREDICTIONS)}:
        return known
    if known.at_prediction is not None:
        return replace(known, meaning=known.at_prediction.meaning, action=known.at_prediction.action)
    owner = HOSPITAL if known.owner in (ROUND, ROUND_OR_HOSPITAL) else known.owner
    action = f"The condition's message says what is wrong. Correct it. {NEW_PREDICTION}"
    return replace(known, owner=owner, action=action)
