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
        meaning="The card is not that of the model, of its federation or of the round's columns, or the hub's key has "
        "not signed it.",
        action="The hub operator delivers only what it has signed itself, so somebody may have changed a Secret or a "
        "RoundTask on the hub. Check who can write them, and restore the Secret model-UID of the round that made the "
        "model from your backup.",
    ),
    _site(
        name="ModelNameTaken",
        owner=HOSPITAL,
        meaning="The models claim has a folder with the name of the model, but it belongs to another FederatedModel, "
        "or to no FederatedModel. Its file model.json says to which one.",
        action="If nobody here needs the folder, rename it or delete it. Then ask the round's author to delete the "
        "Deliver round: the hub operator makes another one. If the hub's people did not make the model anew, ask them "
        "why it has another UID.",
    ),
    _site(
        name="ModelVersionBackwards",
        owner=HOSPITAL,
        meaning="The models claim has a newer version of the model than the one that the hub delivers.",
        action="Nothing changes here without people. If the hub's people have gone back to the older version (ask them "
        "by telephone), write its folder's name, such as v2, into the file `current` of the model on the models claim.",
    ),
    _site(
        name="ModelVersionDiffers",
        owner=HUB,
        meaning="The models claim has the same version of the model with another file.",
        action="A version never changes. Check who can write ModelVersions and Secrets on the hub. If the file at the "
        "hospital is damaged, ask the hospital to delete the folder of that version, and delete the Deliver round.",
    ),
    _site(
        name="ModelsClaimFull",
        owner=HOSPITAL,
        meaning="The models claim (models.claimName in the values of the site chart) has no room for the model.",
        action="Enlarge the claim, or delete versions that nobody needs. The courier tries again as long as the round "
        "waits. After that, ask the round's author to delete the Deliver round: the hub operator makes another one.",
    ),
    _site(
        name="ModelsClaimUnusable",
        owner=HOSPITAL,
        meaning="The courier cannot write the models claim (models.claimName in the values of the site chart).",
        action=f"Run {_courier_log} at the site. Often the claim belongs to another group than 65532, is read-only, or "
        "is mounted on another node.",
    ),
    Reason(
        name="DeliveryDeadline",
        failure_class="Network",
        retried=True,
        owner=HOSPITAL,
        meaning="The courier did not deliver the model within deadlines.queueSeconds plus startSeconds.",
        action=f"The hub makes another attempt. If that fails too, run {_courier_log} at the site.",
    ),
    _nobody(
        name="Delivering",
        meaning="The courier is fetching the model, or puts it onto the models claim.",
        action="Wait.",
    ),
    _nobody(
        name="Delivered",
        meaning="The models claim has the version, and it is the current one of its model.",
        action="Nothing to do.",
    ),
    Reason(
        name="DeliveryWithoutCard",
        owner=HUB,
        meaning="The hub has no card of the model, so no hospital could check it.",
        action="Restore the Secret model-UID of the round that made the model from your backup.",
    ),
    _round(
        name="DeliveryTooFewHospitals",
        meaning="The model combines fewer hospitals than quorum.min of its round.",
        action="Train a model with all hospitals of the quorum.",
    ),
    _round(
        name="DeliveryFailed",
        meaning="No hospital got the current version of the model.",
        action="Correct the cause, and delete the Deliver round: the hub operator makes another one.",
    ),
    _nobody(
        name="DeliveryComplete",
        meaning="The Deliver round of the current version is Complete. Its message says which hospitals got the "
        "version.",
        action="Nothing to do. To deliver the version again, delete the Deliver round.",
    ),
    _nobody(
        name="DeliveryOff",
        meaning="spec.deliver.to is Nobody, so the hub operator delivers no version.",
        action="Nothing to do. To deliver the current version, set spec.deliver.to to Participants.",
    ),
)
