"""Decides whether a candidate may replace the current version, by paired differences of log loss. Pure.

Both the current version and the best version so far are references. With the current one alone, each weekly gate would
let a slightly worse model through, and the losses would add up. A candidate that is better in the total and worse at
one hospital is left to people, and so is one that is worse without one hospital: nobody can check a hospital's sums.
People also decide if the rows of one hospital contradict a reference: its labels or units may have changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from wardround.metrics import digits
from wardround.metrics.bound import gate_bound

Outcome = Literal["Accepted", "Worse", "Undecided"]
# The hospitals seen have to hold this share of the rows that the candidate was trained on.
LEAST_COVERAGE = 0.8
# The chance that the gate takes a candidate for worse at one hospital that is worse at none.
ERROR_AT_HOSPITALS = 0.01
# The largest chance that a hospital contradicts a reference that states the right probabilities at each hospital.
ERROR_OF_CONTRADICTION = 0.01


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
    def rarer_class(self) -> int:
        """The fewest people of the rarer class that the numbers which a result tells allow.

        With the exact number, one evaluation for each minEvents would find out how many people have a positive row.
        """
        return min(digits.fewest(self.events), digits.fewest(self.people) - digits.most(self.events))

    @property
    def bound(self) -> float:
        """The largest loss against this reference that is borne."""
        return gate_bound(self.reference_loss, self.events, self.people)

    @property
    def beyond(self) -> bool:
        """Whether the candidate may be worse by more than the bound."""
        return self.high > self.bound

    @property
    def surely_worse(self) -> bool:
        """Whether the candidate is beyond the bound, and chance does not explain it."""
        return self.beyond and self.low > 0

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
    """The verdict. `min_events`: how many people of either class the gate has to see (see Paired.rarer_class).

    A candidate within the bounds is accepted also if it is worse by so little for sure: with many people, each
    difference is significant. A candidate beyond a bound is worse if it is surely so, and else nobody knows.
    """
    verdicts = (rule(evidence, min_events) for rule in _RULES)
    return next((verdict for verdict in verdicts if verdict is not None), GateVerdict("Accepted", "NotWorse"))


_Rule = Callable[[Evidence, int], GateVerdict | None]


def _about_all(reason: str, holds: Callable[[Evidence, int], bool]) -> _Rule:
    """A rule about the evidence as a whole."""
    return lambda evidence, min_events: GateVerdict("Undecided", reason) if holds(evidence, min_events) else None


def _about_one(
    reason: str,
    holds: Callable[[Paired], bool],
    outcome: Outcome = "Undecided",
    pairs: Callable[[Evidence], Sequence[Paired]] = lambda evidence: evidence.paired,
) -> _Rule:
    """A rule about each comparison with a reference. The first one for which it holds decides."""

    def rule(evidence: Evidence, _: int) -> GateVerdict | None:
        references = (each.reference for each in pairs(evidence) if holds(each))
        return next((GateVerdict(outcome, reason, reference) for reference in references), None)

    return rule


# What speaks against the candidate. The first rule that holds decides.
_RULES: tuple[_Rule, ...] = (
    _about_all("NotMeasured", lambda evidence, _: not evidence.paired),
    # Without both classes there is no prevalence to compare with.
    _about_all(
        "TooFewEvents", lambda evidence, least: any(each.rarer_class < max(least, 1) for each in evidence.paired)
    ),
    # Hospitals that nobody saw may be better off, or worse off. So the others decide nothing, not even Worse.
    _about_all("TooFewSeen", lambda evidence, _: evidence.coverage < LEAST_COVERAGE),
    _about_one("WorseThanReference", lambda each: each.surely_worse, "Worse"),
    # Flipped labels at one hospital make the reference bad there, and the candidate of these labels good in the total.
    _about_one("WorseAtHospital", lambda each: each.at_one > max(each.bound, 0)),
    _about_one("NotShown", lambda each: each.beyond),
    # Whatever sums one hospital sends, they do not get a candidate accepted that is worse at the others.
    _about_one(
        "WorseWithoutOne",
        lambda each: each.surely_worse or each.worse_in_the_middle,
        pairs=lambda evidence: evidence.without_one,
    ),
    # After a change of labels or units at one hospital, a candidate can be better there, and not worse elsewhere.
    _about_one("RowsContradictReference", lambda each: each.contradicted),
)
