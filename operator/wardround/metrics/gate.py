"""Decides whether a candidate may replace the current version, by paired differences of log loss. Pure.

Both the current version and the best version so far are references. With the current one alone, each weekly gate would
let a slightly worse model through, and the losses would add up. A candidate that is better in the total and worse at
one hospital is left to people, and so is one that is worse without one hospital: nobody can check a hospital's sums.
People also decide if the rows of one hospital contradict a reference: its labels or units may have changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wardround.metrics.differences import entropy
from wardround.metrics.digits import rounded_count

Outcome = Literal["Accepted", "Worse", "Undecided"]
# A candidate may lose so much of log loss in nats, or this share of what the reference gains over the prevalence.
LARGEST_LOSS, SHARE_OF_GAIN = 0.01, 0.1
# The hospitals seen have to hold this share of the rows that the candidate was trained on.
LEAST_COVERAGE = 0.8
# The chance that the gate takes a candidate for worse at one hospital that is worse at none.
ERROR_AT_HOSPITALS = 0.01
# The chance that a hospital contradicts a reference that knows its prevalence. The real chance is lower, because the
# test uses an upper bound of the standard deviation.
ERROR_OF_CONTRADICTION = 0.05


@dataclass(frozen=True, kw_only=True)
class Paired:
    """A candidate against one reference, on the same people of all hospitals that sent sums.

    `contradicted`: whether the rows of one hospital contradict the reference.
    `low`, `high`: 95 % interval of the candidate's mean log loss minus the reference's, in nats. `reference_loss`: mean
    log loss of the reference. `events`: people with a positive row.
    """

    reference: str
    low: float
    high: float
    reference_loss: float
    people: int
    events: int
    at_one: float = -1.0
    contradicted: bool = False

    @property
    def gain(self) -> float:
        """How much lower the reference's log loss is than that of a model that knows only the prevalence."""
        return entropy(self.events / self.people) - self.reference_loss

    @property
    def bound(self) -> float:
        """The largest loss against this reference that is borne."""
        return min(LARGEST_LOSS, SHARE_OF_GAIN * self.gain)

    @property
    def surely_worse(self) -> bool:
        """Whether the candidate is beyond the bound, and chance does not explain it."""
        return self.high > self.bound and self.low > 0

    @property
    def worse_in_the_middle(self) -> bool:
        """Whether the middle of the interval is beyond the bound. A negative bound counts as 0."""
        return (self.low + self.high) / 2 > max(self.bound, 0)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """`paired`: against each reference. `without_one`: the same without each of the hospitals in turn. `coverage`: the
    share of the candidate's training rows that lie at the hospitals with sums, from 0 to 1, whatever number of rows one
    hospital states."""

    paired: Sequence[Paired]
    coverage: float
    without_one: Sequence[Paired] = ()


@dataclass(frozen=True)
class GateVerdict:
    """It has no number that is finer than those that people see. `reference`: the one that decided, if one did."""

    outcome: Outcome
    reason: str
    reference: str = ""


def judge(evidence: Evidence, min_events: int) -> GateVerdict:
    """The verdict. `min_events`: how many people of either class the gate has to see, as results tell their number.

    A candidate within the bounds is accepted also if it is worse by so little for sure: with many people, each
    difference is significant. A candidate beyond a bound is worse if it is surely so, and else nobody knows.
    """
    if not evidence.paired:
        return GateVerdict("Undecided", "NotMeasured")
    for each in evidence.paired:
        # With the exact number, one evaluation for each minEvents would find out how many people have a positive row.
        people, events = rounded_count(each.people), rounded_count(each.events)
        # Without both classes there is no prevalence to compare with.
        if min(events, people - events) < max(min_events, 1):
            return GateVerdict("Undecided", "TooFewEvents")
    beyond = [each for each in evidence.paired if each.high > each.bound]
    for each in beyond:
        if each.surely_worse:
            return GateVerdict("Worse", "WorseThanReference", each.reference)
    # Flipped labels at one hospital make the reference bad there, and the candidate of these labels good in the total.
    for each in evidence.paired:
        if each.at_one > max(each.bound, 0):
            return GateVerdict("Undecided", "WorseAtHospital", each.reference)
    # Hospitals that nobody saw could still be worse off.
    if evidence.coverage < LEAST_COVERAGE:
        return GateVerdict("Undecided", "TooFewSeen")
    for each in beyond:
        return GateVerdict("Undecided", "NotShown", each.reference)
    # Whatever sums one hospital sends, they do not get a candidate accepted that is worse at the others.
    for each in evidence.without_one:
        if each.surely_worse or each.worse_in_the_middle:
            return GateVerdict("Undecided", "WorseWithoutOne", each.reference)
    # After a change of labels or units at one hospital, a candidate can be better there, and not worse elsewhere.
    for each in evidence.paired:
        if each.contradicted:
            return GateVerdict("Undecided", "RowsContradictReference", each.reference)
    return GateVerdict("Accepted", "NotWorse")
