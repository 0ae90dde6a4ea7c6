"""Counts the verdicts that hospitals tell of their own people. They decide nothing: the gate does not know them."""

from collections.abc import Collection, Sequence

from wardround.api.federatedround import FederatedRoundSpec, HospitalVerdicts
from wardround.plans.round.parts import Part


def counted(
    spec: FederatedRoundSpec, parts: Sequence[Part], aggregated: Collection[str]
) -> tuple[HospitalVerdicts, ...]:
    """For each reference, how many hospitals say what; empty if no hospital tells a verdict. Only a hospital counts
    whose sums are in the result, and which tells one verdict on each reference."""
    every = (part.task.status.verdicts or () for part in parts if part.name in aggregated)
    lists = [each for each in every if each and len(each) == len(spec.references)]
    if not lists:
        return ()
    columns = zip(spec.references, zip(*lists, strict=True), strict=True)
    return tuple(
        HospitalVerdicts(
            reference=name,
            hospitals=len(outcomes),
            better=outcomes.count("Better"),
            worse=outcomes.count("Worse"),
            undecided=outcomes.count("Undecided"),
        )
        for name, outcomes in columns
    )
