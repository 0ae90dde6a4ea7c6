"""Opens the state of a server optimizer, which the round before has stored.

A state is read once, while the updates are combined. The manifest of the hub says which bytes the store has to return.
"""

from __future__ import annotations

from wardround.aggregate.advice import CHECK_IMAGE, CHECK_STORE
from wardround.aggregate.plan import AggregationError
from wardround.aggregate.sealed_file import SealedFile
from wardround.ports import Store
from wardround.sealing.body import Body
from wardround.sealing.files import HASH_BYTES
from wardround.sealing.refused import Refused
from wardround.wire import digests
from wardround.wire.aggregation import AggregationPlan, PlannedStart


async def open_moments(store: Store, plan: AggregationPlan) -> list[SealedFile]:
    """Return the moments from which the optimizer goes on; none if it begins anew. Raises AggregationError and
    StoreError."""
    start = plan.state.start if plan.state else None
    return [await _open_moment(store, start, index) for index in range(len(start.gets))] if start else []


async def _open_moment(store: Store, start: PlannedStart, index: int) -> SealedFile:
    moment, get = start.manifest.moments[index], start.gets[index]
    try:
        body = Body(start.data_keys[index], moment.header)
    except Refused:
        raise AggregationError(
            "PlanUnreadable",
            "This Job cannot open the server state (the state of the server optimizer) of the base: the key in its "
            f"plan is another state's. {CHECK_IMAGE}",
        ) from None
    hashes = await store.get_bytes(get.segments, HASH_BYTES * body.segments)
    if digests.digest(hashes) != moment.segments_digest:
        raise AggregationError(
            "StoreInconsistent",
            "The store gave the aggregation Job a list of segments of the server state (the state of the server "
            f"optimizer) that differs from the list that the hub operator signed. {CHECK_STORE}",
        )
    return SealedFile(store, get.parts, body, None, hashes)
