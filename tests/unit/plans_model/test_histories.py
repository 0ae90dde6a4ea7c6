"""5,000 histories of a series: rounds fail, people change or suspend the model, the operator dies between writes."""

import random

import pytest

from tests.unit.plans_model.world import World, model
from wardround.api.federatedmodel import OnFailure

HISTORIES = 5000
BATCHES = 10


def play(seed: int) -> World:
    """A history with a random length of the series, failures, crashes, edits and suspensions."""
    draw = random.Random(seed)
    length = draw.randint(1, 6)
    losses: list[str | None] = [draw.choice([f"0.{draw.randint(10, 99)}", None]) for _ in range(length)]
    world = World(model(rounds=length, stop={"patience": draw.randint(0, length - 1)}), losses)
    for _ in range(draw.randint(0, 60)):
        happen(world, draw)
    world.suspend(False)
    world.change(on_failure=OnFailure(retries=3))
    world.run()
    return world


def happen(world: World, draw: random.Random) -> None:
    under_way = [name for name, each in world.rounds.items() if not each.status.conditions]
    match draw.choice(["step", "step", "step", "crash", "crash", "complete", "complete", "fail", "suspend", "change"]):
        case "step":
            world.step()
        case "crash":
            world.step(writes=draw.randint(0, 2))
        case "complete" if under_way:
            world.complete(draw.choice(under_way))
        case "fail" if under_way:
            world.fail(draw.choice(under_way))
        case "suspend":
            world.suspend(draw.random() < 0.5)
        case "change":
            world.change(parameters={"epochs": str(draw.randint(1, 9))})


@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_history_ends_with_one_version_of_the_best_model_and_no_round_made_twice(batch: int) -> None:
    for seed in range(batch * HISTORIES // BATCHES, (batch + 1) * HISTORIES // BATCHES):
        world = play(seed)
        series = world.series
        assert series.stage == "Ended", seed
        assert len(world.created) == len(set(world.created)), seed
        # A round that was created is in the series, in this order.
        assert world.created == [each.name for each in series.rounds], seed
        complete = [(each.task, each.number) for each in series.rounds if each.outcome == "Complete"]
        trained = [number for task, number in complete if task == "Train"]
        measured = [("Evaluate", len(trained))] if series.rounds[-1].outcome == "Complete" else []
        training = [("Train", number) for number in range(1, len(trained) + 1)]
        assert complete == [("Statistics", 0), *training, *measured], seed
        assert series.rounds[-1].task == "Evaluate", seed
        known = [(float(each.loss), each.number, each.name) for each in series.rounds if each.loss is not None]
        [version] = world.versions.values()
        last = [each.name for each in series.rounds if each.task == "Train" and each.outcome == "Complete"][-1]
        assert version.spec.round_name == (min(known)[2] if known else last), seed
        assert world.model.status.current == version.metadata.name, seed


def test_equal_ends_whatever_write_the_operator_dies_after() -> None:
    """The crash sweep: the operator dies once, after each write of a series in turn."""
    whole = World(model())
    whole.run()
    for death in range(200):
        world, writes = World(model()), 0
        for _ in range(200):
            under_way = [name for name, each in world.rounds.items() if not each.status.conditions]
            before = world.model.status, len(world.rounds), len(world.versions)
            plan = world.step(writes=max(death - writes, 0) if writes <= death < writes + 2 else None)
            writes += len(plan.actions) + 1
            if before == (world.model.status, len(world.rounds), len(world.versions)):
                if not under_way:
                    break
                world.complete(under_way[0])
        world.run()
        assert world.created == whole.created, death
        assert world.series.best == whole.series.best, death
        assert list(world.versions) == list(whole.versions), death
