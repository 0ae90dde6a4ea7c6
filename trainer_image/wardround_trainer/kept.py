"""The file in which an optimizer's state goes from one round to the next at its hospital. Knows numpy and no torch.

safetensors, since what lies there was written by some image: data, and never code. A tensor's name is the model's
tensor and what of it the optimizer remembers, `hidden.0.weight/exp_avg`; the metadata name the optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from wardround_trainer.failure import Failure, ParametersFailure
from wardround_trainer.network import Array
from wardround_trainer.task import replace

OTHERWISE = "give the parameters of the round that it comes from, or optimizerState reset to start anew"


@dataclass(frozen=True)
class Kept:
    optimizer: str
    arrays: Mapping[str, Array]


def load(path: Path) -> Kept | None:
    """None where no earlier round of this hospital has left one. Raises Failure for a file that is none of ours."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            names, metadata = file.keys(), file.metadata() or {}
            return Kept(metadata.get("optimizer", "another program"), {name: file.get_tensor(name) for name in names})
    except (SafetensorError, TypeError):  # TypeError: a type that numpy does not have
        message = f"state/in/{path.name} is no safetensors file of numbers: optimizerState reset starts anew"
        raise Failure("StateUnreadable", message) from None


def check(
    found: Kept, optimizer: str, shapes: Mapping[str, tuple[int, ...]], slots: Sequence[str]
) -> dict[str, dict[str, Array]]:
    """By tensor and slot, if it is a state of this optimizer for tensors of these shapes. Raises ParametersFailure."""
    wanted = {f"{name}/{slot}": () if slot == "step" else shape for name, shape in shapes.items() for slot in slots}
    if found.optimizer != optimizer:
        raise _differs(f"is of {found.optimizer}, this round asks for {optimizer}")
    for name in sorted(wanted.keys() ^ found.arrays.keys()):
        raise _differs(f"has {'no' if name in wanted else 'a'} {name}")
    for name, array in found.arrays.items():
        if array.shape != wanted[name] or array.dtype != "float32":
            raise _differs(f"has {name} as {array.dtype}{list(array.shape)}, not float32{list(wanted[name])}")
    return {name: {slot: found.arrays[f"{name}/{slot}"] for slot in slots} for name in shapes}


def save(path: Path, optimizer: str, state: Mapping[str, Mapping[str, Array]]) -> None:
    """Writes nothing where there is nothing to remember."""
    arrays = {f"{name}/{slot}": array for name, slots in state.items() for slot, array in slots.items()}
    if arrays:
        replace(path, lambda partial: save_file(arrays, partial, {"optimizer": optimizer}))


def _differs(how: str) -> ParametersFailure:
    return ParametersFailure("StateDiffers", f"the optimizer's state that was kept here {how}: {OTHERWISE}")
