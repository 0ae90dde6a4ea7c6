"""Trains a FederatedModel by all of Wardround in one process, inside the trainer image. Prints one line of JSON.

The folder that it is given holds model.json, and the folder `data` with the tables and secrets of each hospital.
Argument: the reference of the trainer image. The line has the digests of the series' rounds, in order.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path

from lab import demo_data
from lab.trainer_python import GIVEN
from tests.conditions import is_true
from tests.simulation.apiserver import Place
from tests.simulation.federation import Federation, Trainer
from tests.simulation.rounds import scratch
from tests.simulation.virtual import VirtualLoop, play
from wardround.simulate import trainers

DATA = Path(GIVEN) / "data"


def main(image: str) -> None:
    # Conflicting writes are normal, and the operators retry them: do not log them.
    logging.getLogger("wardround").setLevel(logging.ERROR)
    model = json.loads((Path(GIVEN) / "model.json").read_text("utf-8"))
    place = Place("FederatedModel", model["metadata"]["namespace"], model["metadata"]["name"])

    async def train(loop: VirtualLoop) -> list[str]:
        trainer = Trainer(trainers.reference(), image)
        federation = Federation(loop, Path(folder), trainer, seed=1, write_keys=copy_keys)
        async with federation.running(demo_data.read_folders(DATA)):
            federation.apply(model)
            await federation.until("the series has ended", lambda: is_true(federation.hub.read(place), "Ready"))
            rounds = federation.hub.read(place)["status"]["series"]["rounds"]
            return [federation.round(each["name"])["status"]["result"]["digest"] for each in rounds]

    with scratch() as folder:
        print(json.dumps(play(train)))


def copy_keys(hospital: demo_data.Hospital, state: Path) -> None:
    """The keys with which the hospital of the clusters has split and ordered its rows."""
    for key in hospital.keys:
        (state / key).parent.mkdir(parents=True)
        shutil.copyfile(DATA / hospital.name / key, state / key)


if __name__ == "__main__":
    main(*sys.argv[1:])
