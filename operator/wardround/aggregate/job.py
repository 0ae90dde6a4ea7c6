"""Carries out one aggregation from plan to answer: examine, reduce as a stream, seal, upload; knows no Kubernetes.

Memory does not grow with the model: one segment of the result, a window of opened segments, one part of ciphertext.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from wardround.aggregate import metrics
from wardround.aggregate.counts import evaluation_layout
from wardround.aggregate.plan import Failure
from wardround.aggregate.slices import NotFinite, Run, SegmentReduction, runs, within
from wardround.aggregate.strategies import Differs, rule_for
from wardround.aggregate.updates import WINDOW, Form, SealedFile, Usable, examine, ordered, read_layout
from wardround.aggregate.weights import scales, shares
from wardround.ports import Store
from wardround.sealing import body as bodies
from wardround.sealing.files import HASH_BYTES
from wardround.sealing.keys import DecryptionKey
from wardround.sealing.manifests import ExpectedUpdate
from wardround.sealing.refused import Refused
from wardround.store.errors import StoreError
from wardround.tensors import Layout
from wardround.wire import digests
from wardround.wire.aggregation import AggregationPlan, AggregationResult, LeftOut, PlannedUpdate, PlannedUpload

EXAMINED_AT_ONCE = 4
CHANGED_MEANWHILE = "The store returned other bytes than in the first reading."


async def aggregate(plan: AggregationPlan, store: Store, now: datetime) -> AggregationResult:
    """Carry out the plan. Raises Failure."""
    try:
        base = await open_base(store, plan)
        evaluated = evaluation_layout(len(plan.references)) if plan.task == "Evaluate" else None
        form = Form(plan.task, evaluated or (base.layout if base else None))
        examined = await examine_all(store, plan, form, now)
        agree(examined.usable, examined.left_out, initial=plan.base_digest is None)
        layout = form.layout or await agreed_layout(examined.usable)
        return await Aggregation(store, plan, layout, base.file if base else None, examined).run()
    except StoreError as error:
        raise store_failed(error) from None


def store_failed(error: StoreError) -> Failure:
    """The failure of an aggregation whose store fails or cannot be reached."""
    return Failure(
        "StoreUnreachable", f"The store failed: {error}. The hub's administrator reads the log of the store."
    )


@dataclass(frozen=True)
class BaseModel:
    """The model to which differences are added. All updates have its layout and header."""

    file: SealedFile
    layout: Layout


async def open_base(store: Store, plan: AggregationPlan) -> BaseModel | None:
    """Return the plan's base, if it has one. Reads only the header. Raises Failure and StoreError."""
    base = plan.base
    if base is None:
        return None
    body = bodies.Body(base.data_key, base.manifest.header)
    hashes = await store.get_bytes(base.get.segments, HASH_BYTES * body.segments)
    if digests.digest(hashes) != base.manifest.segments_digest:
        raise Failure("StoreInconsistent", "The base model's list of segments is not the one that the hub signed.")
    file = SealedFile(store, base.get.parts, body, hashes)
    another = Failure("SchemasDiffer", "The base model is not a canonical file of its schema.")
    changed = Failure("StoreInconsistent", "The base model's bytes are not those that the hub signed.")
    try:
        layout = await read_layout(file)
    except Refused as refused:
        raise (another if refused.reason == "WrongSchema" else changed) from None
    if not layout.canonical or layout.schema_digest != base.manifest.header.schema_digest:
        raise another
    return BaseModel(file, layout)


@dataclass(frozen=True)
class Examined:
    """The updates of a round, sorted by participant. `uncounted`: participants of an Evaluate round whose update is
    withheld, so that nothing of it is combined."""

    usable: Sequence[Usable]
    uncounted: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def withheld(self) -> int:
        """How many participants sent no sums, because too few people are in a class."""
        return len(self.uncounted) + sum(each.withheld for each in self.usable)


