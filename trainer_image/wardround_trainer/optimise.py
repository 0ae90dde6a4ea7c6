"""The training loop, deterministic for a seed on one machine and resumable at any step. Alone it imports torch.

A resumed run goes on with the same batches, and on a CPU ends on the same bits.
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
from typing import Any

# cuBLAS is deterministic only with a workspace of fixed size, which it reads when it starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch

from wardround_trainer import kept, network
from wardround_trainer.batches import batches
from wardround_trainer.failure import Failure, Interrupted, ParametersFailure
from wardround_trainer.network import Array, Tensors
from wardround_trainer.parameters import Parameters
from wardround_trainer.task import replace

BUFFERS = ("input.*",)
# Below this many multiplications a step, handing work to further threads takes longer than the work.
THREADS_FROM = 1 << 23
# The loss of fewer rows is hardly an aggregate: not even the site's own log has it.
LEAST_ROWS_TOLD = 11


@dataclass(frozen=True)
class Keeping:
    """From which file the optimizer's state comes, if it is there, and into which it goes at the end."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Checkpointing:
    """Where, and how often in seconds, work is saved. `fingerprint` tells this work from any other."""

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
    checkpointing: Checkpointing,
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
    keeping: Keeping | None = None,
) -> Tensors:
    """The trained tensors. Raises Interrupted, with a checkpoint written, once `stopping` says so.

    `keeping`: where the optimizer goes on with the state of an earlier round; without it, it starts anew.
    """
    steps = parameters.total_steps(len(rows))
    device = _device(parameters.device)
    _settle(base, parameters.batch_size, order_seed)
    tensors = {name: torch.from_numpy(tensor.copy()).to(device) for name, tensor in base.items()}
    trainable = {name: tensor.requires_grad_() for name, tensor in tensors.items() if not _matches(name, frozen)}
    optimizer = _optimizer(list(trainable.values()), parameters)
    half = _half(device)
    # bfloat16 has float32's range: only float16's gradients need scaling.
    scaler = torch.amp.GradScaler(device.type, enabled=half is torch.float16)
    inputs, labels = torch.from_numpy(rows).to(device), torch.from_numpy(target).to(device)

    if keeping:
        _take_up(keeping.source, trainable, optimizer)
    # A checkpoint has the optimizer's state of its own step.
    done = _resume(checkpointing, trainable, optimizer, scaler)
    progress(done, steps)
    saved = time.monotonic()
    per_epoch, losses = parameters.batches(len(rows)), _Losses()
    for batch in batches(len(rows), per_epoch, order_seed, done, steps):
        if stopping():
            _save(checkpointing, trainable, optimizer, scaler, done)
            raise Interrupted(
                "Interrupted", f"asked to stop at step {done} of {steps}: saved, a next run goes on there"
            )
        if time.monotonic() - saved >= checkpointing.seconds:
            _save(checkpointing, trainable, optimizer, scaler, done)
            saved = time.monotonic()
        chosen = torch.from_numpy(batch).to(device)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            odds = network.logits(tensors, inputs[chosen])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds.float(), labels[chosen])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.add(loss, len(batch))
        done += 1
        progress(done, steps)
        if done % per_epoch == 0 or done == steps:
            epoch, epochs = -(-done // per_epoch), -(-steps // per_epoch)
            print(f"epoch {epoch} of {epochs}: step {done} of {steps}, {losses.told()}", file=sys.stderr)
    trained = {name: tensor.detach().cpu().numpy() for name, tensor in trainable.items()}
    if not all(np.isfinite(tensor).all() for tensor in trained.values()):
        raise Failure("Diverged", "weights grew out of bounds: a smaller learningRate may help")
    if keeping:
        _keep(keeping.target, trainable, optimizer)
    # Frozen tensors are handed back as they came, not as a device gave them back.
    return base | trained


class _Losses:
    """The mean training loss since it was told last. It stays on the device: to read it at each step is to wait."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | float = 0.0
        self._rows = 0

    def add(self, loss: torch.Tensor, rows: int) -> None:
        self._sum = self._sum + loss.detach() * rows
        self._rows += rows

    def told(self) -> str:
        mean, rows = float(self._sum) / self._rows, self._rows
        self._sum, self._rows = 0.0, 0
        return f"mean training loss {mean:.4g}" if rows >= LEAST_ROWS_TOLD else "too few rows to tell their loss"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in (*BUFFERS, *patterns))


def _device(wanted: str) -> torch.device:
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise Failure("NoAccelerator", "parameter device is cuda, and this pod was given no GPU that torch can use")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def _half(device: torch.device) -> torch.dtype | None:
    """What mixed precision (Micikevicius et al., arXiv:1710.03740) multiplies in; None on a CPU: it gains nothing."""
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _settle(base: Tensors, batch_size: int, seed: int) -> None:
    work = batch_size * sum(tensor.size for tensor in base.values())
    torch.set_num_threads(_cpus() if work >= THREADS_FROM else 1)
    torch.use_deterministic_algorithms(True)
    # Whatever is drawn while it trains: nobody outside the hospital may know it either.
    torch.manual_seed(seed)


def _cpus() -> int:
    """Processors that this container may use: torch counts those of the machine, and threads beyond a quota wait."""
    allowed = len(os.sched_getaffinity(0))
    for path, quota_of in (("/sys/fs/cgroup/cpu.max", _quota_v2), ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", _quota_v1)):
        if Path(path).is_file():
            return max(1, min(allowed, quota_of(Path(path)) or allowed))
    return allowed


def _quota_v2(path: Path) -> int | None:
    quota, period = path.read_text().split()
    return None if quota == "max" else round(int(quota) / int(period))


def _quota_v1(path: Path) -> int | None:
    quota, period = int(path.read_text()), int(path.with_name("cpu.cfs_period_us").read_text())
    return None if quota <= 0 else round(quota / period)


def _optimizer(tensors: list[torch.Tensor], parameters: Parameters) -> torch.optim.Optimizer:
    if not tensors:
        raise ParametersFailure("ParameterInvalid", "exchange.frozen names every tensor: nothing is left to train")
    rate, decay = parameters.learning_rate, parameters.weight_decay
    if parameters.optimizer == "SGD":
        return torch.optim.SGD(tensors, lr=rate, momentum=parameters.momentum, weight_decay=decay)
    return torch.optim.Adam(tensors, lr=rate, weight_decay=decay)


def _take_up(path: Path, tensors: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Raises Failure for a state that is not one of this optimizer for these tensors."""
    found = kept.load(path)
    if found is None:
        print("state: no earlier round has left one here, so the optimizer starts anew", file=sys.stderr)
        return
    kind = type(optimizer).__name__
    slots = {name: (*tensor.shape,) for name, tensor in tensors.items()}
    per_tensor = kept.check(found, kind, slots, _slots(optimizer))
    state = optimizer.state_dict()
    # The optimizer knows its tensors by number, in the order in which it got them.
    state["state"] = {
        number: {slot: torch.from_numpy(array.copy()) for slot, array in per_tensor[name].items()}
        for number, name in enumerate(tensors)
    }
    optimizer.load_state_dict(state)
    print(f"state: going on with what {kind} had at the end of an earlier round", file=sys.stderr)


def _keep(path: Path, tensors: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
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
    """What it remembers of each tensor between steps."""
    if isinstance(optimizer, torch.optim.SGD):
        return ("momentum_buffer",) if optimizer.defaults["momentum"] else ()
    return ("step", "exp_avg", "exp_avg_sq")


def _save(where: Checkpointing, tensors: dict[str, Any], optimizer: Any, scaler: Any, step: int) -> None:
    state = {
        "fingerprint": where.fingerprint,
        "step": step,
        "tensors": {name: tensor.detach() for name, tensor in tensors.items()},
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
    }
    replace(where.path, lambda partial: torch.save(state, partial))


def _resume(where: Checkpointing, tensors: dict[str, Any], optimizer: Any, scaler: Any) -> int:
    """The step to go on from: 0 without a checkpoint of this work."""
    if not where.path.exists():
        return 0
    if not _intact(where.path):
        print("checkpoint: it is damaged, so training starts anew", file=sys.stderr)
        return 0
    # weights_only: a checkpoint is data and never code.
    state = torch.load(where.path, map_location="cpu", weights_only=True)
    if state["fingerprint"] != where.fingerprint:
        print("checkpoint: it belongs to other work, so training starts anew", file=sys.stderr)
        return 0
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(state["tensors"][name])
    optimizer.load_state_dict(state["optimizer"])
    scaler.load_state_dict(state["scaler"])
    print(f"checkpoint: going on from step {state['step']}", file=sys.stderr)
    return int(state["step"])


def _intact(path: Path) -> bool:
    """torch writes zip archives with checksums; what it does with half of one is not defined."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False
