"""Examines the base and the updates of an aggregation once, and leaves out updates that may not be combined."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from wardround.aggregate import steps
from wardround.aggregate.advice import CHECK_STORE
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.collection import UpdateCollection
from wardround.aggregate.memory import ARRIVING_AT_ONCE
from wardround.aggregate.outliers import Size, too_large
from wardround.aggregate.plan import AggregationError
from wardround.aggregate.sealed_file import Keeping, SealedFile
from wardround.aggregate.update_list import listed_updates
from wardround.aggregate.updates import REFUSALS, Form, Usable, examine, read_layout
from wardround.parallel import Job, run_all
from wardround.ports import Store
from wardround.sealing import body as bodies
from wardround.sealing.files import HASH_BYTES
from wardround.sealing.keys import DecryptionKey
from wardround.sealing.manifests import ExpectedUpdate
from wardround.sealing.refused import Refused
from wardround.store.errors import StoreError
from wardround.tensors import Layout
from wardround.wire import digests, strategy_terms
from wardround.wire.aggregation import AggregationPlan, LeftOut, PlannedUpdate
from wardround.wire.collected import identity_of


@dataclass(frozen=True)
class BaseModel:
    """The model to which differences are added. All updates have its layout and header."""

    file: SealedFile
    layout: Layout


async def open_base(store: Store, plan: AggregationPlan, keeping: Keeping) -> BaseModel | None:
    """Return the plan's base, if it has one. Reads only the header. Raises AggregationError and StoreError."""
    base = plan.base
    if base is None:
        return None
    body = bodies.Body(base.data_key, base.manifest.header)
    with _base_there():
        hashes = await store.get_bytes(base.get.segments, HASH_BYTES * body.segments)
    if digests.digest(hashes) != base.manifest.segments_digest:
        raise _base_changed("list of segments")
    file = SealedFile(store, base.get.parts, body, keeping, hashes)
    another = AggregationError(
        "SchemasDiffer",
        "The aggregation combines nothing, because the base is not a tensor file in canonical form "
        "(docs/contracts.md). The round's author has to start from another base.",
    )
    try:
        with _base_there():
            layout = await read_layout(file)
    except Refused as refused:
        raise (another if refused.reason == "WrongSchema" else _base_changed("content")) from None
    if not layout.canonical or layout.schema_digest != base.manifest.header.schema_digest:
        raise another
    return BaseModel(file, layout)


@contextmanager
def _base_there() -> Iterator[None]:
    """Raises AggregationError for a base that the store no longer has as a whole: the store has answered, so it is no
    use to wait for it."""
    try:
        yield
    except StoreError as error:
        if error.reason not in REFUSALS:
            raise
        raise AggregationError(
            "StoreInconsistent",
            f"The store no longer has the base of this round, or has only a part of it ({error}). {CHECK_STORE}",
        ) from None


def _base_changed(part: str) -> AggregationError:
    return AggregationError(
        "StoreInconsistent",
        f"The store gave the aggregation Job a {part} of the base that differs from the {part} that the hub operator "
        f"signed. {CHECK_STORE}",
    )


@dataclass(frozen=True)
class ExaminedUpdates:
    """The updates of a round, sorted by participant. `uncounted`: participants of an Evaluate round whose update is
    withheld, so that nothing of it is combined."""

    usable: Sequence[Usable]
    uncounted: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def withheld(self) -> int:
        """How many participants sent no sums, because too few people are in a class."""
        return len(self.uncounted) + sum(each.withheld for each in self.usable)


