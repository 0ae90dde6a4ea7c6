"""Decides whether each further attempt at a round that has failed would fail too, and says why. Pure."""

from wardround.api import conditions
from wardround.api.conditions import Condition
from wardround.api.federatedround import FederatedRound
from wardround.plans.round.rulings import list_of, sentences
from wardround.reasons.registry import REASONS, ends_series, is_lasting


def base_gone(federated_round: FederatedRound) -> Condition | None:
    """The condition of a round that has failed because nobody can bring back what it starts from; None of another."""
    failed = conditions.find_true(federated_round.status.conditions, "Failed")
    return failed if failed is not None and ends_series(failed.reason) else None


def hopeless(federated_round: FederatedRound) -> str:
    """Why no further attempt that asks for the same can succeed; empty if one may.

    A hospital that refuses the round refuses each further attempt too. If the other hospitals are enough for the
    quorum, a further attempt may succeed, also if this round could not ask all of them.
    """
    failed = conditions.find(federated_round.status.conditions, "Failed")
    if failed is not None and is_lasting(failed.reason):
        return failed.message or REASONS[failed.reason].text
    quorum, counts = federated_round.spec.quorum, federated_round.status.participants
    # At most some of those that refuse. Those that the quorum requires come first.
    refusing = tuple(each for each in federated_round.status.attention if is_lasting(each.reason))
    if counts is None or not refusing:
        return ""
    others = counts.selected + counts.absent - counts.refused
    if others >= quorum.min and not any(each.participant in quorum.required for each in refusing):
        return ""
    whole = f"Together, {counts.refused} hospitals refuse." if counts.refused > len(refusing) else ""
    return sentences(refusing[0].message, list_of("These hospitals refuse too", refusing[1:]), whole)
