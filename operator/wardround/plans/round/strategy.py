"""Rules about the strategy of a round: whether it can combine what the round asks for, before anybody trains."""

from wardround.plans.round.scratch import GIB, scratch
from wardround.plans.round.types import Verdict
from wardround.plans.round.verdicts import advice, failed
from wardround.plans.round.view import View, hospitals
from wardround.sealing.body import ciphertext_length
from wardround.wire.strategies import STRATEGIES, impossible


def strategy_impossible(view: View) -> Verdict | None:
    """Fails a round whose strategy cannot combine its updates, since a round's spec cannot change. The API server
    refuses most such rounds."""
    spec = view.round.spec
    problem = impossible(
        spec.aggregation.strategy,
        spec.aggregation.parameters,
        task=spec.task,
        initial=spec.initial is not None,
        max_share=spec.aggregation.max_weight_share,
        quorum=spec.quorum.min,
    )
    if problem:
        return failed(view, "StrategyImpossible", f"{problem} {advice('StrategyImpossible')}")
    return _beyond_scratch(view)


def _beyond_scratch(view: View) -> Verdict | None:
    """Not even the updates of a quorum would fit. Their size is known from the base: an update has its tensors."""
    spec, base = view.round.spec, view.seen.base_model
    if view.dispatched or spec.base is None or base is None or not STRATEGIES[spec.aggregation.strategy].at_once:
        return None
    updates = [ciphertext_length(base.result.bytes)] * spec.quorum.min
    if not scratch(updates, base.result.bytes, view.seen.scratch_limit, at_once=True).reads_twice:
        return None
    return failed(view, "TooMuchForScratch", too_much_for_scratch(view, spec.quorum.min))


def too_much_for_scratch(view: View, updates: int) -> str:
    """Why the strategy cannot combine so many updates, and what to do."""
    return (
        f"The strategy {view.round.spec.aggregation.strategy} needs all updates at once on the scratch volume. The "
        f"updates of {hospitals(updates)} need more than aggregation.scratchGiB of the hub chart allows "
        f"({view.seen.scratch_limit // GIB} GiB). {advice('TooMuchForScratch')}"
    )
