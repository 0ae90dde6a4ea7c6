"""The model: which tensors it has, how it starts, what it computes. One function serves numpy and torch alike.

Standardisation is part of the model: `input.mean` and `input.std` are buffers that no training touches, so that one
file of tensors is the whole model. No normalisation layers: their running statistics do not average well.
Nothing here imports torch: `init` and `predict` start without the second or more that importing it takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wardround_trainer.failure import DataFailure, Failure

Array = npt.NDArray[Any]
Tensors = dict[str, Array]
ROWS_AT_ONCE = 65536


def shapes(features: int, hidden: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors, float32 each."""
    found: dict[str, tuple[int, ...]] = {"input.mean": (features,), "input.std": (features,)}
    width = features
    for position, units in enumerate(hidden):
        found[f"hidden.{position}.weight"] = (units, width)
        found[f"hidden.{position}.bias"] = (units,)
        width = units
    return found | {"output.weight": (1, width), "output.bias": (1,)}


def initial(features: int, hidden: tuple[int, ...], seed: int, statistics: Mapping[str, Array] | None) -> Tensors:
    """The same bits on every machine, for all sites must start from one model.

    Only what IEEE 754 rounds in one way is used, and the raw stream of PCG64, which numpy promises never to change
    (NEP 19); torch makes no such promise. Weights are uniform within sqrt(6 / fan-in) (He et al. 2015), in the output
    layer within sqrt(1 / fan-in).
    """
    stream = np.random.PCG64(seed)
    tensors: Tensors = {}
    for name, shape in shapes(features, hidden).items():
        if name.endswith("weight"):
            bound = math.sqrt((1 if name == "output.weight" else 6) / shape[1])
            raw = stream.random_raw(math.prod(shape))
            uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
            tensors[name] = ((2.0 * uniform - 1.0) * bound).astype(np.float32).reshape(shape)
        else:
            tensors[name] = np.zeros(shape, np.float32)
    tensors["input.std"] += 1
    if statistics is not None:
        tensors |= _standardisation(features, statistics)
    return tensors


def _standardisation(features: int, statistics: Mapping[str, Array]) -> Tensors:
    """Mean and deviation of each feature over all sites, and the output's bias: the log odds of a positive."""
    count, shift = statistics["count"], statistics["shift"]
    if count.shape != (features,):
        raise Failure(
            "StatisticsDiffer",
            f"the statistics are of {count.size} features, this dataset has {features}: other schema?",
        )
    rows = np.maximum(count, 1.0)
    centred = statistics["sum"] / rows
    deviation = np.sqrt(np.maximum(statistics["squares"] / rows - centred * centred, 0.0))
    rows_all, positives = float(statistics["rows"][0]), float(statistics["positives"][0])
    # One added on each side (Laplace) keeps it finite; rounded, as machines differ in a logarithm's last bit.
    odds = round(math.log((positives + 1.0) / (rows_all - positives + 1.0)), 6)
    return {
        "input.mean": (shift + centred).astype(np.float32),
        # A constant feature, also one that float32 cannot tell from constant, is left as it is.
        "input.std": np.where(deviation.astype(np.float32) > 0, deviation, 1.0).astype(np.float32),
        "output.bias": np.array([odds], np.float32),
    }


def hidden_widths(tensors: Mapping[str, Array], features: int) -> tuple[int, ...]:
    """Widths of a base model's hidden layers. Raises Failure when its tensors are not those of such a model."""
    layers = sum(name.startswith("hidden.") and name.endswith(".weight") for name in tensors)
    try:
        widths = tuple(tensors[f"hidden.{position}.weight"].shape[0] for position in range(layers))
    except KeyError:
        raise Failure("BaseDiffers", "the base model's hidden layers are not numbered from 0 on") from None
    expected = shapes(features, widths)
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != expected or any(tensor.dtype != np.float32 for tensor in tensors.values()):
        names = {name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)}
        raise Failure(
            "BaseDiffers",
            f"the base is no float32 model of {features} features; tensors that differ: {', '.join(sorted(names)[:8])}",
        )
    return widths


def logits(tensors: Mapping[str, Any], rows: Any) -> Any:
    """The log odds of each row, shape (rows,); tensors and rows are all numpy's or all torch's."""
    values = (rows - tensors["input.mean"]) / tensors["input.std"]
    position = 0
    while f"hidden.{position}.weight" in tensors:
        values = (values @ tensors[f"hidden.{position}.weight"].T + tensors[f"hidden.{position}.bias"]).clip(min=0)
        position += 1
    return (values @ tensors["output.weight"].T + tensors["output.bias"])[:, 0]


def predict(tensors: Tensors, rows: Array) -> Array:
    """Log odds in float64, in slices: memory does not grow with hidden layers times rows."""
    wide = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    slices = range(0, len(rows), ROWS_AT_ONCE)
    parts = [logits(wide, rows[start : start + ROWS_AT_ONCE].astype(np.float64)) for start in slices]
    return np.concatenate(parts) if parts else np.zeros(0)


def measure(tensors: Tensors, rows: Array, target: Array) -> dict[str, float]:
    """What the model is worth on these rows: mean cross-entropy and accuracy. Raises DataFailure without rows."""
    if not len(rows):
        raise DataFailure("NoRows", "no row to measure a model on")
    odds = predict(tensors, rows)
    losses = np.maximum(odds, 0) - odds * target + np.log1p(np.exp(-np.abs(odds)))
    return {"loss": float(losses.mean()), "accuracy": float(((odds > 0) == (target > 0.5)).mean())}
