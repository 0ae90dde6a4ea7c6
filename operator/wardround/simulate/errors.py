"""What ends a simulation without a result."""

from __future__ import annotations

from collections.abc import Mapping


class SimulationError(Exception):
    """The simulation ends. The text says what happened, where, and what to do next."""


class RoundFailed(SimulationError):
    """A round has failed. `explanations`: what went wrong at each hospital where something did."""

    def __init__(self, name: str, why: str, explanations: Mapping[str, str]) -> None:
        lines = [f"{hospital}: {text}" for hospital, text in sorted(explanations.items())]
        super().__init__("\n  ".join([f"Round {name} has failed. {why}", *lines]))
        self.name = name
        self.explanations = explanations
