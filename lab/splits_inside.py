"""Simulates the rounds of lab/splits.py inside the trainer image. Prints one line of JSON for each split.

Needs no package of the tests: the trainer image has torch, and the operator's packages.
"""

from __future__ import annotations

import array
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wardround.simulate.play import play
from wardround.simulate.pod import Ended
from wardround.simulate.prepared import prepared
from wardround.simulate.trainers import Trainer, reference


def main() -> None:
    [file, folder] = sys.argv[1:]
    rounds, trainer = json.loads(Path(file).read_text("utf-8")), reference()
    for number, split in enumerate(sorted(Path(folder).iterdir())):
        models = sorted(each for each in split.iterdir() if each.is_dir())
        kinds = {each.name: rounds.get(each.name, rounds["alone"]) for each in models}
        result = {each.name: predictions(kinds[each.name], each, number, trainer) for each in models}
        print(json.dumps(result), flush=True)


def predictions(rounds: Sequence[Mapping[str, Any]], data: Path, seed: int, trainer: Trainer) -> list[float]:
    """The last model's probabilities of the split's test rows, in the file's order."""
    predicted = array.array("d")

    def watch(ended: Ended) -> None:
        if ended.verb == "predict":
            predicted.frombytes((ended.container.folder / "out" / "predictions.f64").read_bytes())

    # Hospitals may have fewer rows than one would tell: their numbers are not looked at.
    simulation = prepared(rounds, data, holdout=data / "test.csv", seed=seed, min_cell=1, trainer=trainer)
    for _ in play(simulation, watch=watch):
        pass
    return list(predicted)


if __name__ == "__main__":
    main()
