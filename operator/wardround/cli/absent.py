"""Says which declared metrics a result lacks, although nothing has failed. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wardround.metrics.registry import METRICS, measurable

FEW = "too few people are behind the metric, or only one hospital sent the metric"
UNREPORTED = f"Wardround does not compute the metric, and no hospital's trainer reports it. Or {FEW}"
NOT_IN_TRAIN = (
    "a Train round cannot measure the metric, but an Evaluate round can. In a series of a FederatedModel, read the "
    "results of its Evaluate rounds. For a round of your own, apply an Evaluate round that declares the metric"
)
MAYBE_IN_TRAIN = f"{FEW}. Or a Train round has measured the model, and a Train round cannot measure the metric"


def sentences(declared: Iterable[str], present: Iterable[str], task: str | None) -> str:
    """One sentence for each cause, or nothing. `present`: names of the metrics in the result. `task`: of the round that
    has measured them. None: nobody knows the round any more."""
    known = set(present)
    groups: dict[str, list[str]] = {}
    for name in declared:
        if name not in known:
            groups.setdefault(_cause(name, task), []).append(name)
    return " ".join(
        (
            f"The result of this round does not show these metrics that the round declares: {', '.join(names)}. "
            f"Cause: {why}."
        )
        for why, names in groups.items()
    )


def _cause(name: str, task: str | None) -> str:
    if name not in METRICS:
        return UNREPORTED
    if task == "Evaluate" or measurable(name, "Train"):
        return FEW
    return MAYBE_IN_TRAIN if task is None else NOT_IN_TRAIN
