"""Measures `wardround simulate` on the demo's hospitals: `python -m bench.simulate`. Asserts nothing.

The trainer of examples/own-image trains, in this process. bench.federation plays ten rounds with all of Wardround, and
runs here between the other measurements, so that both are measured on one machine under one load.
"""

import argparse
import copy
import logging
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from lab import demo_data, demo_rounds
from tests.simulation.rounds import OWN, documents, own_round, play_ten_rounds, scratch
from wardround.simulate.play import Finished, Skipped, play
from wardround.simulate.prepared import prepared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=100, help="repeats of the demo: statistics, five rounds, test")
    options = parser.parse_args()
    # Conflicting writes are normal, and the operators retry them: do not log them.
    logging.getLogger("wardround").setLevel(logging.ERROR)
    tables, ten = demo_data.tables(), documents(OWN)
    with TemporaryDirectory() as name:
        data = Path(name)
        demo_data.write_folders(data)
        _simulate(ten, data)  # imports
        works: dict[str, Callable[[], object]] = {
            "5 rounds, simulate": lambda: _simulate(ten[:6], data),
            "10 rounds, simulate": lambda: _simulate(ten, data),
            "10 rounds, all of Wardround": lambda: _federation(tables),
        }
        measured: dict[str, list[tuple[float, float]]] = {label: [] for label in works}
        for _ in range(options.runs):
            for label, work in works.items():
                measured[label].append(_timed(work))
        for label, seconds in measured.items():
            wall, processor = ([each[place] for each in seconds] for place in (0, 1))
            spread = f"min {min(wall):5.2f}   max {max(wall):5.2f}   processor median {median(processor):5.2f} s"
            print(f"{label:28} wall median {median(wall):5.2f} s   {spread}   n={options.runs}")
        took, used = _timed(lambda: _simulate(_demo(), data, options.repeats))
        print(f"{options.repeats} repeats of the demo: {took:.1f} s, processor {used:.1f} s", end=", ")
        print(f"{options.repeats / took:.2f} repeats a second")


def _demo() -> list[dict[str, Any]]:
    """The rounds of the demo, for the example's trainer."""
    chain = demo_rounds.federated(OWN.reference)
    training, evaluation = copy.deepcopy(chain.training), copy.deepcopy(chain.evaluation)
    for each in training[1:]:
        each["spec"] |= own_round()
    evaluation["spec"]["command"] = own_round()["command"]
    return [*training, evaluation]


def _simulate(rounds: list[dict[str, Any]], data: Path, repeats: int = 1) -> list[Finished | Skipped]:
    return list(play(prepared(rounds, data, repeats=repeats, trainer=OWN.program)))


def _federation(tables: dict[str, demo_data.Table]) -> None:
    with scratch() as folder:
        play_ten_rounds(Path(folder), tables)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock and of processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