async def examine_all(store: Store, plan: AggregationPlan, form: Form, now: datetime) -> Examined:
    """Read all updates. Raises Failure if none can be combined.

    Each update is read twice: here, and again in the reduction. The result is uploaded segment by segment, so a fault
    in an update's last byte must be known before its first byte is added. Keeping the opened updates would need memory
    or disk for all of them.
    """
    gate = asyncio.Semaphore(EXAMINED_AT_ONCE)
    key = DecryptionKey.load(plan.private_key)

    async def one(update: PlannedUpdate) -> Usable | LeftOut:
        async with gate:
            try:
                return await examine(store, update, expected_update(plan, update, form), form, key, now)
            except Refused as refused:
                return LeftOut(update.participant, refused.reason)

    updates = sorted(plan.updates, key=lambda each: each.participant)
    answers = await asyncio.gather(*(one(update) for update in updates))
    read = [each for each in answers if isinstance(each, Usable)]
    uncounted = tuple(each.participant for each in read if plan.task == "Evaluate" and each.withheld)
    usable = [each for each in read if each.participant not in uncounted]
    left_out = tuple(each for each in answers if isinstance(each, LeftOut))
    if not usable:
        raise Failure("NothingToAggregate", "", left_out, len(uncounted))
    return Examined(usable, uncounted, left_out)


def expected_update(plan: AggregationPlan, update: PlannedUpdate, form: Form) -> ExpectedUpdate:
    """Return the fields that this participant's update must have."""
    return ExpectedUpdate(
        round_uid=plan.round.uid,
        attempt=update.attempt,
        participant=update.participant,
        image_digest=plan.image_digest,
        base_digest=plan.base_digest,
        schema_digest=form.layout.schema_digest if form.layout else None,
    )


def agree(usable: Sequence[Usable], left_out: tuple[LeftOut, ...], *, initial: bool) -> None:
    """Raise Failure if initial weights or schemas differ. The majority does not win: people must find the fault."""
    _require_one_group(
        "InitialWeightsDiffer", [each.header.base_digest if initial else "" for each in usable], usable, left_out
    )
    _require_one_group("SchemasDiffer", [each.header.schema_digest for each in usable], usable, left_out)


def _require_one_group(
    reason: str, digests: Sequence[str], usable: Sequence[Usable], left_out: tuple[LeftOut, ...]
) -> None:
    groups: dict[str, list[str]] = defaultdict(list)
    for digest, each in zip(digests, usable, strict=True):
        groups[digest].append(each.participant)
    if len(groups) > 1:
        # A site chose the digest, and people read it in a terminal: escape it.
        named = "; ".join(f"{', '.join(names)}: {digest[:19]!a}" for digest, names in sorted(groups.items()))
        raise Failure(reason, named, left_out)


async def agreed_layout(usable: Sequence[Usable]) -> Layout:
    """Return the layout that all updates have. Raises Failure and StoreError.

    It is read again because keeping it would cost memory: a header of 8 MiB makes 100 MiB of objects for each update.
    """
    try:
        return await read_layout(usable[0].file)
    except Refused:
        raise Failure("StoreInconsistent", CHANGED_MEANWHILE) from None


