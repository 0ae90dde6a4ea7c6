"""What goes wrong between site, hub and store, and why an update or a model is not used."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import (
    EXIT_DATA,
    EXIT_OUR_FAULT,
    EXIT_TRY_AGAIN,
    HOSPITAL,
    HUB,
    IMAGE,
    IMAGE_OR_ROUND,
    NETWORK,
    NOBODY,
    ROUND,
    SUSPEND,
    Reason,
    Wait,
)

_network = partial(Reason, failure_class="Network", retried=True)
# For a hospital whose site and hub may be of different versions.
_SAME_VERSION = (
    "Ask the hub's administrator for the hub's version of Wardround. If the site is older, upgrade the site. If the "
    "hub is older, ask the hub's administrator to upgrade the hub."
)
# Where to look for the program behind an update that `check` and the courier never make.
_FOREIGN_UPDATE = (
    f"{_SAME_VERSION} If hub and site have the same version, another program has made or changed the update. Check at "
    "the site which image the courier runs, who can write to the claim `workspace`, and who can read the Secret "
    "`courier-keys`. If the hospital goes on to send such updates, the hub's administrator sets spec.suspend of "
    "Participant PARTICIPANT to true until the hospital has removed the cause."
)

_STORE = (
    _network(
        name="StoreUnreachable",
        exit_code=EXIT_TRY_AGAIN,
        owner=NETWORK,
        places=(Place.ROUND_RECONCILING,),
        wait=Wait(stage="Transfer"),
        meaning="The courier or the aggregation Job cannot reach the hub's object store.",
        action="Ask the hub's administrator for the origin and the CA of the store. Compare them with store.origin "
        "and store.caBundle in the values of the site chart, and correct what differs. If they are equal, check "
        "that the site's network and proxy (store.proxyURL) let connections to the store through.",
    ),
    _network(
        name="StoreTooSlow",
        owner=NETWORK,
        wait=Wait(stage="Transfer"),
        meaning="The courier moves less than 1 MiB in a minute to or from the hub's object store.",
        action="Check whether the store, a proxy or the hospital's network link is overloaded. Nobody has to start "
        "the transfer again: the courier tries again.",
    ),
    _network(
        name="StoreRefused",
        owner=HUB,
        wait=Wait(stage="Transfer"),
        meaning="The object store refused a request, or gave a wrong answer. Most often the request's grant (a "
        "signed address with an end) has expired.",
        action="Wait: the hub operator renews the grants. If the reason stays, compare the clocks of store, hub and "
        "site, and correct a wrong clock. If the clocks are right, check the store and the proxies in front of it.",
    ),
    _network(
        name="StoreObjectMissing",
        owner=HUB,
        wait=Wait(stage="Transfer"),
        meaning="The store no longer has an object that the task needs.",
        action="Find out who can delete objects in the store, and who has deleted this one. Then ask the round's "
        "author to repeat the round that made the object.",
    ),
    _network(
        name="StoreObjectShort",
        owner=HUB,
        wait=Wait(stage="Transfer"),
        meaning="An object in the store is shorter than the object that Wardround wrote, so somebody has changed it. "
        "Wardround has used no part of it.",
        action="Check who can write to the store. Restore the object from a backup, or ask the round's author to "
        "repeat the round that made the object.",
    ),
    _network(
        name="StoreNotPinned",
        failure_class="Site",
        retried=False,
        owner=HOSPITAL,
        reporters=("Courier",),
        meaning="The hub names another object store than the one that this site trusts (store.origin in the values "
        "of the site chart). So the courier sends nothing there, and the task fails.",
        action="Ask the hub's administrator by telephone for the store's origin. If it differs from store.origin in "
        "the values of the site chart, change store.origin to it. If it is equal, tell the hub's administrator that "
        "the hub names another origin.",
    ),
    _network(
        name="StoreUntrusted",
        owner=HOSPITAL,
        wait=Wait(stage="Transfer"),
        meaning="TLS to the store fails: no CA that the courier trusts (store.caBundle of the Site) has signed the "
        "store's certificate. Either the CA is wrong, or a device between site and store replaces the certificate.",
        action="Wait: the courier tries again. If the reason stays, ask the hub's administrator for the CA of the "
        "store. If it differs from store.caBundle in the values of the site chart, correct store.caBundle. If it is "
        "equal, look for a device between site and store that replaces certificates.",
    ),
    Reason(
        name="HubUnreachable",
        warns=True,
        owner=NETWORK,
        places=(Place.SITE, Place.CONNECTED),
        meaning="The site cannot reach the hub's API server.",
        action="Check that the site's network allows connections to the address of the hub's API server. The site "
        "operator tries again.",
    ),
)
_UPDATES = (
    _network(
        name="ManifestUnreadable",
        owner=HOSPITAL,
        reporters=("Courier",),
        meaning="The courier cannot read the manifest (the signed description) of a model from the hub. Or the "
        "aggregation Job on the hub cannot read the manifest of the hospital's update.",
        action=f"{_SAME_VERSION} If hub and site have the same version, run `kubectl logs deployment/courier -n "
        "SITE_NAMESPACE` at the site, and report the error to the developers of Wardround.",
    ),
    _network(
        name="SignatureInvalid",
        owner=HUB,
        reporters=("Courier",),
        meaning="A manifest (a signed description) has a wrong signature: the manifest of the hospital's update, or "
        "the manifest of a model from the hub.",
        action="If the RoundTask of the hospital has failed, it is the manifest of a model. Find out from the API "
        "server's audit log who wrote RoundTasks, leave this right only to the hub operator, and ask the round's "
        "author for a new round. If the RoundTask has not failed, it is the manifest of the update. If the hospital "
        f"has renewed its keys, run `kubectl wardround approve PARTICIPANT`. If it has not, {SUSPEND}.",
    ),
    Reason(
        name="WrongRound",
        owner=HUB,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the hospital's update, because the update belongs to another round.",
        action=f"Ask the hospital how this happened. Until the hospital has explained this, {SUSPEND}.",
    ),
    Reason(
        name="WrongAttempt",
        owner=HUB,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the hospital's update, because the update belongs to another attempt of "
        "this round.",
        action="If the hospital has sent an update of a newer attempt too, there is nothing to do: the newer update "
        f"counts. If it has not, {SUSPEND}.",
    ),
    Reason(
        name="WrongParticipant",
        owner=HUB,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the hospital's update, because the update names another hospital.",
        action=f"Ask the hospital how this happened. Until the hospital has explained this, {SUSPEND}.",
    ),
    Reason(
        name="WrongImage",
        owner=HUB,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the hospital's update, because its manifest (signed description) names "
        "another training image than the round does.",
        action=f"Ask the hospital how this happened. Until the hospital has explained this, {SUSPEND}.",
    ),
    Reason(
        name="WrongBase",
        failure_class="Platform",
        retried=True,
        owner=HOSPITAL,
        reporters=("Courier",),
        meaning="The hospital's update is not used, because it was trained from another model than this round's base.",
        action="Ask the round's author to apply a new round that includes this hospital. If this happens again, run "
        "`kubectl logs deployment/courier -n SITE_NAMESPACE` at the site.",
    ),
    Reason(
        name="WrongSchema",
        owner=IMAGE,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the hospital's update, because the update has other tensors than the round "
        "expects.",
        action="Let the training code keep names, shapes and types of the base's tensors. Then each hospital lists "
        "the digest of the corrected image in policy.images, and the round's author applies a new round.",
    ),
    Reason(
        name="CountsInvalid",
        owner=HOSPITAL,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the update, because its numbers cannot be right (for example negative or "
        "fractional counts), or because it reports no samples.",
        action=_FOREIGN_UPDATE,
    ),
    Reason(
        name="FrozenNotZero",
        owner=HOSPITAL,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the update, because it changes frozen tensors: tensors that "
        "exchange.frozen of the round names, or wardround.input.*.",
        action=_FOREIGN_UPDATE,
    ),
    Reason(
        name="CompressionInvalid",
        owner=HOSPITAL,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the update, because its bytes do not have the form of the round's "
        "compression (spec.aggregation.compression).",
        action=_FOREIGN_UPDATE,
    ),
    Reason(
        name="StepsMissing",
        owner=IMAGE_OR_ROUND,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the update: the round's strategy FedNova needs each update to say "
        "how many training steps the hospital made, and this update does not say it. Either the training code "
        "reports no steps, or the hospital "
        "withholds its numbers because too few people are in its validation rows.",
        action="The author of the training image: Let the training code write `steps`, a whole number from 1 on, "
        "into metrics.json, inside of the key `base` (docs/training-image.md). The round's author: If the "
        "training code already "
        "writes `steps`, the hospital withholds its numbers. Then apply a new round with the strategy FedAvg, or "
        "without this hospital.",
    ),
    Reason(
        name="NumberTooLarge",
        owner=HOSPITAL,
        places=(Place.ATTENTION,),
        meaning="The hospital's update counts in the model. But the mean of a metric is without this hospital, "
        "because the number that its training code reports is above 1e38 or below -1e38. `hospitals` of the metric "
        "says how many hospitals the mean is over. If these are too few, the result lacks the metric.",
        action="Read the hospital's own numbers in status.metrics: `kubectl describe sitetask TASK -n SITE_NAMESPACE` "
        "at the site. If the number is right, look in the Dataset for values in another unit than at the other "
        "hospitals. Otherwise tell the author of the training image that the code computes the metric wrongly.",
    ),
    Reason(
        name="UpdateTooLarge",
        owner=HOSPITAL,
        places=(Place.ATTENTION,),
        meaning="The aggregation left out the update, because its norm (its length as a vector) is more than 30 "
        "times the middle norm of the round's updates. Such an update would decide the result alone.",
        action="If this hospital has many more rows than the others, ask the hub's administrator to set "
        "spec.maxSamples of its Participant to its number of rows: a larger norm is then allowed. If it has not, "
        "ask the round's author for a lower learning rate, and check at the site who can write to the claim "
        "`workspace`.",
    ),
    _network(
        name="KeyUnusable",
        owner=HOSPITAL,
        reporters=("Courier",),
        meaning="The courier cannot decrypt the key of the model from which the round starts. Or the aggregation "
        "Job on the hub cannot decrypt the key of the hospital's update.",
        action="If the hospital renewed its keys while the round ran, ask the round's author to apply a new round. "
        "If it did not, run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site, and do what its last "
        "error says.",
    ),
    _network(
        name="Altered",
        owner=HUB,
        reporters=("Courier",),
        meaning="The bytes of a model or an update in the store differ from those that Wardround has sealed. Somebody "
        "changed them, or the store kept only the beginning of an upload whose connection was cut off. Wardround has "
        "used no part of them.",
        action="Check who can write to the store. If the object is a model, ask the round's author to repeat the "
        "round that made the model. If the object is an update, the round goes on without it. If the site that sent "
        "the update is older than the hub, ask the hospital's administrator to upgrade the site: the store then "
        "keeps no upload that was cut off.",
    ),
    Reason(
        name="Missing",
        owner=NETWORK,
        places=(Place.ATTENTION,),
        meaning="The store does not have the hospital's update, although the site reported it as sent.",
        action="Run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site, and remove the cause that the "
        "log shows. Then ask the round's author to apply a new round.",
    ),
    Reason(
        name="UploadTooLarge",
        owner=HUB,
        places=(Place.ATTENTION,),
        meaning="The site wants to send more bytes than the largest possible update of this round has.",
        action="Ask the hospital which version of Wardround its site runs. If the hub is older, upgrade the hub. If "
        f"the site is older, ask the hospital to upgrade the site. If hub and site have the same version, {SUSPEND}.",
    ),
    Reason(
        name="UpdateLengthDiffers",
        owner=HOSPITAL,
        places=(Place.ATTENTION,),
        meaning="The hub left out the update, because its length is not the one that the site has claimed "
        "(status.upload.bytes of the RoundTask), or not the one that more than half of the updates have. In an initial "
        "round, all updates have the same tensors, so they have the same length.",
        action=_FOREIGN_UPDATE,
    ),
)
_updates_unusable = partial(Reason, exit_code=EXIT_DATA)
_try_again = partial(Reason, exit_code=EXIT_TRY_AGAIN)
_our_fault = partial(Reason, exit_code=EXIT_OUR_FAULT)
# With exit code 65 the aggregation Job says that these updates give no result, however often it runs.
_AGGREGATION = (
    _updates_unusable(
        name="NothingToAggregate",
        owner=ROUND,
        places=(Place.ROUND_FAILED,),
        meaning="The round has no result: the aggregation could use none of the updates.",
        action="Read status.attention of the round: it says why the update of each hospital was left out. Remove "
        "the causes, and apply a new round.",
    ),
    _updates_unusable(
        name="TooFewForStrategy",
        owner=ROUND,
        places=(Place.ROUND_FAILED,),
        meaning="The round has no result: the aggregation left out some updates, and the rest are too few for the "
        "round's strategy.",
        action="Read status.attention of the round: it says why the update of each hospital was left out. Remove "
        "the causes. Then apply a new round, or one that asks more hospitals, or that has another strategy or other "
        "parameters in spec.aggregation.",
    ),
    _updates_unusable(
        name="SchemasDiffer",
        owner=ROUND,
        places=(Place.ROUND_FAILED,),
        meaning="The round has no result: the tensors of the hospitals' updates differ in names, shapes or types. "
        "Or, in a Statistics round, the hospitals used different bounds of a field.",
        action="Ask each hospital to compare the DataSchema of its Dataset with the federation's. If one differs, "
        "that hospital applies the federation's DataSchema. If all are equal, ask the author of the training image "
        "to correct `init`: it has to make the same tensors at all hospitals. Then apply a new round.",
    ),
    _updates_unusable(
        name="InitialWeightsDiffer",
        owner=IMAGE,
        places=(Place.ROUND_FAILED,),
        meaning="The initial round has no result: the hospitals made different first weights from the same seed, or "
        "their frozen tensors differ.",
        action="There are three possible causes. (1) `init` of your training code uses more than seed, statistics "
        "and schema: correct `init`. (2) `init` is right, and the sites have different kinds of processors: ask "
        "each hospital's administrator for the site's kind. (3) Only frozen tensors differ. Training code cannot "
        "change them, so somebody has changed an update: ask each hospital's administrator who can write to the "
        "claim `workspace` of the site.",
    ),
    _updates_unusable(
        name="ResultNotFinite",
        owner=ROUND,
        places=(Place.ROUND_FAILED,),
        meaning="The round has no result: training diverged at the hospitals, and the combined model would contain "
        "infinite values.",
        action="Apply a new round with a lower learning rate.",
    ),
    _try_again(
        name="StoreInconsistent",
        owner=HUB,
        places=(Place.ROUND_FAILED,),
        meaning="The aggregation Job made no result: the store gave it bytes that differ from what the hub signed, "
        "or from what the Job had read before.",
        action="Check who can write to the store: somebody may have changed objects there. Then ask the round's "
        "author for a new round. If the changed object is the base, the author first has to repeat the round that "
        "made the base.",
    ),
    _try_again(
        name="StillCollecting",
        owner=NOBODY,
        places=(Place.JOB_LOG,),
        meaning="An aggregation Job that began early has ended before the round closed: it waits no longer than "
        "aggregation.earlySeconds of the hub chart.",
        action="Nothing to do: the hub operator starts another aggregation Job when the round closes.",
    ),
    _our_fault(
        name="ResultExists",
        owner=NOBODY,
        places=(Place.ROUND_RECONCILING,),
        meaning="The place in the store for the result is already taken: an earlier try of the aggregation has "
        "written a result there.",
        action="Nothing to do: the hub operator tries again at another place.",
    ),
    _our_fault(
        name="TooManyLeftOut",
        owner=HUB,
        places=(Place.ROUND_FAILED,),
        meaning="The aggregation Job made no result, because it left out so many hospitals that it cannot "
        "report their names.",
        action="Report this, with the log of the aggregation Job, to the developers of Wardround.",
    ),
    _our_fault(
        name="PlanUnreadable",
        owner=HUB,
        places=(Place.ROUND_FAILED,),
        meaning="The aggregation Job cannot read its plan (the hub operator's text that says what to combine).",
        action="Compare the image of the hub operator with the image of the aggregation Job. If they differ, wait "
        "until the upgrade of the hub has ended, and ask the round's author to apply a new round. If they are equal, "
        "report the log of the aggregation Job to the developers of Wardround.",
    ),
    _our_fault(
        name="AggregatorFailed",
        owner=HUB,
        places=(Place.ROUND_FAILED,),
        meaning="The aggregation Job failed because of a fault in Wardround's own code.",
        action="Read the log of the aggregation Job in the hub's namespace, and report its error to the developers of "
        "Wardround.",
    ),
)
TRANSFERS = (*_STORE, *_UPDATES, *_AGGREGATION)
# No further try of the aggregation helps.
NO_RESULT = frozenset(each.name for each in _AGGREGATION if each.exit_code == EXIT_DATA)
