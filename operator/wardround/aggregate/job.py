"""Carries out one aggregation from plan to answer: examine, reduce as a stream, seal, upload; knows no Kubernetes.

Memory grows neither with the model nor with the participants: some segments of the updates that arrive, then a block of
segments in each thread of the reduction. Ciphertext waits in scratch, that of the updates and that of the result.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from statistics import median_low
from types import TracebackType

from wardround.aggregate import gate, metrics
from wardround.aggregate.advice import CHECK_STORE
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.collection import UpdateCollection
from wardround.aggregate.counts import evaluation_layout
from wardround.aggregate.examination import (
    BaseModel,
    ExaminedUpdates,
    agree,
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
from wardround.aggregate.sealed_result import SealedResult
from wardround.aggregate.slices import NotFinite, Run, runs
from wardround.aggregate.state import open_moments
from wardround.aggregate.strategies import Facts, strategy
from wardround.aggregate.updates import Form, Usable, read_layout, refusals
from wardround.aggregate.weights import limits, scales, shares
from wardround.metrics.digits import norm_text
from wardround.ports import Store
from wardround.sealing import body as bodies
from wardround.sealing.body import SEGMENT, ciphertext_length
from wardround.sealing.refused import Refused
from wardround.sealing.slices import slice_bytes
from wardround.store.errors import StoreError
from wardround.tensors import Layout
from wardround.wire import strategy_terms
from wardround.wire.aggregation import (
    AggregationPlan,
    AggregationResult,
    PlannedUploads,
)
from wardround.wire.collected import closed_digest
from wardround.wire.compression import NONE
from wardround.wire.frozen import is_frozen
from wardround.wire.models import Header

logger = logging.getLogger(__name__)

# An update that is refused while others arrive makes what was combined useless. After so many beginnings, the Job waits
# until it has examined all updates: each beginning repeats work, and hospitals cause it.
MOST_BEGINNINGS = 4
CHANGED_MEANWHILE = (
    "While the aggregation Job ran, an update, the base or the state of the server optimizer changed in the store. "
    f"{CHECK_STORE}"
)


async def aggregate(plan: AggregationPlan, store: Store, scratch: Scratch, now: datetime) -> AggregationResult:
    """Carry out the plan. Raises AggregationError."""
    if plan.reads_twice:
        logger.info(
            "the scratch volume has no room for the ciphertext of the updates, so this Job reads the updates from the "
            "store twice"
        )
    try:
        job = _Job(plan, store, scratch, await open_base(store, plan, _for_ciphertext(plan, scratch)))
        async with Anticipation(job.expected) as anticipation:
            examined = await job.examined(now, anticipation.begin if plan.anticipates else lambda updates: None)
            examined_at = time.perf_counter()
            aggregation = await job.aggregation_of(examined)
            result = aggregation.answer(await anticipation.combined(aggregation))
        if job.collection:
            result = replace(result, closed=closed_digest(job.collection.closed))
    except StoreError as error:
        raise store_failed(error) from None
    closing = time.perf_counter() - examined_at
    logger.info("closing took %.3f s, scratch held %d bytes", closing, scratch.reserved)
    return result


class _Job:
    """What one Job has. `base`: the model that the plan names, if it names one."""

    def __init__(self, plan: AggregationPlan, store: Store, scratch: Scratch, base: BaseModel | None) -> None:
        self._plan = plan
        self._store = store
        self._scratch = scratch
        self._base = base
        self._buffers = Buffers()
        self._places = ResultPlaces(scratch, whole=plan.anticipates)
        evaluated = evaluation_layout(len(plan.references)) if plan.task == "Evaluate" else None
        known = evaluated or (base.layout if base else None)
        self._form = Form(plan.task, plan.least_cell, known, plan.frozen, plan.compression)
        collects = plan.listed.collects
        self.collection = UpdateCollection(store, plan, collects) if collects else None

    async def examined(self, now: datetime, expect: Callable[[Sequence[Usable]], None]) -> ExaminedUpdates:
        """Examine all updates. `expect`: see examination.KnownUpdates. Raises AggregationError if too few are left."""
        plan, base, collection = self._plan, self._base, self.collection
        kept = _for_updates(plan, self._scratch)
        also = base.file if base and not plan.reads_twice else None
        examined = await examine_all(self._store, plan, self._form, now, kept, also, self._buffers, collection, expect)
        examined = without_outliers(self._with_steps(examined), self._limited.max_samples)
        require_enough(plan, examined)
        return examined

    async def aggregation_of(self, examined: ExaminedUpdates) -> Aggregation:
        """Return the aggregation of examined updates. Raises AggregationError if they do not agree."""
        agree(examined.usable, examined.left_out, initial=self._plan.initial)
        with _failures():
            # Updates do not keep their layouts: different headers of 8 MiB would make 100 MiB of objects each.
            layout = self._form.layout or await read_layout(examined.usable[0].file, self._form.headers.layout)
            return self._aggregation(examined, layout, await open_moments(self._store, self._plan))

    def expected(self, updates: Sequence[Usable]) -> Aggregation:
        """Return the aggregation of updates some of which still arrive. Raises AggregationError if they are too few."""
        assert self._form.layout is not None
        examined = self._with_steps(ExaminedUpdates(updates, (), ()))
        require_enough(self._plan, examined)
        return self._aggregation(examined, self._form.layout, ())

    def _aggregation(self, examined: ExaminedUpdates, layout: Layout, moments: Sequence[SealedFile]) -> Aggregation:
        base = self._base.file if self._base else None
        return Aggregation(self._store, self._limited, layout, base, moments, examined, self._places, self._buffers)

    def _with_steps(self, examined: ExaminedUpdates) -> ExaminedUpdates:
        wanted = strategy(self._plan.strategy, self._plan.parameters).wants_steps
        return with_local_steps(examined) if wanted else examined

    @property
    def _limited(self) -> AggregationPlan:
        """The plan, with the limits of the last page of a list that grew."""
        closed = self.collection.closed if self.collection else None
        return replace(self._plan, max_samples=closed.max_samples) if closed else self._plan


class Anticipation:
    """Combines updates while the last of them still arrive, as an async context manager.

    What it makes waits in scratch. It is uploaded only if the examination leaves out none of these updates.
    """

    def __init__(self, expected: Callable[[Sequence[Usable]], Aggregation]) -> None:
        """`expected`: returns the aggregation of updates some of which still arrive. Raises AggregationError."""
        self._expected = expected
        self._confirmed = asyncio.Event()
        self._last: Aggregation | None = None
        self._begun: list[asyncio.Future[StoredResult]] = []

    async def __aenter__(self) -> Anticipation:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def begin(self, updates: Sequence[Usable]) -> None:
        """Begin to combine the updates, and no longer those of an earlier call."""
        for each in self._begun:
            each.cancel()
        if len(self._begun) == MOST_BEGINNINGS:
            return
        with suppress(AggregationError):  # when the examination has ended, it says which error the Job has
            self._last = self._expected(updates)
            self._begun.append(asyncio.ensure_future(self._combine(self._last, tuple(self._begun))))

    async def _combine(self, aggregation: Aggregation, before: Sequence[asyncio.Future[StoredResult]]) -> StoredResult:
        """Combine when the others have ended, because all use the same places in scratch."""
        await asyncio.gather(*before, return_exceptions=True)
        return await aggregation.combine(self._confirmed)

    async def combined(self, final: Aggregation) -> StoredResult:
        """Return what the final aggregation makes. Raises AggregationError and StoreError."""
        if self._last and self._last.adds_the_same(final):
            self._confirmed.set()
            return await self._begun[-1]
        await self._stop()
        self._confirmed.set()
        return await final.combine(self._confirmed)

    async def _stop(self) -> None:
        """End what was begun. It makes nothing that anybody uses, so its error ends nothing: a full disk, or a sum that
        is not finite, may be due to an update that is left out."""
        for each in self._begun:
            each.cancel()
        for error in await asyncio.gather(*self._begun, return_exceptions=True):
            if isinstance(error, Exception) and not isinstance(error, AggregationError | OSError):
                logger.error("what the Job had combined before all updates had come is lost", exc_info=error)


def _for_ciphertext(plan: AggregationPlan, scratch: Scratch) -> Scratch | HashesOnly:
    """What scratch keeps of the base, and of updates that are read again as they came."""
    return HashesOnly(scratch) if plan.reads_twice else scratch


def _for_updates(plan: AggregationPlan, scratch: Scratch) -> Keeping:
    """What scratch keeps of updates: what the second reading can use."""
    if _at_once(plan):
        return Resealing(scratch, slice_bytes(plan.listed.updates))
    return Resealing(scratch, SEGMENT) if plan.compression != NONE else _for_ciphertext(plan, scratch)


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
        with refusals():
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


class ResultPlaces:
    """Where files that are made wait in scratch for their upload. A second try finds the places of the first one.
    `whole`: scratch has room for whole files. Otherwise it has room for two parts of each: the one that is uploaded,
    and the one that is made."""

    def __init__(self, scratch: Scratch, *, whole: bool) -> None:
        self._scratch = scratch
        self._whole = whole
        self._regions: list[Region] = []

    def place(self, number: int, length: int) -> Region:
        """Return the place of file `number` with `length` bytes of ciphertext."""
        length = length if self._whole else min(2 * bodies.PART, length)
        if number == len(self._regions):
            self._regions.append(self._scratch.region(length))
        assert self._regions[number].length == length
        return self._regions[number]


@dataclass(frozen=True)
class StoredResult:
    """A result that is stored. `moments`: the digests of the lists of segments of the server state's moments.
    `weights`: of the updates."""

    header: Header
    digest: str
    segments_digest: str
    moments: tuple[str, ...]
    weights: Sequence[float]


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
        places: ResultPlaces,
        buffers: Buffers,
    ) -> None:
        self._store = store
        self._moments = moments
        self._plan = plan
        self._strategy = strategy(plan.strategy, plan.parameters)
        self._layout = layout
        self._base = base
        self._examined = examined
        self._places = places
        self._buffers = buffers
        self._usable = usable = examined.usable
        stated = [max(each.samples, each.counted) for each in usable]
        known = [plan.max_samples.get(each.participant) for each in usable]
        most = limits(stated, known)
        self._samples = [min(each.samples, limit) for each, limit in zip(usable, most, strict=True)]
        # Sums over people have no default limit. With one, a hospital that states few people would remove a large one.
        self._scales = scales([each.counted for each in usable], most if plan.task == "Statistics" else known)
        exact = shares([each.samples for each in usable], self._samples, Fraction(plan.max_weight_share))
        self._shares = [float(share) for share in exact]

    def adds_the_same(self, other: Aggregation) -> bool:
        """Whether both add the same updates with the same weights."""
        return self._added == other._added

    @property
    def _added(self) -> tuple[object, ...]:
        """What decides the result's bits, beside the plan. All but the files follows from them, or should."""
        files = [(each.file, each.local_steps) for each in self._usable]
        return files, self._shares, self._scales, self._layout, tuple(self._moments)

    async def combine(self, confirmed: asyncio.Event) -> StoredResult:
        """Reduce, seal and, when it is `confirmed`, upload. Raises AggregationError and StoreError."""
        header = self._header()
        with _failures():
            weights = await self._weights()
            async with AsyncExitStack() as stack:
                files = [(self._plan.put, bodies.Body(self._plan.data_key, header)), *self._planned_moments()]
                length = ciphertext_length(self._layout.length)
                sealed, *moments = [
                    await stack.enter_async_context(
                        SealedResult(self._store, put, each, self._places.place(number, length), confirmed)
                    )
                    for number, (put, each) in enumerate(files)
                ]
                await self._reduce([sealed, *moments], weights)
                # The result's list of segments comes last: if it is there, everything else is.
                for each in (*moments, sealed):
                    await each.finish()
        stored = tuple(each.segments_digest for each in moments)
        return StoredResult(header, sealed.digest, sealed.segments_digest, stored, weights)

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

    def answer(self, made: StoredResult) -> AggregationResult:
        """Return the answer of the Job about a result that is stored."""
        plan, parts = self._plan, self._parts()
        unused = [each.participant for each, weight in zip(self._usable, made.weights, strict=True) if weight == 0]
        if unused:
            logger.info("%s gives no weight to the updates of %s", plan.strategy, ", ".join(unused))
        # The number that a hospital writes into its RoundTask is not signed, and it has no limit.
        weighted = zip(self._samples, made.weights, strict=True)
        counted = tuple(samples if weight > 0 else 0 for samples, weight in weighted)
        combined = metrics.combine(parts, plan.metrics, float(plan.specificity), plan.references)
        return AggregationResult(
            header=made.header,
            digest=made.digest,
            segments_digest=made.segments_digest,
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
            state=made.moments,
            closed=None,
            numbers_too_large=combined.too_large,
            middle_norm=self._middle_norm(),
        )

    def _middle_norm(self) -> str | None:
        """People choose `largestNorm` by it. First weights have no base, so their norms say nothing of training. The
        largest norm is not in the answer: it could be due to one patient, and the middle one moves only between the
        norms of hospitals."""
        alone = len(self._usable) == 1 and not self._usable[0].tells
        return None if self._base is None or alone else norm_text(median_low(each.norm for each in self._usable))

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
        return self._strategy.weights(Facts(self._shares, [each.norm for each in self._usable], distances, local))

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
