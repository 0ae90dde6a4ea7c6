"""Ten rounds of the demo's hospitals: statistics, eight of training, an evaluation; and what a play leaves behind."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import demo_data, demo_rounds
from tests.simulation.client import Client, Connect
from tests.simulation.federation import Federation, Trainer
from tests.simulation.programs import own_image
from tests.simulation.virtual import VirtualLoop, play
from wardround.ports import Object
from wardround.simulate.containers import Container

TRAININGS = 8
OWN = Trainer(
    own_image,
    policy={
        "commands": [["python", "/trainer.py"]],
        "parameters": [{"name": "steps", "minimum": "1", "maximum": "1000"}, {"name": "learningRate", "maximum": "1"}],
    },
)


def own_round() -> Object:
    """What a round of examples/own-image adds to the example rounds. Each caller may change its own."""
    return {
        "command": ["python", "/trainer.py"],
        "parameters": {"steps": "20", "learningRate": "0.5"},
        "exchange": {"frozen": ["input.*"]},
    }


@dataclass
class Played:
    """`rounds` and `tasks` in order, as the API server has them; `plain`: every plaintext model and update that pods
    had, by round, participant and file; `stored`: every object that the store ever had; `seconds` of virtual time."""

    federation: Federation
    rounds: list[Object]
    tasks: dict[str, list[Object]]
    plain: dict[tuple[str, str, str], bytes]
    seconds: float

    @property
    def stored(self) -> Mapping[str, bytes]:
        return self.federation.store.ever

    @property
    def digests(self) -> list[str]:
        return [str(each["status"]["result"]["digest"]) for each in self.rounds]


def scratch() -> TemporaryDirectory[str]:
    """A folder for a play, in memory where the machine has such a place: pods' volumes are made, synced and removed."""
    memory = Path("/dev/shm")
    return TemporaryDirectory(dir=memory if memory.is_dir() else None)


def documents(trainer: Trainer) -> list[Object]:
    """The rounds of the examples, training continued."""
    chain = demo_rounds.federated(trainer.reference)
    statistics, *training = chain.training
    while len(training) < TRAININGS:
        further = copy.deepcopy(training[-1])
        further["spec"]["base"]["roundName"] = further["metadata"]["name"]
        further["metadata"]["name"] = f"train-{len(training) + 1}"
        training.append(further)
    evaluation = copy.deepcopy(chain.evaluation)
    evaluation["spec"]["base"]["roundName"] = training[-1]["metadata"]["name"]
    evaluation["spec"]["references"] = [training[0]["metadata"]["name"]]
    if trainer.program is own_image:
        for each in training:
            each["spec"] |= own_round()
        evaluation["spec"]["command"] = own_round()["command"]
    return [statistics, *training, evaluation]


@dataclass
class _Collected:
    """Files that would never leave a hospital, picked up while the pod that had them is there."""

    plain: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    def see(self, container: Container) -> None:
        labels = container.job["metadata"]["labels"]
        for file in ("out/model.safetensors", "update/update.safetensors"):
            path = container.folder / file
            if path.is_file():
                key = labels["wardround.io/round"], labels.get("wardround.io/participant", ""), file
                self.plain[key] = path.read_bytes()


def play_ten_rounds(
    folder: Path,
    tables: Mapping[str, demo_data.Table],
    *,
    seed: int = 1,
    trainer: Trainer = OWN,
    connect: Connect = Client,
) -> Played:
    """From nothing to the end of the last round."""
    return play_rounds(folder, tables, documents(trainer), seed=seed, trainer=trainer, connect=connect)


def play_rounds(
    folder: Path,
    tables: Mapping[str, demo_data.Table],
    rounds: Sequence[Object],
    *,
    seed: int = 1,
    trainer: Trainer = OWN,
    connect: Connect = Client,
) -> Played:
    """Rounds that are all applied at once."""
    collected = _Collected()

    async def main(loop: VirtualLoop) -> Played:
        federation = Federation(loop, folder, trainer, seed, collected.see, connect=connect)
        async with federation.running(tables):
            federation.apply(*copy.deepcopy(rounds))
            ended = [await federation.over(each["metadata"]["name"]) for each in rounds]
            keys = federation.store.stored.keys
            await federation.until("no update is left", lambda: all(key.startswith("models/") for key in keys()))
            names = [each["metadata"]["name"] for each in rounds]
            tasks = {name: federation.hub.select("RoundTask", None, f"wardround.io/round={name}") for name in names}
            return Played(federation, ended, tasks, collected.plain, loop.time())

    return play(main)
