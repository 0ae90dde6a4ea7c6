"""Decides which value a scheduled parameter has in a Train round. Hub and site share it. Pure."""

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
