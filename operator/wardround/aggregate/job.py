"""Carries out one aggregation from plan to answer: examine, reduce as a stream, seal, upload; knows no Kubernetes.

Memory grows neither with the model nor with the participants: some segments of the updates that arrive, then a block of
segments in each thread of the reduction. Ciphertext waits in scratch, that of the updates and that of the result.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from types import TracebackType

from wardround.aggregate import gate, metrics
from wardround.aggregate.advice import CHECK_IMAGE
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.collection import UpdateCollection
from wardround.aggregate.counts import evaluation_layout
from wardround.aggregate.examination import (
    CHANGED_MEANWHILE,
    ExaminedUpdates,
    agree,
    agreed_layout,
    examine_all,
    open_base,
    require_enough,
    with_local_steps,
    without_outliers,
)
from wardround.aggregate.plan import AggregationError
from wardround.aggregate.reduction import Moments, Reduction, SliceReduction, WeightedFile
from wardround.aggregate.resealed import Resealing
from wardround.aggregate.rules import Differs, rule_for
from wardround.aggregate.scratch import Region, Scratch
from wardround.aggregate.sealed_file import HashesOnly, Keeping, SealedFile
from wardround.aggregate.slices import NotFinite, Run, runs
from wardround.aggregate.state import open_moments
from wardround.aggregate.strategies import Facts, strategy
from wardround.aggregate.updates import Form
from wardround.aggregate.weights import limits, scales, shares
from wardround.ports import Store
from wardround.sealing import body as bodies
from wardround.sealing.body import SEGMENT, ciphertext_length
from wardround.sealing.refused import Refused
from wardround.sealing.slices import slice_bytes
from wardround.store.errors import StoreError
from wardround.tensors import Layout
from wardround.threads import beside
from wardround.wire import digests, strategy_terms
from wardround.wire.aggregation import (
    AggregationPlan,
    AggregationResult,
    PlannedUpload,
    PlannedUploads,
)
from wardround.wire.collected import closed_digest
from wardround.wire.compression import NONE
from wardround.wire.frozen import is_frozen
from wardround.wire.models import Header

logger = logging.getLogger(__name__)


async def aggregate(plan: AggregationPlan, store: Store, scratch: Scratch, now: datetime) -> AggregationResult:
    """Carry out the plan. Raises AggregationError."""
    if plan.reads_twice:
        logger.info(
            "the scratch volume has no room for the ciphertext of the updates, so this Job reads the updates from the "
            "store twice"
        )
    try:
        kept = _for_ciphertext(plan, scratch)
        base = await open_base(store, plan, kept)
        evaluated = evaluation_layout(len(plan.references)) if plan.task == "Evaluate" else None
        known = evaluated or (base.layout if base else None)
        form = Form(plan.task, plan.least_cell, known, plan.frozen, plan.compression)
        places = _for_updates(plan, scratch, kept)
        also = base.file if base and not plan.reads_twice else None
        collects = plan.listed.collects
        collection = UpdateCollection(store, plan, collects) if collects else None
        examined = await examine_all(store, plan, form, now, places, also, Buffers(), collection)
        if collection:
            plan = replace(plan, max_samples=collection.closed.max_samples)
        if strategy(plan.strategy, plan.parameters).wants_steps:
            examined = with_local_steps(examined)
        examined = without_outliers(examined, plan.max_samples)
        require_enough(plan, examined)
        examined_at = time.perf_counter()
        agree(examined.usable, examined.left_out, initial=plan.base_digest is None)
        layout = form.layout or await agreed_layout(examined.usable)
        old, moments = base.file if base else None, await open_moments(store, plan)
        result = await Aggregation(store, plan, layout, old, moments, examined, scratch).run()
        if collection:
            result = replace(result, closed=closed_digest(collection.closed))
    except StoreError as error:
        raise store_failed(error) from None
    closing = time.perf_counter() - examined_at
    logger.info("closing took %.3f s, scratch held %d bytes", closing, scratch.reserved)
    return result


def _for_ciphertext(plan: AggregationPlan, scratch: Scratch) -> Scratch | HashesOnly:
    """What scratch keeps of updates and base."""
    return HashesOnly(scratch) if plan.reads_twice else scratch


def _for_updates(plan: AggregationPlan, scratch: Scratch, kept: Scratch | HashesOnly) -> Keeping:
    """What scratch keeps of updates: `kept`, if the second reading can use it."""
    if _at_once(plan):
        return Resealing(scratch, slice_bytes(plan.listed.updates))
    return Resealing(scratch, SEGMENT) if plan.compression != NONE else kept


def _at_once(plan: AggregationPlan) -> bool:
    """Whether the strategy reads the same slice of all updates at once."""
    return strategy_terms.STRATEGIES[plan.strategy].at_once


def store_failed(error: StoreError) -> AggregationError:
    """The failure of an aggregation whose store fails or cannot be reached."""
    return AggregationError(
        "StoreUnreachable",
        f"The store failed: {error}. The hub's administrator has to look for the cause in the log of the store.",
    )


@contextmanager
def _failures() -> Iterator[None]:
    """Raises AggregationError where the second pass cannot make a result of the updates that passed the first one."""
    try:
        yield
    except Differs:
        raise AggregationError(
            "SchemasDiffer",
            "The aggregation cannot add the hospitals' statistics, because the DataSchemas of the hospitals' "
            "Datasets have different bounds of a field. Each hospital has to apply the federation's DataSchema.",
        ) from None
    except NotFinite:
        raise AggregationError(
            "ResultNotFinite",
            "The round has no result: all updates are finite, but a number of the combined model is too large for "
            "the dtype of its tensor. The round's author has to train with a lower learning rate.",
        ) from None
    except Refused:
        # Every segment opened in the first pass.
        raise AggregationError("StoreInconsistent", CHANGED_MEANWHILE) from None


class Aggregation:
    """The second pass: reduces the usable updates and uploads the result."""

    def __init__(
        self,
        store: Store,
        plan: AggregationPlan,
        layout: Layout,
        base: SealedFile | None,
        moments: Sequence[SealedFile],
        examined: ExaminedUpdates,
        scratch: Scratch,
    ) -> None:
        self._store = store
        self._moments = moments
        self._plan = plan
        self._strategy = strategy(plan.strategy, plan.parameters)
        self._layout = layout
        self._base = base
        self._examined = examined
        self._scratch = scratch
        # The examination's buffers are free by now. They were more than the reduction needs.
        self._buffers = Buffers()
        self._usable = usable = examined.usable
        stated = [max(each.samples, each.counted) for each in usable]
        known = [plan.max_samples.get(each.participant) for each in usable]
        most = limits(stated, known)
        self._samples = [min(each.samples, limit) for each, limit in zip(usable, most, strict=True)]
        # Sums over people have no default limit. With one, a hospital that states few people would remove a large one.
        self._scales = scales([each.counted for each in usable], most if plan.task == "Statistics" else known)
        exact = shares([each.samples for each in usable], self._samples, Fraction(plan.max_weight_share))
        self._shares = [float(share) for share in exact]

    async def run(self) -> AggregationResult:
        """Reduce, seal and upload. Raises AggregationError and StoreError."""
        header = self._header()
        with _failures():
            weights = await self._weights()
            async with AsyncExitStack() as stack:
                files = [(self._plan.put, bodies.Body(self._plan.data_key, header)), *self._planned_moments()]
                sealed, *moments = [
                    await stack.enter_async_context(SealedResult(self._store, put, each, self._region(number)))
                    for number, (put, each) in enumerate(files)
                ]
                await self._reduce([sealed, *moments], weights)
                # The result's list of segments comes last: if it is there, everything else is.
                for each in (*moments, sealed):
                    await each.finish()
        return self._answer(header, sealed, moments, weights)

    def _region(self, number: int) -> Region:
        """Where a file that is made waits for its upload: over an update, because a segment of an update is not read
        again when that segment of the result is made. So the kernel has its pages already. Without an update in
        scratch, there is room for two parts: the one that is uploaded, and the one that is made."""
        length = ciphertext_length(self._layout.length)
        kept = self._usable[number].file.kept_region if number < len(self._usable) else None
        return kept if kept and kept.length >= length else self._scratch.region(min(2 * bodies.PART, length))

    def _header(self) -> Header:
        plan, layout = self._plan, self._layout
        return bodies.new_header(
            plan.data_key,
            kind=bodies.MODEL,
            round_uid=plan.round.uid,
            attempt=1,
            participant="",
            base_digest=plan.base_digest or "",
            image_digest=plan.image_digest,
            schema_digest=layout.schema_digest,
            length=layout.length,
        )

    def _planned_moments(self) -> list[tuple[PlannedUploads, bodies.Body]]:
        """Where the moments of the server state go."""
        planned = self._plan.state.moments if self._plan.state else ()
        return [(each.put, bodies.Body(each.data_key, each.header)) for each in planned]

    def _answer(
        self, header: Header, sealed: SealedResult, moments: Sequence[SealedResult], weights: Sequence[float]
    ) -> AggregationResult:
        plan, parts = self._plan, self._parts()
        # The number that a hospital writes into its RoundTask is not signed, and it has no limit.
        counted = tuple(samples if weight > 0 else 0 for samples, weight in zip(self._samples, weights, strict=True))
        combined = metrics.combine(parts, plan.metrics, float(plan.specificity), plan.references)
        return AggregationResult(
            header=header,
            digest=sealed.digest,
            segments_digest=sealed.segments_digest,
            bytes=ciphertext_length(self._layout.length),
            samples=sum(counted),
            metrics=combined.metrics,
            calibration=combined.calibration,
            by_hospital=combined.by_hospital,
            differences=combined.differences,
            verdict=gate.decide(parts, plan.references, plan.gate) if plan.gate else None,
            withheld=self._examined.withheld,
            uncounted=self._examined.uncounted,
            aggregated=tuple(each.participant for each in self._usable),
            counted=counted if plan.task == "Train" else (),
            left_out=self._examined.left_out,
            state=tuple(each.segments_digest for each in moments),
            closed=None,
        )

    def _parts(self) -> list[metrics.Part]:
        return [
            metrics.Part(
                participant=each.participant,
                people=each.counted,
                sums=each.sums,
                reported=each.reported,
                scale=float(scale),
                tells=each.tells,
                min_cell=each.min_cell,
            )
            for each, scale in zip(self._usable, self._scales, strict=True)
            if each.sums or each.reported
        ]

    async def _weights(self) -> list[float]:
        """The weight of each update in a Train round, or the scale of its sums. Raises Refused."""
        if self._plan.task != "Train":
            return [float(scale) for scale in self._scales]
        distances = None
        if self._strategy.wants_distances:
            distances = await self._in_slices([WeightedFile(each.file, 1.0) for each in self._usable]).distances()
        local = [each.local_steps for each in self._usable]
        weights = self._strategy.weights(Facts(self._shares, [each.norm for each in self._usable], distances, local))
        unused = [each.participant for each, weight in zip(self._usable, weights, strict=True) if weight == 0]
        if unused:
            logger.info("%s gives no weight to the updates of %s", self._plan.strategy, ", ".join(unused))
        return weights

    async def _reduce(self, sealed: Sequence[SealedResult], weights: Sequence[float]) -> None:
        plan = self._plan
        updates = [
            WeightedFile(each.file, weight)
            for each, weight in zip(self._usable, weights, strict=True)
            if weight > 0 or not self._strategy.wants_distances  # rules of the other strategies compare all updates
        ]
        reduction = (
            self._in_slices(updates)
            if _at_once(plan)
            else Reduction(
                updates,
                self._base,
                self._layout,
                self._runs(),
                self._buffers,
                rules=self._strategy.rules(),
                moments=Moments(len(sealed) - 1, self._moments),
            )
        )
        async with aclosing(reduction.segments()) as segments:
            async for made in segments:
                for file, segment in zip(sealed, made, strict=True):
                    await file.append(segment)

    def _in_slices(self, updates: Sequence[WeightedFile]) -> SliceReduction:
        size, rules = slice_bytes(self._plan.listed.updates), self._strategy.rules()
        return SliceReduction(updates, self._base, self._layout, self._runs(), self._buffers, size, rules=rules)

    def _runs(self) -> list[Run]:
        plan = self._plan
        keeps = plan.base is not None
        return runs(
            self._layout,
            lambda name, dtype: (
                "KeepBase" if keeps and is_frozen(name, plan.frozen) else rule_for(plan.task, plan.initial, name, dtype)
            ),
        )


class SealedResult:
    """Seals the result's segments, and uploads each part while the next one is made, as an async context manager.

    `region`: room for the whole ciphertext, or for two parts: the one that is uploaded, and the one that is made.
    """

    def __init__(self, store: Store, put: PlannedUploads, body: bodies.Body, region: Region) -> None:
        self._store = store
        self._put = put
        self._body = body
        self._lengths = bodies.part_lengths(body.length)
        if len(self._lengths) > len(put.parts):
            raise AggregationError(
                "PlanUnreadable",
                f"This aggregation Job has written no result: the result has {len(self._lengths)} parts, and the "
                f"plan has upload addresses for only {len(put.parts)}. {CHECK_IMAGE}",
            )
        self._region = region
        self._sealed = memoryview(bytearray(min(bodies.SEALED_SEGMENT, ciphertext_length(body.length))))
        self._index = 0
        self._plain = digests.Digest()
        self._hashes = bytearray()
        self._uploading: asyncio.Future[None] | None = None

    async def __aenter__(self) -> SealedResult:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._uploading is not None:
            self._uploading.cancel()
            await asyncio.gather(self._uploading, return_exceptions=True)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the appended plaintext."""
        return self._plain.text

    @property
    def segments_digest(self) -> str:
        """`sha256:<hex>` of the list of ciphertext hashes of the appended segments."""
        return digests.digest(self._hashes)

    async def append(self, segment: memoryview) -> None:
        """Seal the next segment, and begin to upload the part that it completes. Raises AggregationError and
        StoreError, for that part or the one before."""
        part, offset, size = bodies.sealed_place(self._index, self._body.length)
        place = part % -(-self._region.length // bodies.PART) * bodies.PART
        await beside(self._seal, segment, place + offset)
        self._index += 1
        if offset + size == self._lengths[part]:
            await self._uploaded()
            self._uploading = asyncio.ensure_future(self._upload(self._put.parts[part], place, self._lengths[part]))

    async def finish(self) -> None:
        """Upload the list of segments. It comes last: if it is there, all parts are. Raises AggregationError and
        StoreError."""
        assert self._index == self._body.segments
        await self._uploaded()
        stored = await self._store.put_bytes(self._put.segments.url, self._put.segments.headers, bytes(self._hashes))
        _require_stored(stored)

    def _seal(self, segment: memoryview, place: int) -> None:
        self._plain.update(segment)
        sealed = self._sealed[: len(segment) + bodies.TAG]
        self._body.seal_into(self._index, segment, sealed)
        self._hashes += hashlib.sha256(sealed).digest()
        self._region.write(place, sealed)

    async def _uploaded(self) -> None:
        if self._uploading is not None:
            await self._uploading

    async def _upload(self, upload: PlannedUpload, place: int, length: int) -> None:
        region = self._region
        _require_stored(
            await self._store.put_file(upload.url, upload.headers, region.path, region.start + place, length)
        )


def _require_stored(stored: bool) -> None:
    if not stored:
        raise AggregationError(
            "ResultExists",
            "This aggregation Job has written no result, because another Job has already written one to the same "
            "place. Nobody has to act: the hub operator tries again at another place.",
        )
