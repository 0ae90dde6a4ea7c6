"""Computes predictions of the built-in trainer's models with numpy, as the trainer's own `predict` does in the pod.

The trainer is another package, which knows nothing of this one. tests/unit/card/test_predict.py compares the two.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wardround import tensors
from wardround.card.folder import Folder, FolderRefused
from wardround.tensors import Array, NotTensors

ROWS_AT_ONCE = 65536
# Beyond it, exp overflows. The probability is exactly 0 or 1 well before.
LARGEST_ODDS = 700.0
ITS_OWN = "The image's own `predict` answers, in a Prediction that names the image in spec.code"


class NotBuiltIn(FolderRefused):
    """Another training image than the built-in trainer made the model."""


@dataclass(frozen=True)
class Network:
    """The tensors in float64, by name. `layers`: the number of hidden layers."""

    tensors: Mapping[str, Array]
    layers: int


def network(folder: Folder) -> Network:
    """The network of a model.

    Raises NotBuiltIn if the card or the file is not one of the built-in trainer's, and FolderRefused.
    """
    architecture, fields = folder.card.architecture, folder.card.fields
    if architecture is None:
        raise NotBuiltIn(
            f"the card of {folder.path} names no architecture, because the training image is not the built-in "
            f"trainer's. {ITS_OWN}"
        )
    if fields is None:
        raise FolderRefused(
            f"the card of {folder.path} names no features, because people deleted the DataSchema before the round "
            "ended. Train the model again, and keep its DataSchema until the round has ended"
        )
    features = sum(each.role == "Feature" for each in fields)
    expected = _shapes(features, architecture.hidden, architecture.mean, architecture.deviation)
    arrays = _arrays(folder)
    if {name: array.shape for name, array in arrays.items()} != expected:
        raise NotBuiltIn(
            f"the tensors of {folder.path} do not fit the network on its card ({features} features, hidden "
            f"layers {list(architecture.hidden)}). The training image made a model of another shape. {ITS_OWN}"
        )
    deviation = arrays[architecture.deviation]
    if not (all(np.isfinite(array).all() for array in arrays.values()) and (deviation > 0).all()):
        raise FolderRefused(
            f"the model of {folder.path} has a value that is not finite, or a deviation that is not above 0, so it "
            "predicts nothing. Ask the author of its rounds for another version"
        )
    renamed = {**arrays, "mean": arrays[architecture.mean], "deviation": deviation}
    return Network(renamed, len(architecture.hidden))


def probabilities(model: Network, rows: Array) -> Array:
    """The probability of a positive for each row. `rows`: float32 of shape (rows, features). Returns float64."""
    slices = range(0, len(rows), ROWS_AT_ONCE)
    parts = [_odds(model, rows[start : start + ROWS_AT_ONCE].astype(np.float64)) for start in slices]
    odds = np.concatenate(parts) if parts else np.zeros(0)
    result: Array = 1.0 / (1.0 + np.exp(-np.clip(odds, -LARGEST_ODDS, LARGEST_ODDS)))
    return result


def _odds(model: Network, rows: Array) -> Array:
    by_name = model.tensors
    values = (rows - by_name["mean"]) / by_name["deviation"]
    for position in range(model.layers):
        values = values @ by_name[f"hidden.{position}.weight"].T + by_name[f"hidden.{position}.bias"]
        values = values.clip(min=0)
    result: Array = (values @ by_name["output.weight"].T + by_name["output.bias"])[:, 0]
    return result


def _shapes(features: int, hidden: tuple[int, ...], mean: str, deviation: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {mean: (features,), deviation: (features,)}
    width = features
    for position, units in enumerate(hidden):
        shapes |= {f"hidden.{position}.weight": (units, width), f"hidden.{position}.bias": (units,)}
        width = units
    return shapes | {"output.weight": (1, width), "output.bias": (1,)}


def _arrays(folder: Folder) -> dict[str, Array]:
    try:
        layout, file = tensors.layout(folder.model), io.BytesIO(folder.model)
        return {
            place[0].name: tensors.widen(tensors.read(file, place), place[0].dtype).astype(np.float64)
            for place in layout.places
        }
    except NotTensors as fault:
        raise FolderRefused(f"{folder.path} holds no model that can be read: {fault}") from None
