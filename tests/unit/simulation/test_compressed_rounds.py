"""Rounds with compressed updates, with the real operators, couriers and pods. `wardround simulate` makes the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import demo_data
from tests.conditions import is_true
from tests.simulation.rounds import OWN, Played, documents, play_rounds, scratch
from wardround.ports import Object
from wardround.simulate.play import Finished, play
from wardround.simulate.prepared import prepared

MOMENTUM = {"strategy": "FedAvgM", "parameters": {"serverLearningRate": "0.5", "momentum": "0.9"}}


def rounds() -> list[Object]:
    """Statistics, first weights, a round of each compression from the same base, and one with a server optimizer."""
    statistics, first, second = documents(OWN)[:3]
    made = [statistics, first]
    for name, aggregation in (
        ("plain", {}),
        ("half", {"compression": "BFloat16"}),
        ("quarter", {"compression": "Int8"}),
        ("momentum", {**MOMENTUM, "compression": "Int8"}),
    ):
        each = copy.deepcopy(second)
        each["metadata"]["name"], each["spec"]["aggregation"] = name, aggregation
        made.append(each)
    return made


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with scratch() as folder:
        yield play_rounds(Path(folder), demo_data.tables(), rounds(), trainer=OWN)


def test_a_compressed_round_is_complete_and_its_result_says_so(played: Played) -> None:
    assert all(is_true(each, "Complete") for each in played.rounds)
    results = {each["metadata"]["name"]: each["status"]["result"] for each in played.rounds}
    compressions = {name: each.get("compression") for name, each in results.items()}
    assert {name: each for name, each in compressions.items() if each} == {
        "half": "BFloat16",
        "quarter": "Int8",
        "momentum": "Int8",
    }
    assert len({each["digest"] for each in results.values()}) == len(results)


def test_simulate_makes_the_same_models(played: Played, tmp_path: Path) -> None:
    demo_data.write_folders(tmp_path)
    ended = play(prepared(rounds(), tmp_path, trainer=OWN.program))
    simulated = {each.name: each.result.digest for each in ended if isinstance(each, Finished)}
    assert simulated == {each["metadata"]["name"]: each["status"]["result"]["digest"] for each in played.rounds}
