"""Decides what a series does at a Train round: values of scheduled parameters, and Evaluate rounds. Pure.

Hub, site and command line share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class ScheduledStep(Protocol):
    @property
    def from_round(self) -> int: ...

    @property
    def value(self) -> str: ...


class ParameterSchedule(Protocol):
    @property
    def parameter(self) -> str: ...

    @property
    def steps(self) -> Sequence[ScheduledStep]: ...


def scheduled(
    parameters: Mapping[str, str], schedules: Sequence[ParameterSchedule], round_number: int
) -> dict[str, str]:
    """The parameters of a Train round. A scheduled parameter has the value of the last step that is reached."""
    result = dict(parameters)
    for schedule in schedules:
        reached = [step for step in schedule.steps if step.from_round <= round_number]
        if reached:
            result[schedule.parameter] = max(reached, key=lambda step: step.from_round).value
    return result


def variants(parameters: Mapping[str, str], schedules: Sequence[ParameterSchedule]) -> list[dict[str, str]]:
    """The parameters of the first Train round, and of each one at which a step begins, in order."""
    starts = {1, *(step.from_round for each in schedules for step in each.steps)}
    return [scheduled(parameters, schedules, number) for number in sorted(starts)]


def evaluation_follows(every: int, round_number: int) -> bool:
    """Whether an Evaluate round follows the Train round of this number, if that is not the last one. `every`: as in
    spec.evaluation of a FederatedModel."""
    return every > 0 and round_number % every == 0


def evaluations_before(every: int, round_number: int) -> int:
    """How many Evaluate rounds follow the Train rounds before the one of this number."""
    return (round_number - 1) // every if every > 0 else 0
