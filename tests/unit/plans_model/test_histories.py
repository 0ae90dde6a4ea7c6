"""5,000 histories of two series: rounds fail, people change, suspend or pin, the operator dies between writes.

At the end of the second series, the gate compares its best model with the version of the first one.
"""

import random
from datetime import datetime, timedelta

import pytest

from tests.unit.plans_model.world import World, model
from wardround.api.federatedmodel import OnFailure
from wardround.api.federatedround import Outcome
from wardround.plans.model import series as rounds

HISTORIES = 5000
RETRIES = 3
BATCHES = 10


WEEKLY = {"cron": "0 2 * * 1"}


def play(seed: int) -> World:
    """A history with a random length of the series, Evaluate rounds between its Train rounds, failures, crashes, edits
    and suspensions."""
    draw = random.Random(seed)
    length = draw.randint(1, 4)
    losses: list[str | None] = [draw.choice([f"0.{draw.randint(10, 99)}", None]) for _ in range(2 * length + 1)]
    outcome: Outcome = draw.choice(["Accepted", "Worse", "Undecided"])
    first = model(
        rounds=length,
        stop={"patience": draw.randint(0, length - 1)},
        spec={
            "trigger": WEEKLY,
            "history": {"versions": draw.randint(1, 2)},
            "deliver": {"to": draw.choice(["Participants", "Nobody"])},
            "evaluation": {"every": draw.choice([0, 0, 1, 2, 3]), "testRows": draw.random() < 0.8},
        },
        **{"from": draw.choice(["Current", "Scratch"])},
    )
    world = World(first, losses, outcomes=[outcome])
    for number in (1, 2):
        for _ in range(draw.randint(0, 25)):
            happen(world, draw)
        world.suspend(False)
        world.change(on_failure=OnFailure(retries=RETRIES))
        finish(world, draw)
        if number == 1:
            check_series(world, seed)
            world.now = datetime.fromisoformat(world.next_start) + timedelta(hours=draw.randint(0, 300))
    world.pin(None)
    world.run()
    return world


def finish(world: World, draw: random.Random) -> None:
    """Every round ends, until nothing changes. Some of the Evaluate rounds fail, as often as the series tries them."""
    doomed: dict[tuple[object, ...], bool] = {}
    for _ in range(600):
        world.settle()
        under_way = [name for name, each in world.rounds.items() if not each.status.conditions]
        if not under_way:
            return
        newest = rounds.last(world.series)
        if under_way[0] == newest.name and newest.task == "Evaluate":
            place = world.series.number, newest.number, newest.references
            if doomed.setdefault(place, draw.random() < 0.25):
                world.fail(under_way[0])
                continue
        world.complete(under_way[0])
    raise AssertionError("the series does not end")


EVENTS = [*["step"] * 3, *["crash"] * 2, *["complete"] * 2, "fail", "suspend", "change", "pin"]


def happen(world: World, draw: random.Random) -> None:
    under_way = [name for name, each in world.rounds.items() if not each.status.conditions]
    match draw.choice(EVENTS):
        case "step":
            world.step()
        case "crash":
            world.step(writes=draw.randint(0, 2))
        case "complete" if under_way:
            world.complete(draw.choice(under_way))
        case "fail" if under_way:
            world.fail(draw.choice(under_way), asked=draw.random() < 0.5)
        case "suspend":
            world.suspend(draw.random() < 0.5)
        case "pin":
            world.pin(draw.choice([None, None, 1, 2, 3]))
        case "change":
            world.change(parameters={"epochs": str(draw.randint(1, 9))})


