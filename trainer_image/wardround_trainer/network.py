"""The model: its tensors, initial weights and predictions. `logits` works with numpy and with torch.

Standardisation is part of the model, so one file holds the whole model: `wardround.input.mean` and
`wardround.input.std` are buffers that training does not change. There are no normalisation layers, because their
running statistics do not average well. This module does not import torch: the import would cost `init` and `predict` a
second or more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wardround_trainer.failure import DataError, TrainerError

Array = npt.NDArray[Any]
Tensors = dict[str, Array]
ROWS_AT_ONCE = 65536


def shapes(features: int, hidden: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors; each is float32."""
    by_name: dict[str, tuple[int, ...]] = {"wardround.input.mean": (features,), "wardround.input.std": (features,)}
    width = features
    for position, units in enumerate(hidden):
        by_name[f"hidden.{position}.weight"] = (units, width)
        by_name[f"hidden.{position}.bias"] = (units,)
        width = units
    return by_name | {"output.weight": (1, width), "output.bias": (1,)}


def initial(features: int, hidden: tuple[int, ...], seed: int, statistics: Mapping[str, Array] | None) -> Tensors:
    """The initial model: equal bits on every machine, because all sites must start from one model.

    So it uses only operations that IEEE 754 rounds in one way, and the raw stream of PCG64, which numpy promises never
    to change (NEP 19); torch makes no such promise. Weights are uniform within sqrt(6 / fan-in) (He et al. 2015), in
    the output layer within sqrt(1 / fan-in). Raises TrainerError (StatisticsDiffer).
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
    tensors["wardround.input.std"] += 1
    if statistics is not None:
        tensors |= _standardisation(features, statistics)
    return tensors


def _standardisation(features: int, statistics: Mapping[str, Array]) -> Tensors:
    """Mean and standard deviation of each feature over all sites, and the output's bias: the log odds of a positive."""
    count, shift = statistics["count"], statistics["shift"]
    if count.shape != (features,):
        raise TrainerError(
            "StatisticsDiffer",
            f"the statistics cover {count.size} features, but this dataset has {features}: compare the DataSchemas of "
            "both rounds",
        )
    rows = np.maximum(count, 1.0)
    centred = statistics["sum"] / rows
    deviation = np.sqrt(np.maximum(statistics["squares"] / rows - centred * centred, 0.0))
    rows_all, positives = float(statistics["rows"][0]), float(statistics["positives"][0])
    # Laplace smoothing keeps the odds finite. Rounded, because machines differ in the last bit of a logarithm.
    odds = round(math.log((positives + 1.0) / (rows_all - positives + 1.0)), 6)
    return {
        "wardround.input.mean": (shift + centred).astype(np.float32),
        # A feature that is constant in float32 is not scaled.
        "wardround.input.std": np.where(deviation.astype(np.float32) > 0, deviation, 1.0).astype(np.float32),
        "output.bias": np.array([odds], np.float32),
    }


def hidden_widths(tensors: Mapping[str, Array], features: int) -> tuple[int, ...]:
    """Widths of a base model's hidden layers. Raises TrainerError (BaseDiffers) for another network's tensors."""
    layers = sum(name.startswith("hidden.") and name.endswith(".weight") for name in tensors)
    try:
        widths = tuple(tensors[f"hidden.{position}.weight"].shape[0] for position in range(layers))
    except KeyError:
        raise TrainerError("BaseDiffers", "the base model's hidden layers are not numbered from 0") from None
    expected = {name: (shape, np.dtype(np.float32)) for name, shape in shapes(features, widths).items()}
    actual = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    if actual != expected:
        names = {name for name in actual.keys() | expected.keys() if actual.get(name) != expected.get(name)}
        raise TrainerError(
            "BaseDiffers",
            f"the base is not a float32 model of {features} features; different tensors: "
            f"{', '.join(sorted(names)[:8])}",
        )
    return widths


def logits(tensors: Mapping[str, Any], rows: Any) -> Any:
    """The log odds of each row, of shape (rows,). Tensors and rows are all numpy arrays, or all torch tensors."""
    values = (rows - tensors["wardround.input.mean"]) / tensors["wardround.input.std"]
    position = 0
    while f"hidden.{position}.weight" in tensors:
        values = (values @ tensors[f"hidden.{position}.weight"].T + tensors[f"hidden.{position}.bias"]).clip(min=0)
        position += 1
    return (values @ tensors["output.weight"].T + tensors["output.bias"])[:, 0]


def predict(tensors: Tensors, rows: Array) -> Array:
    """Log odds as float64 of shape (rows,). Computed in slices, so that memory does not grow with width times rows."""
    wide = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    slices = range(0, len(rows), ROWS_AT_ONCE)
    parts = [logits(wide, rows[start : start + ROWS_AT_ONCE].astype(np.float64)) for start in slices]
    return np.concatenate(parts) if parts else np.zeros(0)


def measure(tensors: Tensors, rows: Array, target: Array) -> dict[str, float]:
    """Mean cross-entropy (`loss`) and `accuracy` on these rows. Raises DataError (NoRows)."""
    if not len(rows):
        raise DataError("NoRows", "there are no rows to measure the model on")
    odds = predict(tensors, rows)
    losses = np.maximum(odds, 0) - odds * target + np.log1p(np.exp(-np.abs(odds)))
    return {"loss": float(losses.mean()), "accuracy": float(((odds > 0) == (target > 0.5)).mean())}
