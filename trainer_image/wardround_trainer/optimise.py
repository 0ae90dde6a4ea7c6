"""The training loop: deterministic for a seed, a number of threads and a kind of CPU, and resumable at any step.

A resumed run continues with the same batches. On a CPU it ends with the same bits. Only this module imports torch.
"""

from __future__ import annotations

import fnmatch
import os
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

# cuBLAS is deterministic only with a workspace of fixed size. It reads the variable when it starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch

from wardround_trainer import kept, network
from wardround_trainer.batches import batches
from wardround_trainer.failure import Interrupted, ParametersError, TrainerError
from wardround_trainer.network import Array, Tensors
from wardround_trainer.parameters import Parameters
from wardround_trainer.task import replace

BUFFERS = ("wardround.input.*",)
# The loss over fewer rows could reveal a patient, so not even the site's own log has it.
LEAST_ROWS_LOGGED = 11


@dataclass(frozen=True)
class Keeping:
    """`source`: the optimizer's state of an earlier round; may be absent. `target`: where training leaves its state."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Checkpointing:
    """The checkpoint's path and interval in seconds. `fingerprint`: identifies the work."""

    path: Path
    fingerprint: str
    seconds: float = 15.0


def train(
    base: Tensors,
    rows: Array,
    target: Array,
    parameters: Parameters,
    *,
    frozen: Sequence[str],
    order_seed: int,
    threads: int,
    checkpointing: Checkpointing,
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
    keeping: Keeping | None = None,
) -> Tensors:
    """The trained tensors. `rows`: float32 of shape (rows, features). `target`: float32 of 0 and 1, shape (rows,).

    When `stopping` returns true, writes a checkpoint and raises Interrupted. Raises TrainerError (Diverged,
    NoAccelerator, StateUnreadable) and ParametersError. `keeping`: continue with the optimizer's state of an earlier
    round.
    """
    steps = parameters.total_steps(len(rows))
    device = _device(parameters.device)
    _settle(threads, order_seed)
    work = _Work(base, rows, target, parameters, frozen, device)
    if keeping:
        _load_state(keeping.source, work.trainable, work.optimizer)
    # A checkpoint holds the optimizer's state, too, and replaces the state loaded above.
    done = _resume(checkpointing, work)
    progress(done, steps)
    saved = time.monotonic()
    per_epoch, losses = parameters.batches(len(rows)), _Losses()
    for batch in batches(len(rows), per_epoch, order_seed, done, steps):
        if stopping():
            _save(checkpointing, work, done)
            raise Interrupted(
                "Interrupted", f"asked to stop at step {done} of {steps}: the next run continues from the checkpoint"
            )
        if time.monotonic() - saved >= checkpointing.seconds:
            _save(checkpointing, work, done)
            saved = time.monotonic()
        losses.add(work.step(batch), len(batch))
        done += 1
        progress(done, steps)
        if done % per_epoch == 0 or done == steps:
            epoch, epochs = -(-done // per_epoch), -(-steps // per_epoch)
            print(f"epoch {epoch} of {epochs}: step {done} of {steps}, {losses.summary()}", file=sys.stderr)
    trained = work.trained()
    if keeping:
        _save_state(keeping.target, work.trainable, work.optimizer)
    # Frozen tensors are the base's arrays, not copies from the device.
    return base | trained


class _Work:
    """The tensors, the rows and the optimizer on their device, and one step of training."""

    def __init__(
        self,
        base: Tensors,
        rows: Array,
        target: Array,
        parameters: Parameters,
        frozen: Sequence[str],
        device: torch.device,
    ) -> None:
        """Raises ParametersError."""
        self._device = device
        self._tensors = {name: torch.from_numpy(tensor.copy()).to(device) for name, tensor in base.items()}
        self.trainable = {
            name: tensor.requires_grad_() for name, tensor in self._tensors.items() if not _matches(name, frozen)
        }
        self.optimizer = _optimizer(list(self.trainable.values()), parameters)
        self._half = _half(device)
        # Only float16 gradients need scaling: bfloat16 has the range of float32.
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._half is torch.float16)
        self._rows, self._target = torch.from_numpy(rows).to(device), torch.from_numpy(target).to(device)

    def step(self, batch: Array) -> torch.Tensor:
        """Trains on these rows. Returns their mean loss before the step."""
        chosen = torch.from_numpy(batch).to(self._device)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, dtype=self._half, enabled=self._half is not None):
            odds = network.logits(self._tensors, self._rows[chosen])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds.float(), self._target[chosen])
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss

    def trained(self) -> Tensors:
        """The tensors that training may change. Raises TrainerError (Diverged)."""
        trained = {name: tensor.detach().cpu().numpy() for name, tensor in self.trainable.items()}
        if not all(np.isfinite(tensor).all() for tensor in trained.values()):
            raise TrainerError("Diverged", "weights became infinite or NaN: a smaller learningRate may help")
        return trained


