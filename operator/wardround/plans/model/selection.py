"""Decides which hospitals the rounds of a model select, and which of them the hub may ask now. Pure."""

from collections.abc import Iterable

from wardround.api.federatedmodel import FederatedModel
from wardround.api.participant import Participant
from wardround.plans import versions
from wardround.plans.participant import barred, offers, takes_part
from wardround.wire.compression import Compression


def selects(model: FederatedModel, participant: Participant) -> bool:
    """Whether the model's rounds select the hospital, and the hospital takes part in its federation."""
    wanted, meta = model.spec.round.participants, participant.metadata
    if not takes_part(participant, model.metadata.namespace):
        return False
    if wanted.names is not None:
        return meta.name in wanted.names
    labels = wanted.selector.match_labels if wanted.selector else {}
    return labels.items() <= meta.labels.items()


def askable(model: FederatedModel, participants: Iterable[Participant], compression: Compression) -> frozenset[str]:
    """Names of the selected hospitals that a round of the model would ask at once. `compression`: the one that a site
    has to know for this round."""
    needed = versions.needed_for(compression)
    return frozenset(
        each.metadata.name
        for each in participants
        if selects(model, each)
        and barred(each, model.metadata.namespace) is None
        and offers(each, model.spec.round.dataset_name)
        and versions.older_than(each, needed) is None
    )
