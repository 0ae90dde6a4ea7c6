"""The three verbs of the training contract, each from files to files. torch is imported only if there is training."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from wardround_trainer import network, task
from wardround_trainer.failure import DataError, ParametersError, TrainerError
from wardround_trainer.network import Array, Tensors
from wardround_trainer.task import Folders, Task

PROGRESS_SECONDS = 1.0


def init(folders: Folders) -> None:
    """Writes out/model.safetensors: equal bits at every site for equal task and statistics. Raises TrainerError."""
    work = task.read(folders)
    statistics = _load(folders.statistics) if folders.statistics.exists() else None
    tensors = network.initial(len(work.features), work.parameters.widths(), work.seed, statistics)
    _write(folders.trained, tensors)
    _log(f"init: a new model of {len(work.features)} features with hidden layers of {list(work.parameters.widths())}")


def train(folders: Folders) -> None:
    """Reads base/, data/ and checkpoint/; writes out/model.safetensors, validation.f64, metrics.json and progress.json.

    If the parameter optimizerState is `keep`, it also reads state/in/ and writes state/out/. Raises TrainerError.
    """
    from wardround_trainer import data

    work = task.read(folders)
    base = _base(folders, work)
    rows, target = data.features_and_target(folders.view("train"), work.features, work.target)
    held_out, held_out_target = data.features_and_target(folders.view("validation"), work.features, work.target)
    if not len(rows):
        raise DataError("NoRows", "train.parquet has no rows")
    steps = work.parameters.total_steps(len(rows))
    trained = base
    keep = work.parameters.optimizer_state == "keep"
    # A round without a step passes the earlier state on.
    if steps or keep:
        from wardround_trainer import optimise

        trained = optimise.train(
            base,
            rows,
            target,
            work.parameters,
            frozen=work.frozen,
            order_seed=work.order_seed,
            threads=work.threads,
            checkpointing=optimise.Checkpointing(folders.checkpoint, work.fingerprint),
            progress=_reporter(folders.out / "progress.json"),
            stopping=_stop_requested(),
            keeping=optimise.Keeping(folders.state_in, _state_out(folders)) if keep else None,
        )
    _write(folders.trained, trained)
    # The probabilities are those of the base, which all hospitals have made. No result is the model of one hospital.
    _write_probabilities(folders.validation, network.predict(base, held_out))
    measured = network.measure(base, held_out, held_out_target) if len(held_out) else {}
    # `steps` is no number of the base, but the strategy FedNova reads it among the metrics.
    reported = measured | {"steps": steps}
    declared = {name: value for name, value in reported.items() if name in work.metrics}
    task.write_json(folders.out / "metrics.json", {"steps": steps, "base": declared})
    task.write_json(folders.out / "progress.json", {"step": steps, "steps": steps})
    _log(f"train: {steps} steps on {len(rows)} rows")


def predict(folders: Folders) -> None:
    """Writes out/predictions.f64: one probability for each row of data/evaluation.parquet, in order. Raises
    TrainerError."""
    from wardround_trainer import data

    work = task.read(folders)
    odds = network.predict(_base(folders, work), data.features(folders.view("evaluation"), work.features))
    _write_probabilities(folders.predictions, odds)
    _log(f"predict: {len(odds)} rows")


def _log(line: str) -> None:
    """Writes to the site's log: counts and shapes, never a value of the data."""
    print(line, file=sys.stderr)


def _base(folders: Folders, work: Task) -> Tensors:
    tensors = _load(folders.model)
    widths = network.hidden_widths(tensors, len(work.features))
    parameters = work.parameters
    if (parameters.model or parameters.hidden) and parameters.widths() != widths:
        raise ParametersError(
            "BaseDiffers",
            f"the base model has hidden layers of {list(widths)}, the parameters name {list(parameters.widths())}: "
            "leave out model and hidden, or use the base's",
            "hidden" if parameters.hidden else "model",
        )
    return tensors


def _load(path: Path) -> Tensors:
    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise TrainerError("BaseMissing", f"there is no base/{path.name}") from None
    except SafetensorError:
        raise TrainerError("BaseUnreadable", f"base/{path.name} is not a safetensors file") from None


def _write(path: Path, tensors: Tensors) -> None:
    """Writes the contract's canonical form. All tensors are float32, so the library's order, by name, is canonical."""
    task.replace(path, lambda partial: save_file(tensors, partial))


def _write_probabilities(path: Path, odds: Array) -> None:
    """Writes the probability of each row as a raw little-endian double."""
    # Clipped so that exp does not overflow. The probability is exactly 0 or 1 well before the clip.
    probability = 1.0 / (1.0 + np.exp(-np.clip(odds, -700, 700)))
    task.replace(path, probability.astype("<f8").tofile)


def _state_out(folders: Folders) -> Path:
    """The path of the new state. Raises TrainerError (StateMissing) if there is no folder, before hours of training."""
    if not folders.state_out.parent.is_dir():
        message = "optimizerState is keep, but this pod has no folder state/out, as the training contract requires"
        raise TrainerError("StateMissing", message)
    return folders.state_out


def _reporter(path: Path) -> Callable[[int, int], None]:
    """Writes progress.json at the first step, then about once a second, because there may be thousands of steps."""
    last = float("-inf")

    def report(step: int, steps: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            task.write_json(path, {"step": step, "steps": steps})

    return report


def _stop_requested() -> Callable[[], bool]:
    """Returns a function that says whether the process got SIGTERM, which an eviction sends before it kills."""
    requested = False

    def stop(number: int, frame: object) -> None:
        nonlocal requested
        requested = True

    signal.signal(signal.SIGTERM, stop)
    return lambda: requested
