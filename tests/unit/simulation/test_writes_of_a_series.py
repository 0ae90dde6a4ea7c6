"""What a Train round of a series costs the hub's API server, and what a round of a chain by hand costs it. Both are
played by all of Wardround in one process, so only the number of writes counts, and no time."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from lab import demo_data
from tests.conditions import is_true
from tests.simulation.federation import HUB_NAMESPACE, HUB_OPERATOR, Federation
from tests.simulation.hub import SETTLED_SECONDS
from tests.simulation.rounds import documents, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_evaluations import HOSPITALS, MODEL, small
from tests.unit.simulation.test_model import ALL_TASKS
from wardround.ports import Object

OPERATOR = f"{HUB_NAMESPACE}:{HUB_OPERATOR}"
Writes = Counter[str]
# Between two series of so many Train rounds, the difference is in further rounds alone.
SHORT, LONG = 2, 4
FURTHER = LONG - SHORT
# The operator posts each round of a series, and first writes its name into the status of the model.
OF_SERIES = Writes({"create FederatedRound": FURTHER, "patch FederatedModel": FURTHER})
# The person who chains rounds by hand posts each of them.
BY_PERSON = FURTHER
# Whether two pieces of news about a round reach the operator together depends on the order of calls.
VARIES = "patch FederatedRound"


def written(federation: Federation) -> Writes:
    """The operator's writes by verb and kind, without heartbeats."""
    done = (each for each in federation.hub.writes if each.account == OPERATOR and each.place.kind != "Lease")
    return Writes(f"{each.verb} {each.place.kind}" for each in done)


async def chained(federation: Federation) -> Writes:
    """A person applies each round once the one before is over. Returns the writes of the further rounds."""
    rounds, before = documents(ALL_TASKS)[: 1 + LONG], Writes()
    for place, each in enumerate(rounds):
        each["spec"] |= {"participants": {"names": [each.name for each in HOSPITALS]}, "quorum": {"min": 2}}
        federation.apply(each)
        await federation.over(each["metadata"]["name"])
        await asyncio.sleep(SETTLED_SECONDS)
        before = written(federation) if place == SHORT else before
    return written(federation) - before


def model(trainings: int) -> Object:
    item = small(0)
    item["spec"]["series"]["rounds"] = trainings
    item["spec"]["evaluation"]["testRows"] = False
    return item


async def in_a_series(federation: Federation, trainings: int) -> Writes:
    federation.apply(model(trainings))
    await federation.until("the series has ended", lambda: is_true(federation.hub.read(MODEL), "Ready"))
    await asyncio.sleep(SETTLED_SECONDS)
    return written(federation)


def played(trainings: int | None) -> Writes:
    """`trainings`: Train rounds of a series; None for the chain by hand."""

    async def main(loop: VirtualLoop, folder: Path) -> Writes:
        federation = Federation(loop, folder, ALL_TASKS, 1, hospitals=HOSPITALS)
        async with federation.running(demo_data.tables()):
            return await (chained(federation) if trainings is None else in_a_series(federation, trainings))

    with scratch() as folder:
        return play(lambda loop: main(loop, Path(folder)))


@pytest.fixture(scope="module")
def chain() -> Writes:
    """For the further rounds of a chain."""
    return played(None)


@pytest.fixture(scope="module")
def series() -> Writes:
    """For the further rounds of a series."""
    longer = played(LONG)
    longer.subtract(played(SHORT))
    return longer


def test_a_round_of_a_series_costs_no_more_writes_than_a_round_that_a_person_chains_by_hand(
    chain: Writes, series: Writes
) -> None:
    assert chain[VARIES] >= FURTHER, "the operator writes the status of each round"
    assert series.total() <= chain.total() + BY_PERSON, (series, chain)


def test_of_each_kind_a_series_adds_only_the_post_of_the_round_and_one_status_of_the_model(
    chain: Writes, series: Writes
) -> None:
    added = {kind: count - chain[kind] for kind, count in series.items() if kind != VARIES and count > chain[kind]}
    assert added == dict(OF_SERIES), (series, chain)
