"""Reduces the first segments of all updates of a plan, for bench.large: `PLAN SCRATCH SEGMENTS`.

Knows no store but that of the plan.
It begins where an aggregation Job is that has examined all updates, and reads the store a second time.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from wardround.aggregate import main as aggregation
from wardround.aggregate import plan as plans
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.reduction import Reduction, WeightedFile
from wardround.aggregate.rules import rule_for
from wardround.aggregate.scratch import Scratch
from wardround.aggregate.sealed_file import HashesOnly, SealedFile
from wardround.aggregate.slices import runs
from wardround.aggregate.update_list import listed_updates
from wardround.aggregate.updates import read_layout
from wardround.clock import system_draw
from wardround.sealing.body import Body
from wardround.sealing.keys import DecryptionKey, load_verification_key
from wardround.sealing.manifests import open_update
from wardround.sealing.wrap import unwrap, update_context
from wardround.store.transfer import StoreClient
from wardround.wire.aggregation import AggregationPlan


async def reduce(plan: AggregationPlan, folder: Path, segments: int) -> None:
    """Open all updates, and take the first `segments` segments of their mean."""
    key, buffers = DecryptionKey.load(plan.private_key), Buffers()
    async with StoreClient(plan.store.origin, plan.store.ca_bundle, draw=system_draw) as store:
        with Scratch(folder) as scratch:
            updates = []
            async for each in listed_updates(store, plan.listed):
                manifest = open_update(each.manifest, load_verification_key(each.signing_key))
                context = update_context(plan.round.uid, each.attempt, each.participant, manifest.digest)
                body = Body(unwrap(manifest.wrapped_key, key, context), manifest.header)
                updates.append(
                    WeightedFile(SealedFile(store, each.get, body, HashesOnly(scratch)), 1 / plan.listed.updates)
                )
            layout = await read_layout(updates[0].file)
            every = runs(layout, lambda name, dtype: rule_for(plan.task, plan.initial, name, dtype))
            reduction = Reduction(updates, None, layout, every, buffers).segments()
            for _ in range(segments):
                await anext(reduction)
            await reduction.aclose()


def main(arguments: Iterable[str]) -> None:
    plan, scratch, segments = arguments
    aggregation.limit_heaps()
    asyncio.run(reduce(plans.parse(Path(plan).read_bytes()), Path(scratch), int(segments)))


if __name__ == "__main__":
    main(sys.argv[1:])
