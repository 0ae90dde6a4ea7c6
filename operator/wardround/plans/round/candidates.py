"""Decides which of the selected hospitals a round may ask now, which it cannot ask and why, and for which it waits."""

from collections.abc import Mapping
from dataclasses import dataclass

from wardround.api.federatedround import Attention, FederatedRound
from wardround.plans.round.base import model_uid
from wardround.plans.round.columns import differing
from wardround.plans.round.rulings import sentences
from wardround.plans.round.view import View, named, nowhere_offered, selected, shortfall, tell, unfit

TOO_FEW = "TooFewParticipants"
# The hub's own people shut these out, and know how long that will last: no round waits for them.
SHUT_OUT = ("ParticipantSuspended", "ParticipantRevoked")
# Perhaps the author has misspelt a name.
UNKNOWN = ("ParticipantUnknown", "DatasetNotFound")


@dataclass(frozen=True)
class Candidates:
    """The hospitals that a round selects. `barred`: why a hospital cannot be asked. `unknown`: the text for a Dataset
    that no hospital offers. `missing`: what the others lack to be a quorum. `awaited`: the hospitals that the round
    names, cannot ask yet, and waits for."""

    barred: Mapping[str, str]
    fit: tuple[str, ...]
    unknown: str
    missing: str
    attention: tuple[Attention, ...]
    awaited: tuple[str, ...]

    def trouble(self) -> tuple[str, str]:
        """Why a round waits, reason and message: the first hospital in full, then the others by name."""
        if self.unknown:
            return "DatasetUnknown", self.unknown
        concerned = tuple(each for each in self.attention if each.participant in self.awaited) or self.attention
        if not concerned:
            return TOO_FEW, self.missing
        first, *others = concerned
        also = f" The round also waits for {named(others)}." if others else ""
        return first.reason, f"{first.message}{also}"


def assess(view: View) -> Candidates:
    barred = {name: reason for name in view.selected if (reason := unfit(view, name))}
    barred |= differing(view.seen, [name for name in view.selected if name not in barred])
    unknown = nowhere_offered(view, barred)
    fit = tuple(name for name in view.selected if name not in barred)
    lack = shortfall(view, fit)
    return Candidates(
        barred=barred,
        fit=fit,
        unknown=unknown,
        missing=sentences(lack, selected(view)) if lack else "",
        attention=_attention(view, barred, unknown),
        awaited=_awaited(view, barred),
    )


def _attention(view: View, barred: Mapping[str, str], unknown: str) -> tuple[Attention, ...]:
    """Where no hospital offers the Dataset, its name is the author's to check: no hospital is blamed."""
    return tuple(
        Attention(participant=name, reason=reason, message=tell(view, reason, name))
        for name, reason in barred.items()
        if not (unknown and reason == "DatasetNotFound")
    )


def _awaited(view: View, barred: Mapping[str, str]) -> tuple[str, ...]:
    """A round that selects by labels waits for no hospital: nobody has named one."""
    if view.round.spec.participants.names is None:
        return ()
    not_awaited = (*SHUT_OUT, *(UNKNOWN if _goes_on(view.round) else ()))
    return tuple(name for name, reason in barred.items() if reason not in not_awaited)


def _goes_on(federated_round: FederatedRound) -> bool:
    """Whether a FederatedModel goes on with this round. An earlier one has waited for hospitals that the hub does not
    know, and such a hospital joins with the round after its Participant: not each round of a series waits again."""
    spec = federated_round.spec
    starts = spec.base is not None or (spec.initial is not None and bool(spec.initial.statistics_round_name))
    return starts and bool(model_uid(federated_round))
