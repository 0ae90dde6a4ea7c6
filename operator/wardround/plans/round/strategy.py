"""Rules about the strategy of a round: whether it can combine what the round asks for, before anybody trains."""

from wardround.api.federatedround import Aggregation
from wardround.plans.round.rulings import advice, failed
from wardround.plans.round.scratch import GIB, scratch
from wardround.plans.round.types import Ruling
from wardround.plans.round.view import View, hospitals
from wardround.sealing.body import PART, ciphertext_length, part_lengths
from wardround.wire import compression
from wardround.wire.strategy_terms import STRATEGIES, impossible

# A round that names its hospitals names no more (crds/federatedrounds.yaml).
MOST_UPDATES = 512
# In bytes. Kubernetes takes a Secret of 1 MiB and refuses a larger one however often it is asked.
LARGEST_PLAN, URL_BYTES = 900_000, 750


def strategy_impossible(view: View) -> Ruling | None:
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
        metrics=spec.metrics,
    )
    problem = problem or compression.impossible(
        spec.aggregation.compression, task=spec.task, initial=spec.initial is not None
    )
    if problem:
        return failed(view, "StrategyImpossible", f"{problem} {advice('StrategyImpossible')}")
    return _beyond_scratch(view, spec.quorum.min)


def too_much_to_aggregate(view: View, updates: int) -> Ruling | None:
    """Fails a round that would ask for more updates than one aggregation can combine. A Deliver round has none."""
    if view.round.spec.task == "Deliver":
        return None
    if updates > MOST_UPDATES:
        advised = advice("TooMuchToAggregate")
        return failed(view, "TooMuchToAggregate", f"The round would ask {hospitals(updates)}. {advised}")
    return _beyond_plan(view) or _beyond_scratch(view, updates)


def _beyond_plan(view: View) -> Ruling | None:
    """The plan holds the URLs of the base, of the result, and of the moments of a server optimizer before and after."""
    strategy, base = view.round.spec.aggregation.strategy, view.seen.base_model
    files = 2 * (1 + STRATEGIES[strategy].moments)
    most = LARGEST_PLAN // (URL_BYTES * files)
    if view.dispatched or view.round.spec.task != "Train" or base is None:
        return None
    if len(part_lengths(base.result.bytes)) <= most:
        return None
    return failed(
        view,
        "TooMuchToAggregate",
        f"The base has {base.result.bytes / 1e9:.1f} GB. With the strategy {strategy}, an aggregation combines models "
        f"of at most {most * PART / 1e9:.1f} GB. {advice('TooMuchToAggregate')}",
    )


def _beyond_scratch(view: View, updates: int) -> Ruling | None:
    """So many updates would not fit. Their size is known from the base: an update has its tensors."""
    spec, base = view.round.spec, view.seen.base_model
    if view.dispatched or spec.base is None or base is None or not needs_scratch(spec.aggregation):
        return None
    sizes = [ciphertext_length(base.result.bytes)] * updates
    if not scratch(spec, sizes, base.result.bytes, view.seen.scratch_limit).reads_twice:
        return None
    return failed(view, "TooMuchForScratch", too_much_for_scratch(view, updates))


def needs_scratch(aggregation: Aggregation) -> bool:
    """Whether the aggregation cannot read the updates from the store a second time, and keeps them in scratch."""
    return STRATEGIES[aggregation.strategy].at_once or aggregation.compression != compression.NONE


def too_much_for_scratch(view: View, updates: int) -> str:
    """Why the strategy cannot combine so many updates, and what to do."""
    aggregation = view.round.spec.aggregation
    if STRATEGIES[aggregation.strategy].at_once:
        cause = f"The strategy {aggregation.strategy} needs all updates at once on the scratch volume."
    else:
        cause = (
            f"With the compression {aggregation.compression}, the aggregation keeps the decompressed updates on the "
            "scratch volume."
        )
    return (
        f"{cause} The updates of {hospitals(updates)} need more than aggregation.scratchGiB of the hub chart allows "
        f"({view.seen.scratch_limit // GIB} GiB). {advice('TooMuchForScratch')}"
    )
