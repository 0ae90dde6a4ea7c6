"""The process of an aggregation Job: reads plan.json, writes one answer; leaves all decisions to `job`.

The process has no Kubernetes token. Its answer is the container's termination message.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wardround import ports
from wardround.aggregate import plan as plans
from wardround.aggregate.job import aggregate, store_failed
from wardround.aggregate.scratch import Scratch
from wardround.clock import Clock, system_clock, system_draw
from wardround.ports import OpenStore
from wardround.store.errors import StoreError
from wardround.store.transfer import StoreClient
from wardround.threads import beside
from wardround.wire.aggregation import AggregationAnswer, AggregationFailure

PLAN = Path("/wardround/aggregation/plan.json")
SCRATCH = Path("/wardround/scratch")
TERMINATION_LOG = "/dev/termination-log"
DISK_FULL = (
    "The disk of this Job's node is full, so the ciphertext of the updates does not fit. The hub's administrator "
    "has to free disk space on the node, or to lower aggregation.scratchGiB in the values of the hub chart. With a "
    "lower value, the Job reads updates that need more space from the store twice. If the round's strategy or "
    "compression needs all updates on the disk, the round then fails with TooMuchForScratch."
)
# glibc's mallopt(3): blocks of LARGE_BLOCK or more go back to the kernel when they are freed, and threads share HEAPS.
M_MMAP_THRESHOLD, LARGE_BLOCK = -3, 384 << 10
M_ARENA_MAX, HEAPS = -8, 2


def main(argv: Sequence[str]) -> int:
    """Carry out the plan. `argv`: its path and a folder for scratch, by default the mounted ones. Return the exit
    code."""
    limit_heaps()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    path, scratch = map(Path, argv) if argv else (PLAN, SCRATCH)
    open_store = partial(StoreClient, draw=system_draw)
    answer = asyncio.run(carry_out(path, scratch, open_store=open_store, clock=system_clock))
    Path(os.environ.get("WARDROUND_TERMINATION_LOG", TERMINATION_LOG)).write_bytes(plans.spell(answer))
    return end(answer)


def limit_heaps() -> None:
    """Let freed memory go back to the kernel. By default, glibc raises the threshold by itself, each thread has a heap,
    and heaps keep freed megabytes."""
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
    libc.mallopt(M_ARENA_MAX, HEAPS)


async def carry_out(path: Path, folder: Path, *, open_store: OpenStore[ports.Store], clock: Clock) -> AggregationAnswer:
    """Carry out the plan in a file, with scratch in `folder`. Return an answer, also for every error."""
    try:
        plan = plans.parse(await beside(path.read_bytes))
        with Scratch(folder) as scratch:
            async with open_store(plan.store.origin, plan.store.ca_bundle) as store:
                return await aggregate(plan, store, scratch, clock())
    except plans.AggregationError as failure:
        return failure.answer
    except StoreError as error:
        return store_failed(error).answer
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _our_fault(error)
        return AggregationFailure("AggregatorFailed", DISK_FULL)
    except Exception as error:
        return _our_fault(error)


def _our_fault(error: Exception) -> AggregationFailure:
    """The answer for a bug of ours. Without an answer the hub would wait for ever. The trace is in this Job's log."""
    traceback.print_exception(error)
    return AggregationFailure(
        "AggregatorFailed",
        f"The aggregation Job ended with the error {type(error).__name__}, a fault in Wardround's own code. The "
        "hub's administrator has to report it, with the log of this Job, to the developers of Wardround.",
    )


def end(answer: AggregationAnswer) -> int:
    """Log the answer, and return the exit code."""
    if isinstance(answer, AggregationFailure):
        # Only a failure needs the texts of all reasons.
        from wardround.reasons.reason import EXIT_OUR_FAULT
        from wardround.reasons.registry import REASONS

        print(f"no result: {answer.reason}: {answer.message}", file=sys.stderr)
        return REASONS[answer.reason].exit_code or EXIT_OUR_FAULT
    for left_out in answer.left_out:
        print(f"{left_out.participant} left out: {left_out.reason}", file=sys.stderr)
    print(f"aggregated {len(answer.aggregated)} updates into {answer.bytes} bytes", file=sys.stderr)
    return 0
