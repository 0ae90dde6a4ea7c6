"""Rules about the state of a server optimizer: whether a round goes on from the state of its base, or begins anew."""

from enum import StrEnum

from wardround.api.federatedround import FederatedRoundSpec
from wardround.plans.round.base import described_base, named_base
from wardround.plans.round.rulings import advice, failed, sentences
from wardround.plans.round.types import Observation, Ruling, StoredModel
from wardround.plans.round.view import View
from wardround.wire.server_state import StateManifest
from wardround.wire.strategy_terms import moments


class Going(StrEnum):
    """How a server optimizer goes on. Each value but CONTINUED says why it begins anew."""

    CONTINUED = "Continued"
    NO_STATE = "NoState"
    OTHER_STRATEGY = "OtherStrategy"
    OTHER_PARAMETERS = "OtherParameters"
    OTHER_FROZEN = "OtherFrozenTensors"


_WHY = {
    Going.NO_STATE: "has no server state",
    Going.OTHER_STRATEGY: "was made with another strategy",
    Going.OTHER_PARAMETERS: "was made with other aggregation.parameters",
    Going.OTHER_FROZEN: "was made with another list exchange.frozen",
}


def going_on(spec: FederatedRoundSpec, state: StateManifest | None) -> Going:
    """How the optimizer of a round goes on. `state`: that of the base."""
    if state is None:
        return Going.NO_STATE
    if state.strategy != spec.aggregation.strategy:
        return Going.OTHER_STRATEGY
    if dict(state.parameters) != dict(spec.aggregation.parameters):
        return Going.OTHER_PARAMETERS
    return Going.CONTINUED if state.frozen == tuple(sorted(spec.exchange.frozen)) else Going.OTHER_FROZEN


def goes_on(seen: Observation) -> str:
    """How the optimizer of this round goes on, for the record of its result; empty without one."""
    spec = seen.round.spec
    return going_on(spec, seen.base_state) if spec.base is not None and moments(spec.aggregation.strategy) else ""


def in_words(view: View, going: str) -> str:
    """A sentence about the server optimizer of a round; empty without one."""
    if not going:
        return ""
    strategy, base = view.round.spec.aggregation.strategy, named_base(view.round)
    if going == Going.CONTINUED:
        return f"The server optimizer {strategy} continues with the state that {base} has left."
    return f"The server optimizer {strategy} begins with a new state, because {base} {_WHY[Going(going)]}."


def kept_in_words(view: View, model: StoredModel) -> str:
    """Sentences about the server optimizer of a round that is complete."""
    lost = (
        "The hub could not keep the server state (the state of the server optimizer) of this round, because an "
        "older or newer version of the hub operator made the plan of the aggregation. Nobody has to act: a round "
        "that starts from this result begins with a new server state."
    )
    return sentences(in_words(view, model.server_state), lost if model.state_lost else "")


def state_unusable(view: View) -> Ruling | None:
    """Fails a round whose optimizer would go on from a state that this hub has not signed for its base."""
    reason = "ServerStateUnusable"
    if not view.seen.base_state_damaged or not moments(view.round.spec.aggregation.strategy):
        return None
    message = (
        "The round cannot continue with the server state (the state of the server optimizer) of "
        f"{described_base(view.round)}, because the hub's signature of this state is missing or wrong."
    )
    return failed(view, reason, f"{message} {advice(reason)}")
