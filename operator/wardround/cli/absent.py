"""Says which declared metrics a result lacks, although nothing has failed. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wardround.metrics.registry import METRICS

FEW = "too few people are behind the metric, or only one hospital sent the metric"
UNREPORTED = f"Wardround does not compute the metric, and no hospital's trainer reports it. Or {FEW}"


def sentences(declared: Iterable[str], present: Iterable[str]) -> str:
    """One sentence for each cause, or nothing. `present`: names of the metrics in the result."""
    known = set(present)
    absent = [each for each in declared if each not in known]
    groups = {
        FEW: [each for each in absent if each in METRICS],
        UNREPORTED: [each for each in absent if each not in METRICS],
    }
    return " ".join(
        (
            f"The result of this round does not show these metrics that the round declares: {', '.join(names)}. "
            f"Cause: {why}."
        )
        for why, names in groups.items()
        if names
    )