class KnownUpdates:
    """What is known of each update, by identity: of one that still arrives, what `updates.examine` says of it then.

    As soon as each update that counts arrives or has arrived, `expect` is called, and again when one of them is
    refused. It gets the updates that are combined if the examination refuses none of those that still arrive.
    """

    def __init__(
        self,
        counting: Callable[[Collection[str]], Collection[str] | None],
        expect: Callable[[Sequence[Usable]], None],
    ) -> None:
        """`counting`: returns the identities of the updates that count, if they are known. It gets the identities of
        the known updates."""
        self._counting = counting
        self._expect = expect
        self._expected: list[str] = []
        self._updates: dict[str, Usable | LeftOut] = {}

    def add(self, identity: str, update: Usable | LeftOut) -> None:
        """An update begins to arrive, or is examined."""
        self._updates[identity] = update
        self.look()

    def look(self) -> None:
        """Call `expect` if it is time."""
        counted = self._counting(self._updates)
        if counted is None or not all(name in self._updates for name in counted):
            return
        expected = [each for each in self.counted() if isinstance(each, Usable)]
        names = [each.participant for each in expected]
        if names != self._expected:
            self._expected = names
            self._expect(expected)

    def counted(self) -> list[Usable | LeftOut]:
        """The updates that count, sorted by participant."""
        counted = self._counting(self._updates)
        assert counted is not None
        return sorted((self._updates[name] for name in counted), key=lambda each: each.participant)


async def examine_all(
    store: Store,
    plan: AggregationPlan,
    form: Form,
    now: datetime,
    keeping: Keeping,
    base: SealedFile | None,
    buffers: Buffers,
    collection: UpdateCollection | None,
    expect: Callable[[Sequence[Usable]], None],
) -> ExaminedUpdates:
    """Read all updates, and a `base` that scratch is to keep. Raises AggregationError if no update can be combined.
    `collection`: the list of updates, if the round still collects. Its last page says which of them count. `expect`:
    see KnownUpdates.

    The reduction reads them again, from scratch or from the store. A fault in an update's last byte must be known
    before the first byte of the result is uploaded.
    """
    key = DecryptionKey.load(plan.private_key)
    listed, turns = plan.listed.updates, asyncio.Semaphore(ARRIVING_AT_ONCE)
    known = KnownUpdates(
        lambda names: collection.counted if collection else (names if len(names) == listed else None), expect
    )

    async def one(update: PlannedUpdate) -> None:
        expected, add = expected_update(plan, update, form), partial(known.add, identity_of(update))
        try:
            add(await examine(store, update, expected, form, key, now, keeping, buffers, turns, add))
        except Refused as refused:
            add(LeftOut(update.participant, refused.reason))

    async def keep(base: SealedFile) -> None:
        try:
            with _base_there():
                await base.read_through(lambda segment: None, buffers, turns)
        except Refused:
            raise _base_changed("content") from None

    async def jobs() -> AsyncGenerator[Job, None]:
        if base:
            yield partial(keep, base)
        listed = collection.updates() if collection else listed_updates(store, plan.listed)
        async with aclosing(listed) as updates:
            async for update in updates:
                yield partial(one, update)
        known.look()

    # Updates that all arrive side by side can be combined as they arrive. One job more reads the base, and with one
    # place more, the rest of the list is read while the base and all updates arrive.
    at_once = 2 + listed if plan.anticipates else ARRIVING_AT_ONCE
    # After an error, no thread may still write into scratch, because the caller closes it: run_all waits for all jobs.
    async with aclosing(jobs()) as examinations:
        await run_all(examinations, at_once)
    in_order = known.counted()
    if collection:
        in_order = without_expired(in_order, now + timedelta(seconds=collection.closed_after))
    return _sorted_out(plan.task, in_order)


def _sorted_out(task: str, examined: Sequence[Usable | LeftOut]) -> ExaminedUpdates:
    """Raises AggregationError if no update can be combined."""
    read = [each for each in examined if isinstance(each, Usable)]
    uncounted = tuple(each.participant for each in read if task == "Evaluate" and each.withheld)
    usable = [each for each in read if each.participant not in uncounted]
    left_out = tuple(each for each in examined if isinstance(each, LeftOut))
    if not usable:
        raise AggregationError("NothingToAggregate", "", left_out, len(uncounted))
    return ExaminedUpdates(usable, uncounted, left_out)


