"""The built-in trainer refuses a base whose tensors are not those of its network, before it reads a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

Tensors = dict[str, np.ndarray[Any, Any]]


@pytest.fixture
def ready(site: Any, run: Any) -> Any:
    """A site with an initial model as its base. It has no rows."""
    run(site, "init")
    site.adopt(site.trained)
    return site


def of_another_image(_: Tensors) -> Tensors:
    return {"encoder.weight": np.zeros((3, 3)), "encoder.bias": np.zeros(3)}


def with_one_more(own: Tensors) -> Tensors:
    return {**own, "encoder.weight": np.zeros((3, 3), np.float32)}


def of_four_features(own: Tensors) -> Tensors:
    return {**own, "wardround.input.mean": np.zeros(4, np.float32)}


def of_two_outputs(own: Tensors) -> Tensors:
    return {**own, "output.bias": np.zeros(2, np.float32)}


def in_float64(own: Tensors) -> Tensors:
    return {**own, "output.bias": own["output.bias"].astype(np.float64)}


def numbered_from_one(own: Tensors) -> Tensors:
    return {name.replace("hidden.0.", "hidden.2."): each for name, each in own.items()}


@pytest.mark.parametrize("verb", ["train", "predict"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_another_image, "is not a float32 model of 3 features; different tensors: encoder.bias, encoder.weight, "),
        (with_one_more, "is not a float32 model of 3 features; different tensors: encoder.weight\n"),
        (of_four_features, "is not a float32 model of 3 features; different tensors: wardround.input.mean\n"),
        (of_two_outputs, "is not a float32 model of 3 features; different tensors: output.bias\n"),
        (in_float64, "is not a float32 model of 3 features; different tensors: output.bias\n"),
        (numbered_from_one, "model's hidden layers are not numbered from 0\n"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_a_base_with_other_tensors_is_refused_and_the_log_of_the_site_names_them(
    ready: Any, run: Any, capsys: Any, verb: str, change: Callable[[Tensors], Tensors], words: str
) -> None:
    ready.adopt(save(change(load(ready.base))))
    capsys.readouterr()
    (ready.root / "out" / "model.safetensors").unlink()
    assert run(ready, verb) == 1
    assert ready.json("error.json") == {"code": "BaseDiffers"}
    log = capsys.readouterr().err
    assert log.startswith(f"{verb}: BaseDiffers: the base ")
    assert words in log
    assert [each.name for each in (ready.root / "out").iterdir()] == ["error.json"]


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_a_base_that_is_no_safetensors_file_is_refused(ready: Any, run: Any, verb: str) -> None:
    ready.adopt(b"no tensors")
    assert run(ready, verb) == 1
    assert ready.json("error.json") == {"code": "BaseUnreadable"}
