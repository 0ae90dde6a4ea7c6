"""Simulates the rounds of bench/accuracy.py inside the trainer image. Prints one line of JSON for each split.

Needs no package of the tests: the trainer image has torch, and the operator's packages.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wardround.simulate.files import HOLDOUT
from wardround.simulate.play import Finished, play
from wardround.simulate.prepared import prepared
from wardround.simulate.trainers import Trainer, reference


def main() -> None:
    [file, folder] = sys.argv[1:]
    rounds, trainer = json.loads(Path(file).read_text("utf-8")), reference()
    for number, split in enumerate(sorted(Path(folder).iterdir())):
        alone = [accuracy(rounds["alone"], each, split, number, trainer) for each in sorted(split.glob("alone-*"))]
        result = {
            "federated": accuracy(rounds["together"], split / "together", split, number, trainer),
            "pooled": accuracy(rounds["alone"], split / "pooled", split, number, trainer),
            "local": alone,
        }
        print(json.dumps(result), flush=True)


def accuracy(rounds: Sequence[Mapping[str, Any]], data: Path, split: Path, seed: int, trainer: Trainer) -> float:
    """The accuracy of the last model on the split's test rows."""
    # Hospitals may have fewer rows than one would tell: their numbers are not looked at.
    simulation = prepared(rounds, data, holdout=split / "test.csv", seed=seed, min_cell=1, trainer=trainer)
    *_, last = play(simulation)
    assert isinstance(last, Finished)
    assert last.source == HOLDOUT
    return float({each.name: each.value for each in last.result.metrics}["accuracy"])


if __name__ == "__main__":
    main()
