"""The process of an aggregation Job: reads plan.json, writes one answer; leaves all decisions to `job`.

It has no Kubernetes token. The answer is the container's termination message.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from wardround.aggregate import plan as plans
from wardround.aggregate.job import aggregate
from wardround.reasons.reason import EXIT_OUR_FAULT
from wardround.reasons.registry import REASONS

PLAN = Path("/wardround/aggregation/plan.json")
TERMINATION_LOG = "/dev/termination-log"


def main(argv: Sequence[str]) -> int:
    """Aggregate as the plan says (`argv`: its path, default the mounted one). Return the exit code."""
    answer = _answer(Path(argv[0]) if argv else PLAN)
    Path(os.environ.get("WARDROUND_TERMINATION_LOG", TERMINATION_LOG)).write_bytes(plans.spell(answer))
    if isinstance(answer, plans.Failure):
        print(f"no result: {answer.reason}: {answer.message}", file=sys.stderr)
        return REASONS[answer.reason].exit_code or EXIT_OUR_FAULT
    for left_out in answer.left_out:
        print(f"{left_out.participant} left out: {left_out.reason}", file=sys.stderr)
    print(f"aggregated {len(answer.aggregated)} updates into {answer.bytes} bytes", file=sys.stderr)
    return 0


def _answer(path: Path) -> plans.Result | plans.Failure:
    try:
        return asyncio.run(aggregate(plans.parse(path.read_bytes()), datetime.now(UTC)))
    except plans.Failure as failure:
        return failure
    except Exception as error:
        # Our own bug. The hub must not wait for an answer that never comes; people find the trace in this Job's log.
        traceback.print_exc()
        return plans.Failure("AggregatorFailed", f"{type(error).__name__}: see the log of this Job")