class Aggregation:
    """The second pass: reduces the usable updates and uploads the result."""

    def __init__(
        self,
        store: Store,
        plan: AggregationPlan,
        layout: Layout,
        base: SealedFile | None,
        examined: Examined,
    ) -> None:
        self._store = store
        self._plan = plan
        self._layout = layout
        self._base = base
        self._examined = examined
        self._usable = usable = examined.usable
        most = [plan.max_samples.get(each.participant, max(each.samples, each.counted)) for each in usable]
        self._samples = [min(each.samples, limit) for each, limit in zip(usable, most, strict=True)]
        self._scales = scales([each.counted for each in usable], most)
        exact = shares([each.samples for each in usable], self._samples, Fraction(plan.max_weight_share))
        self._weights = [float(weight) for weight in (exact if plan.task == "Train" else self._scales)]

    async def run(self) -> AggregationResult:
        """Reduce, seal and upload. Raises Failure and StoreError."""
        plan, layout = self._plan, self._layout
        header = bodies.new_header(
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
        sealed = SealedResult(self._store, plan, bodies.Body(plan.data_key, header))
        try:
            await self._reduce(sealed)
        except Differs:
            raise Failure(
                "SchemasDiffer", "The statistics have different centres, because the Datasets' bounds differ."
            ) from None
        except NotFinite:
            raise Failure("ResultNotFinite", "The sum of finite updates is too large for the dtype.") from None
        except Refused:
            # Every segment opened in the first pass.
            raise Failure("StoreInconsistent", CHANGED_MEANWHILE) from None
        await sealed.finish()
        combined = metrics.combine(self._parts(), plan.metrics, float(plan.specificity), plan.references)
        return AggregationResult(
            header=header,
            digest=sealed.digest,
            segments_digest=sealed.segments_digest,
            bytes=bodies.ciphertext_length(layout.length),
            samples=sum(self._samples),
            metrics=combined.metrics,
            calibration=combined.calibration,
            by_hospital=combined.by_hospital,
            differences=combined.differences,
            withheld=self._examined.withheld,
            uncounted=self._examined.uncounted,
            aggregated=tuple(each.participant for each in self._usable),
            left_out=self._examined.left_out,
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

    async def _reduce(self, sealed: SealedResult) -> None:
        plan, layout, base = self._plan, self._layout, self._base
        all_runs = runs(layout, lambda name, dtype: rule_for(plan.task, plan.initial, name, dtype))
        sources = [each.file for each in self._usable] + ([base] if base else [])
        async with aclosing(ordered(_chunk_major(sources), WINDOW)) as segments:
            await self._reduce_segments(segments, all_runs, sealed)

    async def _reduce_segments(
        self,
        segments: AsyncIterator[bytes],
        all_runs: Sequence[Run],
        sealed: SealedResult,
    ) -> None:
        layout = self._layout
        for index in range(bodies.segment_count(layout.length)):
            start, size = bodies.segment_span(index, layout.length)
            pieces: list[Run] = list(within(all_runs, start, start + size))
            reduction = SegmentReduction(pieces)
            for weight in self._weights:
                reduction.add(await anext(segments), weight)
            base_segment = await anext(segments) if self._base else None
            await sealed.append(reduction.result(layout.header[start : start + size], base_segment))


class SealedResult:
    """Seals the result's segments, and uploads them in parts."""

    def __init__(self, store: Store, plan: AggregationPlan, body: bodies.Body) -> None:
        self._store = store
        self._put = plan.put
        self._body = body
        self._lengths = bodies.part_lengths(body.length)
        if len(self._lengths) > len(plan.put.parts):
            raise Failure(
                "PlanUnreadable", f"The result needs {len(self._lengths)} uploads. The plan has {len(plan.put.parts)}."
            )
        self._index = 0
        self._part = 0
        self._buffer = bytearray()
        self._plain = digests.Digest()
        self._hashes = bytearray()

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the appended plaintext."""
        return self._plain.text

    @property
    def segments_digest(self) -> str:
        """`sha256:<hex>` of the list of ciphertext hashes of the appended segments."""
        return digests.digest(self._hashes)

    async def append(self, segment: bytes) -> None:
        """Seal the next segment, and upload the part that it completes."""
        self._plain.update(segment)
        sealed = self._body.seal(self._index, segment)
        self._hashes += hashlib.sha256(sealed).digest()
        self._buffer += sealed
        self._index += 1
        if len(self._buffer) == self._lengths[self._part]:
            await self._upload(self._put.parts[self._part], bytes(self._buffer))
            self._buffer.clear()
            self._part += 1

    async def finish(self) -> None:
        """Upload the list of segments. It comes last: if it is there, all parts are."""
        assert self._part == len(self._lengths)
        await self._upload(self._put.segments, bytes(self._hashes))

    async def _upload(self, upload: PlannedUpload, data: bytes) -> None:
        if not await self._store.put_bytes(upload.url, upload.headers, data):
            raise Failure("ResultExists", "Another aggregation has written to this place.")


def _chunk_major(sources: Sequence[SealedFile]) -> Iterator[Callable[[], Awaitable[bytes]]]:
    for index in range(sources[0].body.segments):
        for source in sources:
            yield lambda source=source, index=index: source.segment(index)  # type: ignore[misc]