def check_series(world: World, seed: int) -> None:
    """Of the series that has ended."""
    series = world.series
    assert series.stage == "Ended", seed
    complete = [
        (each.task, each.number) for each in series.rounds if each.outcome == "Complete" and not each.references
    ]
    trained = [number for task, number in complete if task == "Train"]
    planned = world.model.spec.series
    assert len(trained) == planned.rounds or planned.stop.patience, seed
    statistics = [("Statistics", 0)] if series.base is None else []
    every = world.model.spec.evaluation.every
    evaluations = {each.number: each for each in series.rounds if each.task == "Evaluate" and not each.references}
    # The last model is measured once, whatever `every` says. The comparison measures the only model of a series, if it
    # does not fail.
    only_compared = len(trained) == 1 and any(each.references and each.outcome == "Complete" for each in series.rounds)
    by_own_rounds = [n for n in trained if n == len(trained) or (every and n % every == 0)]
    assert list(evaluations) == by_own_rounds or (only_compared and not evaluations), seed
    measured = {number for number, each in evaluations.items() if each.outcome == "Complete"}
    places = ((n, task) for n in range(1, len(trained) + 1) for task in ("Train", "Evaluate"))
    assert complete == [*statistics, *((task, n) for n, task in places if task == "Train" or n in measured)], seed
    known = [(float(each.loss), each.number, each.name) for each in series.rounds if each.loss is not None]
    last = [each.name for each in series.rounds if each.task == "Train" and each.outcome == "Complete"][-1]
    assert series.version is not None, seed
    version = world.versions[series.version]
    assert version.spec.round_name == (min(known)[2] if known else last), seed
    assert (version.spec.version, version.status.verdict is not None) == (series.number, True), seed


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_history_ends_with_the_version_that_the_gate_chose_and_nothing_made_twice(batch: int) -> None:
    for seed in range(batch * HISTORIES // BATCHES, (batch + 1) * HISTORIES // BATCHES):
        world = play(seed)
        check_series(world, seed)
        assert world.series.number == 2, seed
        assert len(world.created) == len(set(world.created)), seed
        assert len(world.made) == len(set(world.made)) == 2, seed
        # A round that was created is in the series, in this order.
        named = [each.name for each in world.series.rounds]
        assert [name for name in world.created if name in named] == named, seed
        check_versions(world, seed)
        for number in (1, 2, 1):
            world.pin(number)
            world.run()
        check_tests(world, seed)


def check_versions(world: World, seed: int) -> None:
    status = world.model.status
    if world.pinned:
        assert status.current is None or world.current in {1, 2}, seed
    else:
        assert world.current == (2 if world.verdict(2)[0] == "Accepted" else 1), seed
    assert status.versions == tuple(sorted(world.versions)), seed
    needed = {each.spec.round_name for each in world.versions.values()} | {each.name for each in world.series.rounds}
    delivers = world.model.spec.deliver.recipients == "Participants"
    assert (status.delivery.version if status.delivery else None) == (status.current if delivers else None), seed
    needed |= {each.round for each in (status.delivery, status.testing) if each}
    assert set(world.rounds) <= needed, seed
    assert needed - set(world.rounds) <= ({status.testing.round} if status.testing else set()), seed
    check_tests(world, seed)
    free = [name for name, each in world.versions.items() if not each.metadata.owner_references]
    assert free == ([status.current] if status.current else []), seed


def check_tests(world: World, seed: int) -> None:
    """Each version that people have had is measured on test rows at most once, and the current one is."""
    tested = {name: each.status.test for name, each in world.versions.items() if each.status.test}
    assert set(tested) <= set(world.model.status.served), seed
    current = world.model.status.current
    wanted = world.model.spec.evaluation.test_rows
    assert (current in tested) == (wanted and current is not None) or not wanted, seed
    for base in {world.bases[name] for name in world.tests}:
        attempts = [name for name in world.tests if world.bases[name] == base]
        assert len(world.opened.intersection(attempts)) <= 1, seed
        *tries, _ = [world.ended[name] for name in attempts]
        assert set(tries) <= {"Failed"}, seed
        assert len(tries) <= RETRIES, seed
    for each in world.versions.values():
        assert {metric.rows for metric in each.status.metrics} <= {"Validation"}, seed
        numbers = each.status.test.metrics if each.status.test else ()
        assert {metric.rows for metric in numbers} <= {"Test"}, seed


@pytest.mark.parametrize("every", [0, 1])
def test_equal_ends_whatever_write_the_operator_dies_after(every: int) -> None:
    """The crash sweep: the operator dies once, after each write of two series with a gate in turn."""
    whole, writes = swept(None, every)
    assert whole.current == 2
    assert whole.tests == ["heart-t1-0123abcd", "heart-t2-0123abcd"]
    assert writes > 50
    for death in range(writes):
        world, _ = swept(death, every)
        assert world.created == whole.created, death
        assert world.made == whole.made, death
        assert world.series.best == whole.series.best, death
        assert set(world.rounds) == set(whole.rounds), death
        assert {name: each.status for name, each in world.versions.items()} == {
            name: each.status for name, each in whole.versions.items()
        }, death
        assert (world.model.status.current, world.model.status.served) == (
            whole.model.status.current,
            whole.model.status.served,
        ), death


def swept(death: int | None, every: int) -> tuple[World, int]:
    """Two series, and how many writes they took. The operator dies once, after so many writes."""
    world, writes = (
        World(
            model(
                rounds=2,
                spec={
                    "trigger": WEEKLY,
                    "deliver": {"to": "Participants"},
                    "evaluation": {"every": every, "testRows": True},
                },
            ),
            ["0.5", "0.4", "0.35", "0.3"],
        ),
        0,
    )
    for number in (1, 2):
        for _ in range(200):
            under_way = [name for name, each in world.rounds.items() if not each.status.conditions]
            before = world.model.status, set(world.rounds), set(world.versions)
            left = death - writes if death is not None and death >= writes else None
            plan = world.step(writes=left)
            writes += len(plan.actions) + 1
            if before == (world.model.status, set(world.rounds), set(world.versions)):
                if not under_way:
                    break
                world.complete(under_way[0])
        world.run()
        if number == 1:
            world.now = datetime.fromisoformat(world.next_start)
    return world, writes
