"""Rounds that ask the same of the same data make the same model, bit for bit."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lab import demo_data
from tests.simulation.federation import Trainer
from tests.simulation.programs import own_image
from tests.simulation.rounds import OWN, documents, play_rounds, scratch
from wardround.ports import Object

EQUAL = 4


def drawing_image(verb: str) -> int:
    """The example's image, which also draws: `init` from the round's seed, `train` from the hospital's secret seed."""
    code = own_image(verb)
    if code == 0 and verb in ("init", "train"):
        root = Path(os.environ["WARDROUND_ROOT"])
        task = json.loads((root / "task" / "task.json").read_text())
        dice = np.random.default_rng(task["seed" if verb == "init" else "orderSeed"])
        path = root / "out" / "model.safetensors"
        model = load_file(path)
        model["weight"] += dice.normal(size=model["weight"].shape, scale=1e-3).astype(np.float32)
        save_file(model, path)
    return code


DRAWING = Trainer(drawing_image, policy=OWN.policy)


def under_another_name(document: Object, name: str, **spec: object) -> Object:
    made = copy.deepcopy(document)
    made["metadata"]["name"] = name
    made["spec"] |= spec
    return made


@pytest.fixture(scope="module")
def digests() -> Mapping[str, str]:
    """The digest of each round's result, by the round's name."""
    statistics, first, second, *_ = documents(OWN)
    rounds = [statistics, first, second]
    for original in (first, second):
        name = original["metadata"]["name"]
        rounds += [under_another_name(original, f"{name}-again-{number}") for number in range(1, EQUAL)]
        rounds.append(under_another_name(original, f"{name}-other-seed", seed=original["spec"]["seed"] + 1))
    with scratch() as folder:
        played = play_rounds(Path(folder), demo_data.tables(), rounds, trainer=DRAWING)
    return {each["metadata"]["name"]: each["status"]["result"]["digest"] for each in played.rounds}


@pytest.mark.parametrize("name", ["train-1", "train-2"])
def test_equal_rounds_have_equal_digests(digests: Mapping[str, str], name: str) -> None:
    """One round makes the model, the other starts from a model."""
    equal = [name, *(f"{name}-again-{number}" for number in range(1, EQUAL))]
    assert {digests[each] for each in equal} == {digests[name]}


@pytest.mark.parametrize("name", ["train-1", "train-2"])
def test_a_round_with_another_seed_is_another_training(digests: Mapping[str, str], name: str) -> None:
    assert digests[f"{name}-other-seed"] != digests[name]
