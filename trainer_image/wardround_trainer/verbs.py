"""The three verbs of the training contract, each from folder to folder. torch is imported only to take a step."""

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
from wardround_trainer.failure import DataFailure, Failure, ParametersFailure
from wardround_trainer.network import Tensors
from wardround_trainer.task import Folders, Task

PROGRESS_SECONDS = 1.0


def init(folders: Folders) -> None:
    """Writes out/model.safetensors: equal bits at every site for equal task and statistics."""
    work = task.read(folders)
    statistics = _load(folders.statistics) if folders.statistics.exists() else None
    tensors = network.initial(len(work.features), work.parameters.widths(), work.seed, statistics)
    _write(folders.trained, tensors)
    _say(f"init: a new model of {len(work.features)} features with hidden layers of {list(work.parameters.widths())}")


def train(folders: Folders) -> None:
    """Reads base/, data/ and perhaps checkpoint/; writes out/model.safetensors, metrics.json and progress.json.

    Parameter optimizerState asks for state/in/, if there is anything, and state/out/ as well.
    """
    from wardround_trainer import data

    work = task.read(folders)
    base = _base(folders, work)
    rows, target = data.features_and_target(folders.view("train"), work.features, work.target)
    held, held_target = data.features_and_target(folders.view("validation"), work.features, work.target)
    if not len(rows):
        raise DataFailure("NoRows", "train.parquet has no rows")
    if not len(held):
        # Few rows can leave none for validation; what training says of itself is better than nothing.
        held, held_target = rows, target
    steps = work.parameters.total_steps(len(rows))
    trained = base
    keep = work.parameters.optimizer_state == "keep"
    # A round without a step hands on the state that it found.
    if steps or keep:
        from wardround_trainer import optimise

        trained = optimise.train(
            base,
            rows,
            target,
            work.parameters,
            frozen=work.frozen,
            order_seed=work.order_seed,
            checkpointing=optimise.Checkpointing(folders.checkpoint, work.fingerprint),
            progress=_reporter(folders.out / "progress.json"),
            stopping=_stop_asked(),
            keeping=optimise.Keeping(folders.state_in, _state_out(folders)) if keep else None,
        )
    _write(folders.trained, trained)
    measured = {
        side: {
            name: value for name, value in network.measure(tensors, held, held_target).items() if name in work.metrics
        }
        for side, tensors in (("base", base), ("trained", trained))
    }
    task.write_json(folders.out / "metrics.json", {"steps": steps, **measured})
    task.write_json(folders.out / "progress.json", {"step": steps, "steps": steps})
    _say(f"train: {steps} steps on {len(rows)} rows")


def predict(folders: Folders) -> None:
    """Writes out/predictions.f64: one probability a row, in the order of data/test.parquet."""
    from wardround_trainer import data

    work = task.read(folders)
    odds = network.predict(_base(folders, work), data.features(folders.view("test"), work.features))
    # Clipped where exp would overflow: the probability is 0 or 1 to the last bit long before.
    probability = 1.0 / (1.0 + np.exp(-np.clip(odds, -700, 700)))
    task.replace(folders.predictions, probability.astype("<f8").tofile)
    _say(f"predict: {len(probability)} rows")


def _say(line: str) -> None:
    """For the site's log: counts and shapes, never a value of the data."""
    print(line, file=sys.stderr)


def _base(folders: Folders, work: Task) -> Tensors:
    tensors = _load(folders.model)
    widths = network.hidden_widths(tensors, len(work.features))
    given = work.parameters
    if (given.model or given.hidden) and given.widths() != widths:
        raise ParametersFailure(
            "BaseDiffers",
            f"the base model has hidden layers of {list(widths)}, the parameters ask for {list(given.widths())}: "
            "leave model and hidden out, or give the base's",
        )
    return tensors


def _load(path: Path) -> Tensors:
    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise Failure("BaseMissing", f"base/{path.name} is not there") from None
    except SafetensorError:
        raise Failure("BaseUnreadable", f"base/{path.name} is no safetensors file") from None


def _write(path: Path, tensors: Tensors) -> None:
    """In the contract's canonical form: all are float32, so the library's order, by name, is the contract's."""
    task.replace(path, lambda partial: save_file(tensors, partial))


def _state_out(folders: Folders) -> Path:
    """Looked for before hours of training, not after."""
    if not folders.state_out.parent.is_dir():
        message = "optimizerState is keep, and this pod has no folder state/out: this hospital's Wardround is older"
        raise Failure("StateMissing", message)
    return folders.state_out


def _reporter(path: Path) -> Callable[[int, int], None]:
    """Writes progress at once, then about once a second: a file is not written for each of thousands of steps."""
    last = float("-inf")

    def report(step: int, steps: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            task.write_json(path, {"step": step, "steps": steps})

    return report


def _stop_asked() -> Callable[[], bool]:
    """Says whether this process was asked to end, which is what eviction does some seconds before it kills."""
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, ask)
    return lambda: asked
