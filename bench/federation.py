"""Measures ten rounds of three hospitals in one process without Kubernetes: `python -m bench.federation`.

All of Wardround runs: operators, couriers, aggregation and the steps of each pod, on an API server and a store in
memory, in virtual time (tests/simulation). By default, the trainer of examples/own-image trains. With --trainer, the
process runs inside the trainer image of the lab, where wardround_trainer trains. tests/e2e/test_same_models.py compares
the models of such a process with those of the lab's clusters.
"""

import argparse
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from lab import demo_data, images, trainer_python
from tests.conditions import is_true
from tests.simulation.federation import FOLDERS, Trainer
from tests.simulation.rounds import OWN, Played, play_ten_rounds, scratch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--trainer", action="store_true", help="train with wardround_trainer, inside the trainer image. Needs root"
    )
    options = parser.parse_args()
    if options.trainer:
        _measure_inside(options.runs)
    else:
        measure(demo_data.tables(), options.runs, OWN)


def measure(tables: Mapping[str, demo_data.Table], runs: int, trainer: Trainer) -> None:
    """Play the ten rounds so many times, and print the times and the digests of the models."""
    # Conflicting writes are normal, and the operators retry them: do not log them.
    logging.getLogger("wardround").setLevel(logging.ERROR)
    seconds, processor = [], []
    for seed in range(runs):
        wall, used = time.perf_counter(), time.process_time()
        played = _play(tables, seed, trainer)
        seconds.append(time.perf_counter() - wall)
        processor.append(time.process_time() - used)
        print(f"run {seed + 1}: {seconds[-1]:.1f} s for {played.seconds:.0f} virtual seconds; {played.digests[-1]}")
    rounds = len(played.rounds)
    print(f"{rounds} rounds of {len(demo_data.HOSPITALS)} hospitals, n={runs}, after imports:")
    print(f"  wall      median {median(seconds):5.1f} s   min {min(seconds):5.1f}   max {max(seconds):5.1f}")
    print(f"  processor median {median(processor):5.1f} s   min {min(processor):5.1f}   max {max(processor):5.1f}")
    for each, digest in zip(played.rounds, played.digests, strict=True):
        print(f"  {each['metadata']['name']:10} {digest}")


def _measure_inside(runs: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        demo_data.write_folders(folder)
        folder.chmod(0o755)
        arguments = [str(runs), images.build(images.TRAINER, _say).reference]
        print(trainer_python.run("bench.federation_inside", arguments, folder, (*FOLDERS, "bench"), _say))


def _play(tables: Mapping[str, demo_data.Table], seed: int, trainer: Trainer) -> Played:
    with scratch() as folder:
        played = play_ten_rounds(Path(folder), tables, seed=seed, trainer=trainer)
    failed = [each["metadata"]["name"] for each in played.rounds if not is_true(each, "Complete")]
    if failed:
        raise SystemExit(f"not Complete: {', '.join(failed)}")
    return played


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
