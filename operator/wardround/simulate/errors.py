"""What ends a simulation without a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wardround.wire.outcome import Outcome

if TYPE_CHECKING:
    from pandas import DataFrame


class SimulationError(Exception):
    """The simulation ends. The text says what happened, where, and what to do next.

    `results`: what `simulate(...)` would have returned of the rounds that were Complete; None if none had begun.
    """

    results: DataFrame | None = None


class RoundFailed(SimulationError):
    """A round has failed. `reason`: of its condition. `message`: which round has failed, where and why. `explanations`:
    what went wrong at each hospital where something did. `advice`: what to do in a simulation. `reports`: of our own
    containers, by hospital and verb."""

    def __init__(
        self,
        name: str,
        reason: str,
        message: str,
        explanations: Mapping[str, str],
        *,
        advice: str = "",
        reports: Mapping[str, Mapping[str, Outcome]],
    ) -> None:
        lines = [f"{hospital}: {text}" for hospital, text in sorted(explanations.items())]
        super().__init__("\n  ".join([message, *lines, *([advice] if advice else [])]))
        self.name = name
        self.reason = reason
        self.explanations = explanations
        self.reports = reports
