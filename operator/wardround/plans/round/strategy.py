"""Rules about the strategy of a round: whether it can combine what the round asks for, before anybody trains."""

from wardround.api.federatedround import Aggregation
from wardround.plans.round.lengths import claimed
from wardround.plans.round.parts import PartState
from wardround.plans.round.rulings import advice, failed, sentences
from wardround.plans.round.scratch import GIB, Scratch, scratch
from wardround.plans.round.types import Ruling, StoredModel
from wardround.plans.round.upload import largest_upload
from wardround.plans.round.view import View, first, hospitals
from wardround.sealing.body import PART, part_lengths
from wardround.wire import compression
from wardround.wire.strategy_terms import STRATEGIES, impossible

MIB = 1 << 20

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
    if not room(view, updates).reads_twice:
        return None
    return failed(view, "TooMuchForScratch", too_much_for_scratch(view, updates))


def beyond_scratch(view: View) -> bool:
    """Whether the strategy cannot combine the updates that were sent, because they do not fit into scratch."""
    sent = len(view.having(PartState.SENT))
    return needs_scratch(view.round.spec.aggregation) and room(view, sent).reads_twice


def room(view: View, updates: int) -> Scratch:
    """The scratch of an aggregation of so many updates."""
    length = max(map(claimed, view.having(PartState.SENT)), default=0)
    if has_known_lengths(view):
        length = largest_upload(view.round, view.seen.base_model)
    base = trained_base(view)
    return scratch(view.round.spec, updates, length, base.result.bytes if base else None, view.seen.scratch_limit)


def trained_base(view: View) -> StoredModel | None:
    """The model that the hospitals train on, if the hub has it."""
    return view.seen.base_model if view.round.spec.task == "Train" and view.round.spec.initial is None else None


def has_known_lengths(view: View) -> bool:
    """Whether the hub knows how long an update is, or may be. A Deliver round has no updates."""
    task = view.round.spec.task
    return trained_base(view) is not None if task == "Train" else task != "Deliver"


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
    return sentences(
        f"{cause} The updates of {hospitals(updates)} need more than aggregation.scratchGiB of the hub chart allows "
        f"({view.seen.scratch_limit // GIB} GiB).",
        _longest(view),
        advice("TooMuchForScratch"),
    )


def _longest(view: View) -> str:
    """The hospitals whose first weights are the longest; empty if the hub knows the lengths without the hospitals."""
    if has_known_lengths(view):
        return ""
    parts = sorted(view.having(PartState.SENT), key=lambda part: (-claimed(part), part.name))
    longest = first([f"{part.name} ({_size(claimed(part))})" for part in parts])
    return f"The longest updates are those of {longest}." if parts else ""


def _size(length: int) -> str:
    return f"{length / GIB:.2f} GiB" if length >= GIB else f"{length / MIB:.2f} MiB"