class _Losses:
    """The mean training loss since the last summary. The sum stays on the device: reading it waits for the step."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | float = 0.0
        self._rows = 0

    def add(self, loss: torch.Tensor, rows: int) -> None:
        self._sum = self._sum + loss.detach() * rows
        self._rows += rows

    def summary(self) -> str:
        mean, rows = float(self._sum) / self._rows, self._rows
        self._sum, self._rows = 0.0, 0
        return f"mean training loss {mean:.4g}" if rows >= LEAST_ROWS_LOGGED else "too few rows to log their loss"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in (*BUFFERS, *patterns))


def _device(name: str) -> torch.device:
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise TrainerError("NoAccelerator", "parameter device is cuda, but this pod has no GPU that torch can use")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def _half(device: torch.device) -> torch.dtype | None:
    """The dtype of mixed precision (Micikevicius et al., arXiv:1710.03740). None on a CPU, which gains nothing."""
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _settle(threads: int, seed: int) -> None:
    # torch would take as many threads as the machine has CPUs, and the bits of the result depend on the number.
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Random numbers during training must be as secret as the order of rows.
    torch.manual_seed(seed)


def _optimizer(tensors: list[torch.Tensor], parameters: Parameters) -> torch.optim.Optimizer:
    if not tensors:
        raise ParametersError("ParameterInvalid", "exchange.frozen names every tensor: no tensor is left to train")
    rate, decay = parameters.learning_rate, parameters.weight_decay
    match parameters.optimizer:
        case "SGD":
            return torch.optim.SGD(tensors, lr=rate, momentum=parameters.momentum, weight_decay=decay)
        case "Adam":
            return torch.optim.Adam(tensors, lr=rate, weight_decay=decay)
        case other:
            assert_never(other)


def _load_state(path: Path, tensors: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Loads the optimizer's state of an earlier round. Raises TrainerError (StateUnreadable) and ParametersError."""
    earlier = kept.load(path)
    if earlier is None:
        print("state: no earlier round has left a state here, so the optimizer starts without one", file=sys.stderr)
        return
    kind = type(optimizer).__name__
    shapes = {name: (*tensor.shape,) for name, tensor in tensors.items()}
    per_tensor = kept.check(earlier, kind, shapes, _slots(optimizer))
    state = optimizer.state_dict()
    # The optimizer numbers its tensors in the order in which it got them.
    state["state"] = {
        number: {slot: torch.from_numpy(array.copy()) for slot, array in per_tensor[name].items()}
        for number, name in enumerate(tensors)
    }
    optimizer.load_state_dict(state)
    print(f"state: {kind} continues with its state of an earlier round", file=sys.stderr)


def _save_state(path: Path, tensors: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    state = optimizer.state_dict()["state"]
    slots = _slots(optimizer)
    kept.save(
        path,
        type(optimizer).__name__,
        {
            name: {slot: state[number][slot].detach().cpu().numpy() for slot in slots}
            for number, name in enumerate(tensors)
            if number in state
        },
    )


def _slots(optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """Names of the arrays that the optimizer keeps for each tensor between steps."""
    match optimizer:
        case torch.optim.SGD():
            return ("momentum_buffer",) if optimizer.defaults["momentum"] else ()
        case torch.optim.Adam():
            return ("step", "exp_avg", "exp_avg_sq")
        case _:
            raise NotImplementedError(f"the state of {type(optimizer).__name__}")


def _save(checkpointing: Checkpointing, work: _Work, step: int) -> None:
    state = {
        "fingerprint": checkpointing.fingerprint,
        "step": step,
        "tensors": {name: tensor.detach() for name, tensor in work.trainable.items()},
        "optimizer": work.optimizer.state_dict(),
        "scaler": work.scaler.state_dict(),
    }
    replace(checkpointing.path, lambda partial: torch.save(state, partial))


def _resume(checkpointing: Checkpointing, work: _Work) -> int:
    """Loads the checkpoint of this work. Returns its step, or 0 if there is none."""
    if not checkpointing.path.exists():
        return 0
    if not _intact(checkpointing.path):
        print("checkpoint: the file is damaged, so training starts from step 0", file=sys.stderr)
        return 0
    # weights_only: a checkpoint is data and never code.
    state = torch.load(checkpointing.path, map_location="cpu", weights_only=True)
    if state["fingerprint"] != checkpointing.fingerprint:
        print("checkpoint: the file belongs to other work, so training starts from step 0", file=sys.stderr)
        return 0
    with torch.no_grad():
        for name, tensor in work.trainable.items():
            tensor.copy_(state["tensors"][name])
    work.optimizer.load_state_dict(state["optimizer"])
    work.scaler.load_state_dict(state["scaler"])
    print(f"checkpoint: training continues from step {state['step']}", file=sys.stderr)
    return int(state["step"])


def _intact(path: Path) -> bool:
    """Whether the checkpoint is complete. torch writes zip archives with checksums, but does not define what happens
    when it reads an incomplete one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False
