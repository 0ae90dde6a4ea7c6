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
    told = [each for each in every if each and len(each) == len(spec.references)]
    if not told:
        return ()
    columns = zip(spec.references, zip(*told, strict=True), strict=True)
    return tuple(
        HospitalVerdicts(
            reference=name,
            hospitals=len(said),
            better=said.count("Better"),
            worse=said.count("Worse"),
            undecided=said.count("Undecided"),
        )
        for name, said in columns
    )
