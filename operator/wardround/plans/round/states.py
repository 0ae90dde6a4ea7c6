"""Decides whose training state a participant goes on from: the last that counted, in the chain of bases. Pure.

A site keeps what each round's training left as state, and does not know what became of its update. The hub does: the
state of an update that was not combined is never used. Each finished round's record says which state those have whom it
did not combine, so that the chain is one step long and holds when earlier rounds are deleted.
"""

from collections.abc import Collection, Mapping

from wardround.plans.round.types import Observation, StoredModel


def states(seen: Observation) -> Mapping[str, str]:
    """By participant, the UID of the round whose state it continues with. A participant that is not in it starts
    without a state, and so does each one of a round that runs no code."""
    if seen.round.spec.task == "Deliver" or seen.round.spec.base is None or seen.base_model is None:
        return {}
    return _left(seen.base_model, seen.base_uid)


def reference_states(seen: Observation, name: str) -> tuple[str, ...]:
    """For each reference, the UID of the round whose state its code reads at this participant; "" for none."""
    return tuple(_left(each.model, each.uid).get(name, "") if each.model else "" for each in seen.references)


def _left(model: StoredModel, uid: str) -> dict[str, str]:
    return {**model.states, **dict.fromkeys(model.aggregated, uid)}


def remaining(before: Mapping[str, str], aggregated: Collection[str]) -> Mapping[str, str]:
    """The states to record for a round that has combined these participants: the others still have the state that they
    had."""
    return {name: uid for name, uid in before.items() if name not in aggregated}
