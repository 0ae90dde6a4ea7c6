"""The built-in trainer's network as a torch module. Computes what `wardround predict` computes with numpy.

tests/e2e/test_images.py compares the two inside the trainer image, where torch is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wardround.card import folder as folders
from wardround.card import network
from wardround.tensors import Array
from wardround.wire.card import ModelCard


class TableModel(nn.Module):  # type: ignore[misc]  # torch is not in the environment that checks types
    """Rows in, probabilities out. Parameters and buffers are float64, as in an evaluation.

    `card`: what the hub signed. `features`: names of the columns of the rows, in order. Each value is the number in
    the view that training code reads (docs/contracts.md, section 6), without standardisation. The state_dict has the
    names of the tensors in model.safetensors.
    """

    def __init__(self, card: ModelCard, tensors: Mapping[str, Array], layers: int) -> None:
        super().__init__()
        self.card = card
        self.features = tuple(each.name for each in card.fields or () if each.role == "Feature")
        self.wardround = nn.Module()
        self.wardround.input = nn.Module()
        self.wardround.input.register_buffer("mean", torch.tensor(tensors["mean"]))
        self.wardround.input.register_buffer("std", torch.tensor(tensors["deviation"]))
        self.hidden = nn.ModuleList(_linear(tensors, f"hidden.{position}") for position in range(layers))
        self.output = _linear(tensors, "output")

    def log_odds(self, rows: Tensor) -> Tensor:
        """The log odds of a positive for each row, of shape (rows,). `rows`: of shape (rows, features)."""
        values = (rows.to(self.output.weight.dtype) - self.wardround.input.mean) / self.wardround.input.std
        for layer in self.hidden:
            values = layer(values).relu()
        return self.output(values)[:, 0]

    def forward(self, rows: Tensor) -> Tensor:
        """The probability of a positive for each row, of shape (rows,). `rows`: of shape (rows, features)."""
        return self.log_odds(rows).sigmoid()


def load(folder: str | Path, *, hub_fingerprint: str) -> TableModel:
    """The model of a folder that `kubectl wardround model pull` wrote, in evaluation mode.

    `hub_fingerprint`: of the hub's key, as the hub's administrator tells it. Raises FolderRefused if the folder is not
    what this hub signed, or if another trainer than the built-in one made the model.
    """
    verified = folders.load(Path(folder), hub_fingerprint)
    read = network.network(verified)
    loaded = TableModel(verified.card, read.tensors, read.layers)
    loaded.eval()
    return loaded


def _linear(tensors: Mapping[str, Array], name: str) -> Any:
    weight: Array = tensors[f"{name}.weight"]
    layer = nn.Linear(*_sizes(weight.shape), dtype=torch.float64)
    layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(tensors[f"{name}.bias"])})
    return layer


def _sizes(shape: Sequence[int]) -> tuple[int, int]:
    """Inputs and outputs of a layer, from the shape of its weight."""
    outputs, inputs = shape
    return inputs, outputs
