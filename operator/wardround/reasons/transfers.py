"""What goes wrong between site, hub and store, and why an update or a model is not used."""

from __future__ import annotations

from functools import partial

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
)

_network = partial(Reason, failure_class="Network", retried=True)

_STORE = (
    _network(
        name="StoreUnreachable",
        exit_code=EXIT_TRY_AGAIN,
        owner=NETWORK,
        meaning="The courier or the aggregation Job cannot reach the hub's object store.",
        action="Compare store.origin and store.caBundle in the values of the site chart with those that the hub's "
        "administrator gives. Check that the site's network and proxy (store.proxyURL) let connections to the store "
        "through.",
    ),
    _network(
        name="StoreTooSlow",
        owner=NETWORK,
        meaning="A transfer between site and object store moves less than 1 MiB in a minute.",
        action="Check whether the store, a proxy or the hospital's network link is overloaded. The courier tries "
        "again.",
    ),
    _network(
        name="StoreRefused",
        owner=HUB,
        meaning="The object store refused a request, because the grant has expired or is for another object. Or the "
        "store answered something else than it was asked for.",
        action="Wait: the hub operator renews the grants. If the reason stays, compare the clocks of store, hub and "
        "site. Then check the store, and the proxies in front of it.",
    ),
    _network(
        name="StoreObjectMissing",
        owner=HUB,
        meaning="The store no longer has an object that the task needs.",
        action="Check who can delete objects in the store. Then ask the round's author to repeat the round that made "
        "the object.",
    ),
    _network(
        name="StoreObjectShort",
        owner=HUB,
        meaning="An object in the store is shorter than it was when it was written.",
        action="Check who can write to the store. Wardround has used no part of the changed object.",
    ),
    _network(
        name="StoreNotPinned",
        failure_class="Site",
        retried=False,
        owner=HOSPITAL,
        meaning="The hub names another store than the one that this site has pinned.",
        action="Ask the hub's administrator by telephone for the store's origin. Change store.origin in the values of "
        "the site chart only to the origin that you hear there.",
    ),
    _network(
        name="StoreUntrusted",
        owner=HOSPITAL,
        meaning="TLS to the store fails: the pinned CA has not signed the store's certificate, or a device in between "
        "replaces it.",
        action="Wait: the courier tries again. If the reason stays, ask the hub's administrator for the CA of the "
        "store, and compare it with store.caBundle in the values of the site chart.",
    ),
    Reason(
        name="HubUnreachable",
        owner=NETWORK,
        meaning="The site cannot reach the hub's API server.",
        action="Check that the site's network allows connections to the hub's address. The site operator tries again.",
    ),
)
_UPDATES = (
    _network(
        name="ManifestUnreadable",
        owner=HOSPITAL,
        meaning="The courier cannot read the hub's manifest of a model, or the aggregation cannot read the hospital's "
        "manifest of an update.",
        action="Compare the versions of hub and site. If they are equal, run `kubectl logs deployment/courier -n "
        "SITE_NAMESPACE` at the site, and report the error to the developers of Wardround.",
    ),
    _network(
        name="SignatureInvalid",
        owner=HUB,
        meaning="The signature of the manifest is not from the pinned key of the hospital.",
        action="If the hospital has renewed its keys, run `kubectl wardround approve PARTICIPANT`. If it has not, "
        f"{SUSPEND}.",
    ),
    Reason(
        name="WrongRound",
        owner=HUB,
        meaning="The hospital's update belongs to another round.",
        action=f"Ask the hospital how this happened. Until it has an explanation, {SUSPEND}.",
    ),
    Reason(
        name="WrongAttempt",
        owner=HUB,
        meaning="The hospital's update belongs to another attempt of this round.",
        action="If the hospital has also sent an update of a newer attempt, there is nothing to do: that update "
        f"counts. Otherwise {SUSPEND}.",
    ),
    Reason(
        name="WrongParticipant",
        owner=HUB,
        meaning="The hospital's update names another hospital.",
        action=f"Ask the hospital how this happened. Until it has an explanation, {SUSPEND}.",
    ),
    Reason(
        name="WrongImage",
        owner=HUB,
        meaning="The manifest of the hospital's update names another training image than the round does.",
        action=f"Ask the hospital how this happened. Until it has an explanation, {SUSPEND}.",
    ),
    Reason(
        name="WrongBase",
        failure_class="Platform",
        retried=True,
        owner=HOSPITAL,
        meaning="The hospital trained this update from another model than this round's base.",
        action="Ask the round's author to apply a new round that includes this hospital. If this happens again, run "
        "`kubectl logs deployment/courier -n SITE_NAMESPACE` at the site.",
    ),
    Reason(
        name="WrongSchema",
        owner=IMAGE,
        meaning="The tensors of the hospital's update are not those that the round expects.",
        action="Let the training code keep names, shapes and types of the base's tensors.",
    ),
    Reason(
        name="CountsInvalid",
        owner=HOSPITAL,
        meaning="The update's statistics are inconsistent (for example negative or fractional counts), or it reports "
        "no samples.",
        action="Compare the versions of hub and site. If they are equal, find out which program made the update: "
        "Wardround's own code cannot make such an update.",
    ),
    Reason(
        name="FrozenNotZero",
        owner=HOSPITAL,
        meaning="The aggregation left out the update, because it changes tensors that the round froze.",
        action="Compare the versions of hub and site. If they are equal, find out which program made the update: "
        "Wardround's own code cannot make such an update.",
    ),
    Reason(
        name="CompressionInvalid",
        owner=HOSPITAL,
        meaning="The aggregation left out the update, because the update does not have the form of the round's "
        "compression. For example, the scale of a block is infinite, negative or too large.",
        action="Compare the versions of hub and site. If they are equal, find out which program made the update: "
        "Wardround's own code cannot make such an update.",
    ),
    Reason(
        name="StepsMissing",
        owner=IMAGE_OR_ROUND,
        meaning="The aggregation left out the update, because the strategy of the round is FedNova, and the update has "
        "no usable number of local steps. Either the training code reports none, or the hospital withholds its "
        "numbers, because too few people are in its validation rows.",
        action="The author of the training image: Let the training code write a whole number from 1 on as `steps` "
        "under `base` of metrics.json (docs/training-image.md). The round's author: If the training code writes this "
        "number, the hospital withholds it. Apply a new round with the strategy FedAvg, or without this hospital.",
    ),
    Reason(
        name="UpdateTooLarge",
        owner=HOSPITAL,
        meaning="The aggregation left out the update, because its norm is more than 30 times the middle norm of the "
        "round. Such an update would decide the result alone.",
        action="If this hospital has many more rows than the others, ask the hub's administrator to set "
        "spec.maxSamples of its Participant to its number of rows. The bound then grows with the rows. Otherwise find "
        "out which program made the update, or ask the round's author for a lower learning rate.",
    ),
    _network(
        name="KeyUnusable",
        owner=HOSPITAL,
        meaning="The courier cannot decrypt the key of the base, or the aggregation cannot decrypt the key of the "
        "update.",
        action="If the hospital renewed its keys while the round ran, ask the round's author to apply a new round "
        "that includes this hospital. Otherwise run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site.",
    ),
    _network(
        name="Altered",
        owner=HUB,
        meaning="Somebody changed a model or an update in the store after it was sealed.",
        action="Check who can write to the store. Wardround has used no part of the changed object.",
    ),
    Reason(
        name="Missing",
        owner=NETWORK,
        meaning="The store does not have the hospital's update, although the site reported that it has sent it.",
        action="Run `kubectl logs deployment/courier -n SITE_NAMESPACE` at the site. Then ask the round's author to "
        "apply a new round that includes this hospital.",
    ),
    Reason(
        name="UploadTooLarge",
        owner=HUB,
        meaning="The site asks to send more bytes than an update of this round can have.",
        action=f"Ask the hospital which version of Wardround its site runs. If that is the hub's version, {SUSPEND}.",
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
        meaning="The aggregation could use none of the updates.",
        action="Read status.attention of the round: it says for each hospital why the aggregation left out its "
        "update. Remove these causes, and apply a new round.",
    ),
    _updates_unusable(
        name="TooFewForStrategy",
        owner=ROUND,
        meaning="The aggregation left out some updates. The remaining updates are too few for the round's strategy.",
        action="Read status.attention of the round: it says for each hospital why the aggregation left out its "
        "update. Then apply a new round that asks more hospitals, or that has another strategy or other parameters in "
        "spec.aggregation.",
    ),
    _updates_unusable(
        name="SchemasDiffer",
        owner=ROUND,
        meaning="The tensors of the hospitals' updates differ. Or, in a Statistics round, the hospitals used different "
        "bounds of a field.",
        action="Ask the hospitals to compare the DataSchemas of their Datasets: all have to be equal. If they are "
        "equal, ask the author of the training image to correct `init`: it has to make the same tensors at all "
        "hospitals.",
    ),
    _updates_unusable(
        name="InitialWeightsDiffer",
        owner=IMAGE,
        meaning="The aggregation cannot add up the updates of this initial round: the hospitals made different first "
        "weights from the same seed, or their frozen tensors differ.",
        action="Let `init` of the training code depend only on seed, statistics and schema. If it does so already, "
        "ask the hospitals whether all sites have the same kind of processor. If only frozen tensors differ, find out "
        "which program made the differing update, because training code cannot change frozen tensors.",
    ),
    _updates_unusable(
        name="ResultNotFinite",
        owner=ROUND,
        meaning="The combined model would contain infinite values.",
        action="Training diverged at the hospitals. Apply a new round with a lower learning rate.",
    ),
    _try_again(
        name="StoreInconsistent",
        owner=HUB,
        meaning="The aggregation Job read bytes from the store that differ from those that the hub signed, or from "
        "those that it read before.",
        action="Check who can write to the store. Wardround has used no part of the changed object.",
    ),
    _try_again(
        name="StillCollecting",
        owner=NOBODY,
        meaning="The aggregation Job began to read updates while its round still collected. Within "
        "aggregation.earlySeconds of the hub chart, the round did not close, or the store withheld the last page.",
        action="Nothing to do: the hub operator starts another aggregation Job when the round closes.",
    ),
    _our_fault(
        name="ResultExists",
        owner=HUB,
        meaning="The store already has an object at the place of this result.",
        action="Nothing to do: the hub operator tries again at another place.",
    ),
    _our_fault(
        name="TooManyLeftOut",
        owner=HUB,
        meaning="The aggregation left out more updates than the list in its result can name.",
        action="Report this to the developers of Wardround, with the log of the aggregation Job.",
    ),
    _our_fault(
        name="PlanUnreadable",
        owner=HUB,
        meaning="The aggregation Job cannot read its plan.",
        action="Check that the hub operator and the aggregation Job run the same image.",
    ),
    _our_fault(
        name="AggregatorFailed",
        owner=HUB,
        meaning="The aggregation Job failed because of a fault in Wardround's own code.",
        action="Read the log of the aggregation Job in the hub's namespace, and report its error to the developers of "
        "Wardround.",
    ),
)
TRANSFERS = (*_STORE, *_UPDATES, *_AGGREGATION)
# No further try of the aggregation helps.
NO_RESULT = frozenset(each.name for each in _AGGREGATION if each.exit_code == EXIT_DATA)
