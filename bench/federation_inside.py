"""Measures the ten rounds of bench/federation.py inside the trainer image, with wardround_trainer.

The folder that it is given is one of `python -m lab.demo_data`. Arguments: the number of runs, and the reference of the
image.
"""

import sys
from pathlib import Path

from bench import federation
from lab import demo_data
from lab.trainer_python import GIVEN
from tests.simulation.federation import Trainer
from wardround.simulate import trainers


def main(runs: str, image: str) -> None:
    federation.measure(demo_data.read_folders(Path(GIVEN)), int(runs), Trainer(trainers.reference(), image))


if __name__ == "__main__":
    main(*sys.argv[1:])
