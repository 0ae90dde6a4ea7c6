"""Why a version of a model does not come to a hospital, and how far a delivery is."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import HOSPITAL, HUB, NOBODY, RESTORE, ROUND, Reason, Wait

_nobody = partial(Reason, owner=NOBODY)
_round = partial(Reason, owner=ROUND)
_site = partial(Reason, failure_class="Site")
_courier_log = "`kubectl logs deployment/courier -n SITE_NAMESPACE`"

DELIVERIES = (
    _site(
        name="CardDiffers",
        owner=HUB,
        reporters=("Courier",),
        meaning="The courier refused the model because of its card: the card does not fit the model, the federation "
        "or the columns of the round, or the hub's key has not signed it.",
        action="The hub operator delivers only cards that it has signed. So find out who can change Secrets and "
        f"RoundTasks on the hub: somebody may have changed one. {RESTORE}",
    ),
    _site(
        name="ModelNameTaken",
        owner=HOSPITAL,
        reporters=("Courier",),
        meaning="The courier did not write the model: its folder on the claim of models (models.claimName in the "
        "values of the site chart) exists already, and the file model.json there names another FederatedModel or is "
        "missing.",
        action="Read model.json in the folder. If it names the same FederatedModel with another UID, ask the "
        "round's author whether somebody has deleted the FederatedModel and applied it again. If nobody has, keep "
        "the folder, and ask why the UID has changed. In all other cases, rename the folder, or delete it if nobody "
        "at the hospital needs it. Then ask the round's author to delete the Deliver round: the hub operator makes "
        "another one.",
    ),
    _site(
        name="ModelVersionBackwards",
        owner=HOSPITAL,
        reporters=("Courier",),
        meaning="The courier refused the delivered version, because it is older than the hospital's current version: "
        "the file MODEL/current on the claim of models (models.claimName in the values of the site chart) names a "
        "newer one. The hospital keeps its current version.",
        action="The hospital's administrator asks the author of the FederatedModel by telephone whether the "
        "federation has gone back to the older version. If it has not, nobody has to do anything. If it has, the "
        "hospital's administrator writes the older version, such as v2, into the file MODEL/current. Then the author "
        "runs `kubectl delete federatedround ROUND -n FEDERATION` on the hub: the hub operator makes another Deliver "
        "round, and the courier accepts the version.",
    ),
    _site(
        name="ModelVersionDiffers",
        owner=HUB,
        reporters=("Courier",),
        meaning="The courier refused the delivered version: the hospital has this version already, but with another "
        "model file, other columns or other code, or with a card that the courier cannot read.",
        action="Wardround never changes a version. So check who can write ModelVersions and Secrets on the hub. If "
        "the hospital has rolled its site back, a newer courier may have written the card: ask the hospital to "
        "upgrade its site again. If the hospital's file is damaged, ask the hospital to delete the folder of this "
        "version. Then delete the Deliver round: the hub operator makes another one.",
    ),
    _site(
        name="ModelsClaimFull",
        owner=HOSPITAL,
        wait=Wait(stage="Transfer"),
        meaning="The courier could not write the model: the claim of models (models.claimName in the values of the "
        "site chart) is full.",
        action="Enlarge the claim of models, or delete versions there that nobody needs. The courier tries again while "
        "the Deliver round runs. If the Deliver round has failed, ask its author to delete it: the hub operator makes "
        "another one.",
    ),
    _site(
        name="ModelsClaimUnusable",
        owner=HOSPITAL,
        wait=Wait(stage="Transfer"),
        meaning="The courier cannot write to the claim of models (models.claimName in the values of the site chart).",
        action=f"Run {_courier_log} at the site: the log has the error. Remove the cause. Often the volume of the "
        "claim belongs to another group than 65532, is read-only, or is mounted on another node.",
    ),
    Reason(
        name="DeliveryDeadline",
        failure_class="Network",
        retried=True,
        owner=HOSPITAL,
        meaning=(
            "The courier did not deliver the model within the sum of deadlines.queueSeconds and deadlines.startSeconds."
        ),
        action=f"Wait: the hub makes another attempt. If the next attempt fails too, run {_courier_log} at the site. "
        "If the log shows that the courier does not reach the store, restore the connection from the site to the "
        "store. If the courier reaches the store, ask the round's author for a larger deadlines.queueSeconds.",
    ),
    _nobody(
        name="Delivering",
        explained=True,
        places=(Place.MODEL_DELIVERED,),
        wait=Wait(stage="Transfer", deadline="DeliveryDeadline"),
        meaning="The courier is fetching the model, or is writing it onto the claim of models.",
        action="Wait: the courier needs nobody's help.",
    ),
    _nobody(
        name="Delivered",
        places=(Place.REACHED,),
        meaning="The courier has put the version onto the hospital's claim of models. This version is now the model's "
        "current version there.",
        action="Nothing to do.",
    ),
    Reason(
        name="DeliveryWithoutCard",
        owner=HUB,
        places=(Place.ROUND_FAILED,),
        meaning="The hub operator delivers nothing, because the hub has no card of the model.",
        action=RESTORE,
    ),
    _round(
        name="DeliveryTooFewHospitals",
        places=(Place.ROUND_FAILED,),
        meaning="The hub operator does not deliver the model: by the hub's record, the model combines updates of "
        "fewer hospitals than quorum.min of its round. No round completes with so few updates, so somebody may have "
        "changed the record.",
        action="Ask the hub's administrator to find out who changed the record: the API server's audit log shows who "
        "wrote to Secrets of the namespace wardround-hub. Then train another model.",
    ),
    _round(
        name="DeliveryFailed",
        places=(Place.MODEL_DELIVERED,),
        meaning="No hospital got the current version of the model.",
        action="Read status.attention of the Deliver round: it says for each hospital why the delivery failed. Remove "
        "the causes. Then delete the Deliver round: the hub operator makes another one.",
    ),
    _nobody(
        name="DeliveryComplete",
        places=(Place.MODEL_DELIVERED,),
        meaning="The Deliver round of the current version is Complete. The message of the condition Delivered says "
        "how many hospitals got the version.",
        action="Nothing to do. If a hospital has to get the version again, delete the Deliver round: the hub operator "
        "makes another one.",
    ),
    _nobody(
        name="DeliveryOff",
        places=(Place.MODEL_DELIVERED,),
        meaning="spec.deliver.to is Nobody, so the hub operator delivers no version.",
        action="Nothing to do. To deliver the current version, set spec.deliver.to to Participants.",
    ),
)