def without_expired(examined: Sequence[Usable | LeftOut], closed: datetime) -> list[Usable | LeftOut]:
    """Leaves out updates that were valid when the Job began, and no longer when the list was closed. A Job that begins
    at closing uses none of them either. So late is a round that was suspended after a hospital had sent its update."""
    return [
        LeftOut(each.participant, "Expired") if isinstance(each, Usable) and closed >= each.expires else each
        for each in examined
    ]


def with_local_steps(examined: ExaminedUpdates) -> ExaminedUpdates:
    """Sets the local steps that count. Leaves out updates whose training code reports no number of steps. Raises
    AggregationError if none are left.

    Each number of steps counts within limits that all these updates set. The limits stay when later checks leave out
    an update: with other limits, the sum would divide an update by another number than the check of its norm.
    """
    known = [(each, number) for each in examined.usable if (number := steps.reported(each.reported)) is not None]
    used = {each.participant for each, _ in known}
    lacking = [each.participant for each in examined.usable if each.participant not in used]
    out = (*examined.left_out, *(LeftOut(name, "StepsMissing") for name in lacking))
    if not known:
        raise AggregationError("NothingToAggregate", "", out, len(examined.uncounted))
    counted = steps.counted([number for _, number in known])
    usable = [replace(each, local_steps=number) for (each, _), number in zip(known, counted, strict=True)]
    return replace(examined, usable=usable, left_out=out)


def without_outliers(examined: ExaminedUpdates, max_samples: Mapping[str, int]) -> ExaminedUpdates:
    """Leaves out updates that are far larger than the others, each divided by its local steps. `max_samples`: as of
    the plan."""
    marks = too_large(
        [
            Size(each.norm / each.local_steps, each.samples, max_samples.get(each.participant))
            for each in examined.usable
        ]
    )
    out = tuple(
        LeftOut(each.participant, "UpdateTooLarge") for each, mark in zip(examined.usable, marks, strict=True) if mark
    )
    usable = [each for each, mark in zip(examined.usable, marks, strict=True) if not mark]
    return replace(examined, usable=usable, left_out=(*examined.left_out, *out)) if out else examined


def require_enough(plan: AggregationPlan, examined: ExaminedUpdates) -> None:
    """Raise AggregationError if fewer updates are left than the strategy of a Train round needs."""
    if plan.task != "Train":
        return
    least = strategy_terms.fewest(plan.strategy, plan.parameters)
    if len(examined.usable) < least:
        raise AggregationError(
            "TooFewForStrategy",
            f"The aggregation combines nothing: with these parameters, the strategy {plan.strategy} needs {least} "
            f"updates, and {len(examined.usable)} can be used.",
            examined.left_out,
        )


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
    """Raise AggregationError if initial weights, schemas or frozen tensors differ. The majority does not win: people
    must find the fault."""
    _require_one_group(
        "InitialWeightsDiffer", [each.header.base_digest if initial else "" for each in usable], usable, left_out
    )
    _require_one_group("SchemasDiffer", [each.header.schema_digest for each in usable], usable, left_out)
    # The digest of the initial weights is a hospital's claim. The frozen tensors are those of the initial weights.
    _require_one_group("InitialWeightsDiffer", [each.frozen_digest for each in usable], usable, left_out)


def _require_one_group(
    reason: str, digests: Sequence[str], usable: Sequence[Usable], left_out: tuple[LeftOut, ...]
) -> None:
    groups: dict[str, list[str]] = defaultdict(list)
    for digest, each in zip(digests, usable, strict=True):
        groups[digest].append(each.participant)
    if len(groups) > 1:
        # A site chose the digest, and people read it in a terminal: escape it.
        named = "; ".join(f"{', '.join(names)}: {digest[:19]!a}" for digest, names in sorted(groups.items()))
        raise AggregationError(reason, named, left_out)
