"""Reads and writes the file that keeps an optimizer's state from round to round at a hospital. Knows no torch.

The format is safetensors, because another image may have written the file: it holds data and never code. A tensor's
name consists of the model's tensor and the optimizer's slot: `hidden.0.weight/exp_avg`. The metadata name the
optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from wardround_trainer.failure import ParametersError, TrainerError
from wardround_trainer.network import Array
from wardround_trainer.task import replace

ADVICE = "use the optimizer and model of the round that left the state, or set optimizerState to reset"


@dataclass(frozen=True)
class Kept:
    """An optimizer's state: the optimizer's name, and its arrays by tensor and slot."""

    optimizer: str
    arrays: Mapping[str, Array]


def load(path: Path) -> Kept | None:
    """The state, or None if no earlier round has left one. Raises TrainerError (StateUnreadable)."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            names, metadata = file.keys(), file.metadata() or {}
            return Kept(metadata.get("optimizer", "another program"), {name: file.get_tensor(name) for name in names})
    except (SafetensorError, TypeError):  # TypeError: a dtype that numpy lacks
        message = f"state/in/{path.name} is not a safetensors file of numbers: set optimizerState to reset"
        raise TrainerError("StateUnreadable", message) from None


def check(
    state: Kept, optimizer: str, shapes: Mapping[str, tuple[int, ...]], slots: Sequence[str]
) -> dict[str, dict[str, Array]]:
    """The state's arrays by tensor and slot. Raises ParametersError (StateDiffers) if the state is not of this
    optimizer, or not for tensors of these shapes."""
    expected = {f"{name}/{slot}": () if slot == "step" else shape for name, shape in shapes.items() for slot in slots}
    if state.optimizer != optimizer:
        raise _differs(f"is for {state.optimizer}, but this round uses {optimizer}")
    for name in sorted(expected.keys() ^ state.arrays.keys()):
        raise _differs(f"has {'no' if name in expected else 'a'} {name}")
    for name, array in state.arrays.items():
        if array.shape != expected[name] or array.dtype != "float32":
            raise _differs(f"has {name} as {array.dtype}{list(array.shape)}, not float32{list(expected[name])}")
    return {name: {slot: state.arrays[f"{name}/{slot}"] for slot in slots} for name in shapes}


def save(path: Path, optimizer: str, state: Mapping[str, Mapping[str, Array]]) -> None:
    """Writes the state. Writes no file for an optimizer without state."""
    arrays = {f"{name}/{slot}": array for name, slots in state.items() for slot, array in slots.items()}
    if arrays:
        replace(path, lambda partial: save_file(arrays, partial, {"optimizer": optimizer}))


def _differs(difference: str) -> ParametersError:
    message = f"the optimizer state of an earlier round {difference}: {ADVICE}"
    return ParametersError("StateDiffers", message, "optimizerState")
