"""Parses a round's parameters, which are strings, and checks their bounds. Knows no tensors and no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from wardround_trainer.failure import ParametersError

Optimizer = Literal["SGD", "Adam"]


@dataclass(frozen=True)
class Parameters:
    """A round's parameters. The defaults train a small table in seconds. `steps` replaces `epochs` if it is given.

    `optimizer_state`: `keep` continues with the optimizer's state of an earlier round at this hospital.
    """

    model: str | None = None
    hidden: tuple[int, ...] | None = None
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 0.01
    optimizer: Optimizer = "Adam"
    optimizer_state: str = "reset"
    weight_decay: float = 0.0
    momentum: float = 0.0
    device: str = "auto"

    def batches(self, rows: int) -> int:
        """The number of batches in an epoch. Each has `batch_size` rows or slightly more; fewer rows are one batch.

        There is no smaller batch for remaining rows: a step on few patients would reveal them in the update.
        """
        return max(1, rows // self.batch_size)

    def total_steps(self, rows: int) -> int:
        """The number of optimizer steps for `rows` rows."""
        if self.steps is not None:
            return self.steps
        return (DEFAULT_EPOCHS if self.epochs is None else self.epochs) * self.batches(rows)

    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers of a new model; empty for logistic regression."""
        if self.model == "logistic":
            return ()
        return DEFAULT_HIDDEN if self.hidden is None else self.hidden


DEFAULT_EPOCHS = 5
DEFAULT_HIDDEN = (32, 16)


def parse(given: Mapping[str, str]) -> Parameters:
    """Parses all parameters. Raises ParametersError, which names the parameter; for an unknown one, it lists all."""
    unknown = sorted(given.keys() - READERS.keys())
    if unknown:
        raise ParametersError(
            "ParameterUnknown",
            f"unknown parameter {', '.join(unknown)}; known are: {', '.join(sorted(READERS))}",
            unknown[0],
        )
    values: dict[str, Any] = {}
    for name, text in given.items():
        attribute, read = READERS[name]
        try:
            values[attribute] = read(text.strip())
        except ValueError as error:
            raise ParametersError("ParameterInvalid", f"parameter {name} is {text!r}: {error}", name) from None
    parameters = Parameters(**values)
    if parameters.model == "logistic" and parameters.hidden:
        raise ParametersError(
            "ParameterInvalid", "parameter hidden is only for model mlp: logistic has no hidden layer", "hidden"
        )
    if parameters.momentum and parameters.optimizer != "SGD":
        raise ParametersError(
            "ParameterInvalid", "parameter momentum is only for optimizer SGD: Adam has its own", "momentum"
        )
    if parameters.steps is not None and parameters.epochs is not None:
        raise ParametersError("ParameterInvalid", "set epochs or steps, not both", "steps")
    return parameters


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return text

    return read


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not lowest <= int(text) <= highest:
            raise ValueError(f"it must be a whole number from {lowest} to {highest}")
        return int(text)

    return read


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        # The comparison is also false for NaN.
        if not lowest <= number <= highest:
            raise ValueError(f"it must be a number from {lowest:g} to {highest:g}")
        return number

    return read


def _widths(text: str) -> tuple[int, ...]:
    read = _whole(1, 65536)
    widths = tuple(read(part.strip()) for part in text.split(",") if part.strip())
    if not 1 <= len(widths) <= 64:
        raise ValueError('it must list the widths of 1 to 64 hidden layers, such as "32,16"')
    return widths


READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "model": ("model", _one_of("logistic", "mlp")),
    "hidden": ("hidden", _widths),
    "epochs": ("epochs", _whole(0, 1_000_000)),
    "steps": ("steps", _whole(0, 1_000_000_000)),
    "batchSize": ("batch_size", _whole(1, 1 << 24)),
    "learningRate": ("learning_rate", _number(0, 1000)),
    "optimizer": ("optimizer", _one_of(*get_args(Optimizer))),
    "optimizerState": ("optimizer_state", _one_of("reset", "keep")),
    "weightDecay": ("weight_decay", _number(0, 1000)),
    "momentum": ("momentum", _number(0, 1)),
    "device": ("device", _one_of("auto", "cpu", "cuda")),
}
assert {attribute for attribute, _ in READERS.values()} == {field.name for field in fields(Parameters)}
