"""The strategies that a round can name: their parameters, and the hospitals that they need. Pure; combines nothing.

The hub's plan and the aggregation Job read the same table. The rules of the CRD repeat it (tests/integration/api).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from wardround.wire.compression import NONE, Compression

FEDAVG = "FedAvg"
WHOLE = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
DECIMAL = re.compile(r"(?=.*[1-9])[0-9]{1,6}([.][0-9]{1,6})?", re.ASCII)
FRACTION = re.compile(r"0([.][0-9]{1,6})?", re.ASCII)
Parameters = Mapping[str, str]


@dataclass(frozen=True)
class Terms:
    """What a strategy asks of a round.

    `parameters`: pattern and words for each value; all of them are required. `fewest`: the fewest updates that it can
    combine. `mixes`: the fewest hospitals of a quorum whose updates make up the result. `weighted`: updates count by
    samples, else each update counts once. `differences`: it needs differences from a base, not first weights.
    `at_once`: it reads all updates at once, from scratch. `norms`: its weights depend on the norms of the updates.
    `moments`: how many numbers its server optimizer remembers for each number of the model, from one round to the next.
    `metrics`: what the round has to declare among its metrics, because the strategy needs it from the training code.
    """

    parameters: Mapping[str, tuple[re.Pattern[str], str]]
    fewest: Callable[[Parameters], int]
    mixes: Callable[[Parameters, int], int]
    weighted: bool = False
    differences: bool = False
    at_once: bool = True
    norms: bool = False
    moments: int = 0
    metrics: tuple[str, ...] = ()


_COUNT = (WHOLE, "a whole number from 1 to 999")
_POSITIVE = (DECIMAL, "a number above 0 with at most six digits before and after the point")
_FRACTION = (FRACTION, "a number from 0 to below 1 with at most six digits after the point")


def _constant(number: int) -> Callable[[Parameters], int]:
    return lambda parameters: number


def _one(parameters: Parameters, quorum: int) -> int:
    return 1


def _everybody(parameters: Parameters, quorum: int) -> int:
    return quorum


def _optimizer(moments: int, **parameters: tuple[re.Pattern[str], str]) -> Terms:
    """The terms of FedAvg whose mean difference is the gradient of a server optimizer."""
    given = {"serverLearningRate": _POSITIVE, **parameters}
    return Terms(given, _constant(1), _everybody, weighted=True, differences=True, at_once=False, moments=moments)


# Numbers of local steps, which training code reports as a metric. They say nothing about a model.
STEPS = "steps"

STRATEGIES: Mapping[str, Terms] = {
    FEDAVG: Terms({}, _constant(1), _everybody, weighted=True, at_once=False),
    "NormBounding": Terms(
        {"largestNorm": _POSITIVE}, _constant(1), _everybody, weighted=True, differences=True, at_once=False, norms=True
    ),
    "FedAvgM": _optimizer(1, momentum=_FRACTION),
    "FedAdagrad": _optimizer(2, beta1=_FRACTION, tau=_POSITIVE),
    "FedAdam": _optimizer(2, beta1=_FRACTION, beta2=_FRACTION, tau=_POSITIVE),
    "FedYogi": _optimizer(2, beta1=_FRACTION, beta2=_FRACTION, tau=_POSITIVE),
    "FedNova": Terms({}, _constant(1), _everybody, weighted=True, differences=True, at_once=False, metrics=(STEPS,)),
    "Median": Terms({}, _constant(3), _everybody),
    "TrimmedMean": Terms({"trimmed": _COUNT}, lambda given: 2 * int(given["trimmed"]) + 1, _everybody),
    "Krum": Terms({"hostile": _COUNT}, lambda given: 2 * int(given["hostile"]) + 3, _one),
    "MultiKrum": Terms(
        {"hostile": _COUNT, "chosen": _COUNT},
        lambda given: int(given["hostile"]) + max(int(given["hostile"]) + 3, int(given["chosen"]) + 2),
        lambda given, quorum: int(given["chosen"]),
    ),
    # It is exactly one update as soon as the directions from this update to the others nearly cancel.
    "GeometricMedian": Terms({}, _constant(3), _one),
}


def unknown(strategy: str, parameters: Parameters) -> str:
    """A sentence that says why there is no such strategy; empty if there is."""
    terms = STRATEGIES.get(strategy)
    if terms is None:
        return f"There is no strategy {strategy}. Name one of these: {', '.join(STRATEGIES)}."
    if parameters.keys() != terms.parameters.keys():
        wanted = " and ".join(terms.parameters)
        return f"The strategy {strategy} takes {f'exactly the parameters {wanted}' if wanted else 'no parameters'}."
    for name, (pattern, words) in terms.parameters.items():
        if not pattern.fullmatch(parameters[name]):
            problem = f"The parameter {name} of the strategy {strategy} has to be {words}, written as a string."
            return f'{problem} It is "{parameters[name]}".'
    return ""


def evaluated(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """The metrics of a series that its Evaluate rounds declare too: those that are not there for the strategy alone."""
    return tuple(each for each in metrics if each != STEPS)


def fewest(strategy: str, parameters: Parameters) -> int:
    """The fewest updates that the strategy can combine."""
    return STRATEGIES[strategy].fewest(parameters)


def moments(strategy: str) -> int:
    """How many numbers the strategy remembers for each number of the model."""
    return STRATEGIES[strategy].moments


def mixes(strategy: str, parameters: Parameters, quorum: int) -> int:
    """The fewest hospitals whose updates make up the result of a round with this quorum."""
    return STRATEGIES[strategy].mixes(parameters, quorum)


def impossible(
    strategy: str,
    parameters: Parameters,
    *,
    task: str,
    initial: bool,
    max_share: str,
    quorum: int,
    metrics: Collection[str],
) -> str:
    """A sentence that says why a round cannot have this strategy; empty if it can."""
    if problem := unknown(strategy, parameters):
        return problem
    terms = STRATEGIES[strategy]
    if task != "Train" and strategy != FEDAVG:
        return f"A {task} round cannot have the strategy {strategy}: it adds sums, so its strategy has to be {FEDAVG}."
    if initial and terms.differences:
        return (
            f"An initial round cannot have the strategy {strategy}: its hospitals send weights, and {strategy} "
            "needs differences from a base."
        )
    if missing := [name for name in terms.metrics if name not in metrics]:
        return (
            f"The strategy {strategy} needs the metric {' and '.join(missing)} from the training code: add it to "
            "spec.metrics."
        )
    if not terms.weighted and float(max_share) < 1:
        return (
            f"The strategy {strategy} gives all hospitals the same weight, so it needs no aggregation.maxWeightShare: "
            "set this field to 1."
        )
    if quorum < terms.fewest(parameters):
        return (
            f"The strategy {strategy} with these parameters needs {terms.fewest(parameters)} updates, and "
            f"quorum.min is {quorum}: raise quorum.min, or change the parameters."
        )
    return ""


def anticipating(strategy: str, compression: Compression, *, task: str, initial: bool) -> bool:
    """Whether an aggregation can combine updates while they arrive: everything but their bytes is known before, and
    scratch keeps them as they arrive. A server state has keys that seal only once, so it is made only once."""
    terms = STRATEGIES[strategy]
    return task == "Train" and not initial and compression == NONE and not terms.norms and not terms.moments
