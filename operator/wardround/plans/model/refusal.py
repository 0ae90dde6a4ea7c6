"""Decides whether each further attempt at a round that has failed would fail too, and says why. Pure."""

from wardround.api import conditions
from wardround.api.federatedround import FederatedRound
from wardround.plans.round.verdicts import list_of, sentences
from wardround.reasons.registry import REASONS


def hopeless(federated_round: FederatedRound) -> str:
    """Why no further attempt that asks for the same can succeed; empty if one may.

    A hospital that refuses the round refuses each further attempt too. If the other hospitals are enough for the
    quorum, a further attempt may succeed.
    """
    failed = conditions.find(federated_round.status.conditions, "Failed")
    if failed is not None and _is_lasting(failed.reason):
        return failed.message or REASONS[failed.reason].text
    spec, counts = federated_round.spec, federated_round.status.participants
    refusing = tuple(each for each in federated_round.status.attention if _is_lasting(each.reason))
    if counts is None or not refusing:
        return ""
    names = {each.participant for each in refusing}
    # A hospital that the round names, but could not ask, may be ready for a further attempt.
    others = max(counts.selected, len(spec.participants.names or ())) - len(names)
    if others >= spec.quorum.min and names.isdisjoint(spec.quorum.required):
        return ""
    return sentences(refusing[0].message, list_of("These hospitals refuse too", refusing[1:]))


def _is_lasting(reason: str) -> bool:
    return reason in REASONS and REASONS[reason].lasting
