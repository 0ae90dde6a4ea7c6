"""Measures the hub operator while many FederatedModels run series of rounds: `python -m bench.models`.

The hub operator is a process of its own, with the chart's rights at a real API server, and with a real store. The
hospitals, the Job controller and the kubelet are played (bench/models_players.py). Every model begins its next series
every few minutes, and keeps one version. In each minute, equally many models begin. Before, the same number of Train
rounds runs as a chain by hand and as one series, and the requests of the operator are counted, and those of the person
who chains. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.models_world import World, cluster, made, running
from tests.integration.api.objects import FEDERATION, HUB, federated_model, federated_round
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import conditions
from tests.players.store import serving
from wardround.hub.rounds import LEFTOVERS_SECONDS
from wardround.ports import Object

WRITES = ("POST", "PATCH", "DELETE")
# A person who chains rounds by hand sends these for each round. `kubectl apply` looks for the round and its namespace,
# and posts the round. Then she reads the result once. What kubectl asks about the API itself does not count.
PERSON = {"requests": 4, "writes": 1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10_000, help="of all models together")
    parser.add_argument("--series", type=int, default=8, help="Train rounds of a series")
    parser.add_argument("--apart", type=int, default=5, help="minutes from one series of a model to its next one")
    parser.add_argument("--compared", type=int, default=12, help="Train rounds of the series and of the chain by hand")
    parser.add_argument("--every", type=int, default=250, help="rounds between two lines of output")
    parser.add_argument("--minutes", type=float, default=600, help="stop after so many")
    parser.add_argument(
        "--search", type=float, default=LEFTOVERS_SECONDS, help="seconds from one search for gone rounds to the next"
    )
    parser.add_argument("--trace", action="store_true", help="print what allocates memory; costs time and memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report = asyncio.run(_measure(Path(name), options))
    print(json.dumps(report), flush=True)
    return 0


async def _measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    with serving(made(folder / "store")) as server, cluster(folder, server.origin) as api:
        async with running(folder, api, server, trace=options.trace, search_seconds=options.search) as world:
            compared = await _compare(world, options.compared) if options.compared else None
            await _run_models(world, options)
            return {
                "models": options.models,
                "compared": compared,
                "samples": world.samples,
                "secrets": await _secrets(world),
            }


async def _run_models(world: World, options: argparse.Namespace) -> None:
    """Until so many rounds are over. Then the triggers go, and the last series end."""
    begin, first, line = time.monotonic(), world.kubelet.answered, 0
    names = [f"model-{number:03}" for number in range(options.models)]
    creating = asyncio.create_task(_create_models(world, names, options))
    while (done := world.kubelet.answered - first) < options.rounds and time.monotonic() - begin < options.minutes * 60:
        if done >= line:
            await _sample(world, done, time.monotonic() - begin, trace=options.trace)
            line = done + options.every
        await asyncio.sleep(0.5)
    await _sample(world, done, time.monotonic() - begin, trace=options.trace)
    await creating
    for name in names:
        await world.client.patch("FederatedModel", name, {"spec": {"trigger": None}}, FEDERATION)

    async def ended() -> bool:
        models = await world.client.list("FederatedModel", FEDERATION)
        return all(each["status"]["series"]["stage"] == "Ended" for each in models)

    await until(ended, "the last series", seconds=1800)
    await asyncio.sleep(10)
    await _sample(world, world.kubelet.answered - first, time.monotonic() - begin, trace=options.trace)
    _print_each(world.samples)


async def _create_models(world: World, names: Sequence[str], options: argparse.Namespace) -> None:
    """The first series of a model begins when the model is made, and the others by its cron line."""
    for place, name in enumerate(names):
        cron = f"{place % options.apart}-59/{options.apart} * * * *"
        await world.client.create(_model(name, options.series, {"cron": cron}))
        await asyncio.sleep(options.apart * 60 / len(names))


async def _sample(world: World, rounds: int, seconds: float, *, trace: bool) -> None:
    report, (now, most) = await world.operator.fresh_report(), world.operator.megabytes()
    requests = Counter(report["requests"])
    sample = {
        "rounds": rounds,
        "seconds": round(seconds),
        "rss_mb": now,
        "largest_mb": most,
        "processor_s": world.operator.processor(),
        "requests": sum(requests.values()),
        "by_kind": dict(requests.most_common()),
        "threads": report["threads"],
        "objects": await world.counts(),
    }
    before = world.samples[-1] if world.samples else None
    more = rounds - before["rounds"] if before else 0
    each = (
        f"{(sample['requests'] - before['requests']) / more:.0f} requests and "
        f"{(sample['processor_s'] - before['processor_s']) / more:.2f} s of processor a round, "
        if before and more
        else ""
    )
    objects = ", ".join(f"{count} {kind}" for kind, count in sample["objects"].items())
    print(
        f"{rounds:6} rounds, {seconds:6.0f} s: {now:.0f} MB, at most {most:.0f}; {each}{report['threads']} threads; "
        f"{objects}",
        flush=True,
    )
    if trace:
        print(json.dumps(report["kinds"]), report["traced"], *report["lines"], sep="\n    ", flush=True)
        print("   ", dict(requests.most_common(40)), flush=True)
    world.samples.append(sample)


def _print_each(samples: list[dict[str, Any]]) -> None:
    """Requests of the operator for a round, by kind."""
    first, last = samples[0], samples[-1]
    rounds = last["rounds"] - first["rounds"]
    if not rounds:
        return
    spent = Counter(last["by_kind"])
    spent.subtract(first["by_kind"])
    listed = ", ".join(f"{count / rounds:.1f} {name}" for name, count in spent.most_common() if count)
    print(f"requests a round: {sum(spent.values()) / rounds:.1f}: {listed}", flush=True)


async def _secrets(world: World) -> dict[str, int]:
    """The Secrets of the hub by the first word of their names; `empty` are memories of what is left to delete."""
    counted: Counter[str] = Counter()
    async for item in world.client.each("Secret", HUB):
        counted[item["metadata"]["name"].split("-")[0] + ("" if item.get("data") else " (empty)")] += 1
    return dict(counted)


async def _compare(world: World, rounds: int) -> dict[str, dict[str, float]]:
    """Requests and processor time of the operator for a Train round of a series, and of a chain by hand; `by_hand`: of
    the operator and the person together."""
    chain, series = await _chain(world, rounds), await _series(world, rounds)
    by_hand = chain | {name: chain[name] + count for name, count in PERSON.items()}
    print(f"with the requests of the person who chains: {json.dumps(by_hand)}", flush=True)
    return {"chain": chain, "by_hand": by_hand, "series": series}


@dataclass(frozen=True)
class Spent:
    requests: Counter[str]
    processor: float

    @classmethod
    async def now(cls, world: World) -> Spent:
        return cls(await world.operator.requests(), world.operator.processor())

    def a_round(self, before: Spent, rounds: int, title: str) -> dict[str, float]:
        spent = self.requests - before.requests
        # The heartbeat comes by the clock, so a slower machine would seem to need more requests.
        del spent["PATCH Lease"]
        writes = sum(count for name, count in spent.items() if name.split()[0] in WRITES)
        figures = {
            "requests": sum(spent.values()) / rounds,
            "writes": writes / rounds,
            "processor_s": (self.processor - before.processor) / rounds,
        }
        listed = ", ".join(f"{count / rounds:.1f} {name}" for name, count in spent.most_common())
        print(f"a Train round of {title}: {json.dumps(figures)}: {listed}", flush=True)
        return figures


async def _chain(world: World, rounds: int) -> dict[str, float]:
    for number in range(rounds):
        start = {"initial": None, "base": {"roundName": f"chained-{number - 1}"}} if number else {}
        item = federated_round(f"chained-{number}", **start)
        item["spec"] = {name: value for name, value in item["spec"].items() if value is not None}
        await world.client.create(item)
        await _over(world, f"chained-{number}")
        if number == 1:
            before = await Spent.now(world)
    return (await Spent.now(world)).a_round(before, rounds - 2, "a chain by hand")


async def _series(world: World, rounds: int) -> dict[str, float]:
    await world.client.create(_model("compared", rounds, None))

    async def named(place: int) -> str:
        async def look() -> str | None:
            item = await world.client.get("FederatedModel", "compared", FEDERATION)
            series = (item.get("status") or {}).get("series") or {"rounds": []}
            return str(series["rounds"][place]["name"]) if len(series["rounds"]) > place else None

        name: str = await until(look, f"round {place} of the series")
        return name

    await _over(world, await named(2))
    before = await Spent.now(world)
    await _over(world, await named(rounds))
    return (await Spent.now(world)).a_round(before, rounds - 2, "a series")


async def _over(world: World, name: str) -> None:
    async def complete() -> bool:
        item = await world.client.get_if_exists("FederatedRound", name, FEDERATION)
        return item is not None and conditions(item).get("Complete", ("", ""))[0] == "True"

    await until(complete, f"round {name}")


def _model(name: str, rounds: int, trigger: Object | None) -> Object:
    item = federated_model(name, rounds=rounds)
    item["spec"] |= {"history": {"versions": 1}, **({"trigger": trigger} if trigger else {})}
    return item


if __name__ == "__main__":
    sys.exit(main())
