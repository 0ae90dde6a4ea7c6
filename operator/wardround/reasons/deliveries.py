"""Why a version of a model does not come to a hospital, and how far a delivery is."""

from __future__ import annotations

from functools import partial

from wardround.reasons.reason import HOSPITAL, HUB, NOBODY, ROUND, Reason

_nobody = partial(Reason, owner=NOBODY)
_round = partial(Reason, owner=ROUND)
_site = partial(Reason, failure_class="Site")
_courier_log = "`kubectl logs deployment/courier -n SITE_NAMESPACE`"

DELIVERIES = (
    _site(
        name="CardDiffers",
        owner=HUB,
        meaning="The courier refused the model: the card does not fit the model, its federation or the round's "
        "columns, or the hub's key has not signed the card.",
        action="Somebody may have changed a Secret or a RoundTask on the hub, because the hub operator delivers only "
        "cards that it has signed. Check who can write these objects. Restore the Secret model-UID from your backup, "
        "where UID is that of the round that made the model.",
    ),
    _site(
        name="ModelNameTaken",
        owner=HOSPITAL,
        meaning="The claim of models already has a folder with this model's name. The folder belongs to another "
        "FederatedModel (its file model.json says to which one), or to none.",
        action="If nobody at the hospital needs the folder, rename it or delete it. Then ask the round's author to "
        "delete the Deliver round: the hub operator makes another one. If the author says that nobody has deleted and "
        "applied the FederatedModel again, ask why its UID has changed.",
    ),
    _site(
        name="ModelVersionBackwards",
        owner=HOSPITAL,
        meaning="The hub delivers a version of the model that is older than a version on the claim of models.",
        action="The hospital keeps its current version until people change it. Ask the model's author by telephone "
        "whether the federation has gone back to the older version. If so, write the name of its folder, such as v2, "
        "into the model's file `current` on the claim of models.",
    ),
    _site(
        name="ModelVersionDiffers",
        owner=HUB,
        meaning="The claim of models already has this version of the model, but with another model file, other columns "
        "or other code, or with a card that the courier cannot read.",
        action="Check who can write ModelVersions and Secrets on the hub, because Wardround never changes a version. "
        "If the hospital has rolled its site back, ask the hospital to upgrade it again: a newer courier may have "
        "written the card. If the file at the hospital is damaged, ask the hospital to delete the folder of this "
        "version. Then delete the Deliver round: the hub operator makes another one.",
    ),
    _site(
        name="ModelsClaimFull",
        owner=HOSPITAL,
        meaning="The claim of models (models.claimName in the values of the site chart) has no room for the model.",
        action="Enlarge the claim of models, or delete versions there that nobody needs. The courier tries again "
        "while the Deliver round runs. If this round has failed, ask its author to delete it: the hub operator makes "
        "another one.",
    ),
    _site(
        name="ModelsClaimUnusable",
        owner=HOSPITAL,
        meaning="The courier cannot write to the claim of models (models.claimName in the values of the site chart).",
        action=f"Run {_courier_log} at the site. Often the claim of models belongs to another group than 65532, is "
        "read-only, or is mounted on another node.",
    ),
    Reason(
        name="DeliveryDeadline",
        failure_class="Network",
        retried=True,
        owner=HOSPITAL,
        meaning="The courier did not deliver the model within deadlines.queueSeconds plus startSeconds.",
        action=f"Wait: the hub makes another attempt. If that fails too, run {_courier_log} at the site.",
    ),
    _nobody(
        name="Delivering",
        meaning="The courier is fetching the model, or is writing it onto the claim of models.",
        action="Wait.",
    ),
    _nobody(
        name="Delivered",
        meaning="The courier has put the version onto the hospital's claim of models. This version is now the model's "
        "current version there.",
        action="Nothing to do.",
    ),
    Reason(
        name="DeliveryWithoutCard",
        owner=HUB,
        meaning="The hub operator delivers nothing, because the hub has no card of the model.",
        action="Restore the Secret model-UID from your backup, where UID is that of the round that made the model.",
    ),
    _round(
        name="DeliveryTooFewHospitals",
        meaning="The hub operator does not deliver the model, because the model combines updates of fewer hospitals "
        "than quorum.min of the round that made it.",
        action="Train a model in a round to which at least quorum.min hospitals send updates.",
    ),
    _round(
        name="DeliveryFailed",
        meaning="No hospital got the current version of the model.",
        action="Read in status.attention of the Deliver round why, and remove the cause. Then delete the Deliver "
        "round: the hub operator makes another one.",
    ),
    _nobody(
        name="DeliveryComplete",
        meaning="The Deliver round of the current version is Complete. The message of the condition Delivered says "
        "how many hospitals got the version.",
        action="Nothing to do. If a hospital has to get the version again, delete the Deliver round: the hub operator "
        "makes another one.",
    ),
    _nobody(
        name="DeliveryOff",
        meaning="spec.deliver.to is Nobody, so the hub operator delivers no version.",
        action="Nothing to do. To deliver the current version, set spec.deliver.to to Participants.",
    ),
)
