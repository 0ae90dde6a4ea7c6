"""Deals rows to hospitals in many splits, and has every split's models predict the same test rows. Needs no cluster.

`lab/splits_inside.py` simulates the rounds inside the trainer image, where torch is.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from lab import demo_data, demo_rounds, trainer_python
from lab.demo_rounds import Chain
from lab.images import Progress

# The models of a split: all hospitals together, and one hospital that has the rows of all.
TOGETHER, POOLED = "together", "pooled"
# The kind of a model that one hospital trains alone.
ALONE = "alone"
TEST_SHARE = 0.2

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Truth = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cases:
    """A table of patients, one row each. `malignant`: bool of shape (rows,)."""

    header: list[str]
    rows: list[list[str]]
    malignant: Truth

    @property
    def values(self) -> Array:
        """The features, of shape (rows, features)."""
        return np.array([row[2:] for row in self.rows], np.float64)

    def choose(self, chosen: Indices) -> demo_data.Table:
        return self.header, [self.rows[each] for each in chosen]


@dataclass(frozen=True)
class Layout:
    """The hospitals' files. Hospitals are counted from 0, in the order of `Split.train`.

    `dataset`: a hospital's Dataset. `export`: the table as this hospital's file has it.
    """

    data_schema: Mapping[str, Any]
    dataset: Callable[[int], dict[str, Any]]
    export: Callable[[demo_data.Table, int], demo_data.Table]


@dataclass(frozen=True)
class Recipe:
    """How a model trains. `rounds`: Train rounds after the Statistics round. `parameters`: these of the demo change."""

    rounds: int
    parameters: Mapping[str, str]


def as_they_are() -> Layout:
    """All files have the columns, units and spellings of the demo's DataSchema."""
    return Layout(demo_rounds.data_schema(), lambda _: demo_rounds.dataset(), lambda table, _: table)


@dataclass(frozen=True)
class Split:
    """`train`: indices of each hospital's training rows. `test`: indices of the test rows, which no hospital has."""

    train: Mapping[str, Indices]
    test: Indices


def stratified(malignant: Truth, chosen: Indices, draw: np.random.Generator) -> tuple[Indices, Indices]:
    """Training and test rows of the chosen ones. Both classes have the same share of test rows."""
    train, test = [], []
    for truth in (True, False):
        shuffled = draw.permutation(chosen[malignant[chosen] == truth])
        cut = round(TEST_SHARE * len(shuffled))
        test.append(shuffled[:cut])
        train.append(shuffled[cut:])
    return draw.permutation(np.concatenate(train)), draw.permutation(np.concatenate(test))


def predictions(
    cases: Cases,
    splits: Sequence[Split],
    progress: Progress,
    *,
    alone: bool = True,
    pooled: bool = True,
    layout: Layout | None = None,
    recipes: Mapping[str, Recipe] | None = None,
) -> Iterator[dict[str, Array]]:
    """For each split, the probabilities of its test rows, in their order, by each model: TOGETHER, POOLED, and the name
    of each hospital that trains alone. Raises LabError.

    `layout`: None for files as they are. `recipes`: of TOGETHER, POOLED and ALONE. A model without a recipe trains with
    the parameters of the demo, which nobody has tuned, and for as many epochs as the demo.
    """
    layout = layout or as_they_are()
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number, split in enumerate(splits):
            _write(folder / "splits" / f"{number:03}", cases, split, layout, alone=alone, pooled=pooled)
        (folder / "rounds.json").write_text(json.dumps(_documents(layout, recipes or {})), "utf-8")
        folder.chmod(0o755)
        arguments = [f"{trainer_python.GIVEN}/rounds.json", f"{trainer_python.GIVEN}/splits"]
        output = trainer_python.run("lab.splits_inside", arguments, folder, ("lab",), progress)
    for line in output.splitlines():
        if line.startswith("{"):
            yield {model: np.array(each, np.float64) for model, each in json.loads(line).items()}


def _documents(layout: Layout, recipes: Mapping[str, Recipe]) -> dict[str, list[dict[str, Any]]]:
    """The rounds of each kind of model: the demo's for the federation, one round of equally many epochs for the others.
    All predict the holdout."""
    chain = demo_rounds.federated("registry.example/trainer@sha256:" + "b" * 64)
    alone = demo_rounds.alone(chain, ALONE)
    chains = {TOGETHER: chain, POOLED: alone, ALONE: alone}
    documents = {
        kind: _for_everybody(_trained(each, recipes[kind]) if kind in recipes else copy.deepcopy(each))
        for kind, each in chains.items()
    }
    names = {
        "datasetName": layout.dataset(0)["metadata"]["name"],
        "schemaName": layout.data_schema["metadata"]["name"],
    }
    for each in itertools.chain.from_iterable(documents.values()):
        each["spec"] |= {key: name for key, name in names.items() if key in each["spec"]}
    return documents


def _trained(chain: Chain, recipe: Recipe) -> Chain:
    """The chain with as many Train rounds as the recipe says, each with its parameters."""
    statistics, first, *_ = copy.deepcopy(chain.training)
    first["spec"]["parameters"] |= recipe.parameters
    training = [statistics, first]
    for number in range(2, recipe.rounds + 1):
        each = copy.deepcopy(first)
        del each["spec"]["initial"]
        each["spec"]["base"] = {"roundName": training[-1]["metadata"]["name"]}
        each["metadata"]["name"] = f"{first['metadata']['name']}-{number}"
        training.append(each)
    evaluation = copy.deepcopy(chain.evaluation)
    evaluation["spec"]["base"]["roundName"] = training[-1]["metadata"]["name"]
    return Chain(chain.owner, tuple(training), evaluation)


def _for_everybody(chain: Chain) -> list[dict[str, Any]]:
    everybody = {"selector": {"matchLabels": {"hospital": "any"}}}
    for each in chain.training:
        each["spec"]["participants"], each["spec"]["quorum"] = everybody, {"min": 1}
    evaluation = chain.evaluation
    evaluation["spec"] |= {"participants": {"names": ["holdout"]}, "quorum": {"min": 1}, "metrics": ["accuracy"]}
    return [*chain.training, evaluation]


def _write(folder: Path, cases: Cases, split: Split, layout: Layout, *, alone: bool, pooled: bool) -> None:
    """One folder for each model, with a folder for each hospital that trains it, and the test rows."""
    places = {name: place for place, name in enumerate(split.train)}
    models = {TOGETHER: split.train}
    if alone:
        models |= {name: {name: chosen} for name, chosen in split.train.items()}
    if pooled:
        models[POOLED] = {POOLED: np.concatenate(list(split.train.values()))}
    for model, hospitals in models.items():
        for name, chosen in hospitals.items():
            _hospital(folder / model / name, cases.choose(chosen), layout, places.get(name, 0))
        # The first hospital's Dataset describes the test rows.
        test = layout.export(cases.choose(split.test), places.get(min(hospitals), 0))
        demo_data.write(test, folder / model / "test.csv")
        # JSON is YAML that is fast to read.
        (folder / model / "dataschema.yaml").write_text(json.dumps(layout.data_schema), "utf-8")


def _hospital(folder: Path, table: demo_data.Table, layout: Layout, place: int) -> None:
    """A hospital of which every row is a training row."""
    folder.mkdir(parents=True)
    demo_data.write(layout.export(table, place), folder / "cases.csv")
    dataset = layout.dataset(place)
    dataset["spec"]["split"] = {"validation": "0", "test": "0"}
    (folder / "dataset.yaml").write_text(json.dumps(dataset), "utf-8")
