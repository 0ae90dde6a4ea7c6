"""Measures ten rounds of three hospitals in one process without Kubernetes: `python -m bench.federation`.

All of Wardround runs: operators, couriers, aggregation and the steps of each pod, on an API server and a store in
memory, in virtual time (tests/simulation). By default, the trainer of examples/own-image trains. With --trainer,
wardround_trainer trains, which needs torch: the first five models then equal those of `make demo` with that image.
tests/e2e/test_rounds.py compares two rounds of the lab's clusters with a simulation inside the trainer image.
"""

import argparse
import logging
import time
from pathlib import Path
from statistics import median

from lab import demo_data
from tests.conditions import is_true
from tests.simulation.federation import Trainer
from tests.simulation.rounds import OWN, Played, play_ten_rounds, scratch
from wardround.simulate.trainers import run_reference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--trainer", metavar="IMAGE@sha256:...", help="train with wardround_trainer, as this image")
    options = parser.parse_args()
    trainer = Trainer(run_reference, options.trainer) if options.trainer else OWN
    # Conflicting writes are normal, and the operators retry them: do not log them.
    logging.getLogger("wardround").setLevel(logging.ERROR)
    tables = demo_data.tables()
    seconds, processor = [], []
    for seed in range(options.runs):
        wall, used = time.perf_counter(), time.process_time()
        played = _play(tables, seed, trainer)
        seconds.append(time.perf_counter() - wall)
        processor.append(time.process_time() - used)
        print(f"run {seed + 1}: {seconds[-1]:.1f} s for {played.seconds:.0f} virtual seconds; {played.digests[-1]}")
    rounds = len(played.rounds)
    print(f"{rounds} rounds of {len(demo_data.HOSPITALS)} hospitals, n={options.runs}, after imports:")
    print(f"  wall      median {median(seconds):5.1f} s   min {min(seconds):5.1f}   max {max(seconds):5.1f}")
    print(f"  processor median {median(processor):5.1f} s   min {min(processor):5.1f}   max {max(processor):5.1f}")
    for each, digest in zip(played.rounds, played.digests, strict=True):
        print(f"  {each['metadata']['name']:10} {digest}")


def _play(tables: dict[str, demo_data.Table], seed: int, trainer: Trainer) -> Played:
    with scratch() as folder:
        played = play_ten_rounds(Path(folder), tables, seed=seed, trainer=trainer)
    failed = [each["metadata"]["name"] for each in played.rounds if not is_true(each, "Complete")]
    if failed:
        raise SystemExit(f"not Complete: {', '.join(failed)}")
    return played


if __name__ == "__main__":
    main()
