"""Reads sealed files from the store segment by segment, and decides which updates can be used; reduces nothing."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from threading import Lock

import numpy as np

from wardround.aggregate import counts
from wardround.aggregate.buffers import Buffers
from wardround.aggregate.expanded_file import ExpandedFile
from wardround.aggregate.resealed import Resealing
from wardround.aggregate.sealed_file import Keeping, SealedFile
from wardround.aggregate.slices import Run, all_finite, runs, squares, within
from wardround.api.times import parse_time
from wardround.compression import Expansion, sent_length
from wardround.ports import Store
from wardround.sealing import untrusted
from wardround.sealing.body import (
    SEGMENT,
    Body,
    part_lengths,
)
from wardround.sealing.keyed_digest import keyed_digest
from wardround.sealing.keys import DecryptionKey, load_verification_key
from wardround.sealing.manifests import ExpectedUpdate, verify_update
from wardround.sealing.refused import Refused
from wardround.sealing.sums import open_sums
from wardround.sealing.wrap import unwrap, update_context
from wardround.store.errors import MISSING, SHORT, StoreError
from wardround.tensors import HALF_PRECISION, Array, Layout, NotTensors, header_bytes, parse_header
from wardround.wire import digests
from wardround.wire.aggregation import PlannedUpdate
from wardround.wire.compression import NONE, Compression
from wardround.wire.frozen import is_frozen
from wardround.wire.models import Header, UpdateManifest
from wardround.wire.update import ValidationSums

# Covers repr of every finite float.
NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
# By reason of a store's error: a missing or short object concerns its participant only. Any other error concerns all.
REFUSALS = {MISSING: "Missing", SHORT: "Altered"}


class ParsedHeaders:
    """Equal headers share one layout: the objects of a layout take several times the memory of its header, and
    hospitals of an initial round send equal headers. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: Layout | None = None

    def layout(self, header: bytes, length: int) -> Layout:
        """See tensors.parse_header."""
        with self._lock:
            last = self._last
            if last is None or last.header != header or last.length != length:
                self._last = last = parse_header(header, length)
            return last


@dataclass(frozen=True)
class Form:
    """The expected tensors and claims of an update. `least_cell`: the least `min_cell` that a hospital may claim.
    `layout`: None for initial weights and for Statistics. `frozen`: patterns of a Train round's frozen tensors.
    `compression`: of the updates of a Train round with a base. `headers`: of updates whose layout is not known."""

    task: str
    least_cell: int
    layout: Layout | None = None
    frozen: tuple[str, ...] = ()
    compression: Compression = NONE
    headers: ParsedHeaders = field(default_factory=ParsedHeaders, compare=False)

    @property
    def length(self) -> int | None:
        """Bytes of an update; None if its layout is not known."""
        return None if self.layout is None else sent_length(self.layout, self.compression, self.frozen)

    @cached_property
    def runs(self) -> Sequence[Run]:
        """The runs of `layout`, which all updates share: many may be examined at once, and a model may have many
        runs."""
        assert self.layout is not None
        return self.runs_of(self.layout)

    def runs_of(self, layout: Layout) -> Sequence[Run]:
        """The runs that a first pass checks. A frozen tensor keeps the base's values. For the others, only the dtypes
        matter here."""
        train = self.task == "Train"
        return runs(layout, lambda name, dtype: "KeepBase" if train and is_frozen(name, self.frozen) else "Delta")


@dataclass(frozen=True)
class Usable:
    """An update that was read completely: it opens, is finite, and has the layout of its schema. Or, for `begun` of
    `examine`, one that begins to arrive.

    `withheld`: its sums are withheld, because too few people are in a class. `counted`: the number that a
    limit of the participant reduces in its sums: rows of Statistics, people of Evaluate and of the validation rows of
    Train; 0 without sums. `sums`, `reported`: what its metrics are computed from (aggregate/metrics.py). `norm`: of all
    floats of the update of a Train round but the frozen ones, else 0. `frozen_digest`: of the frozen tensors of initial
    weights, else "". `expires`: from when the update may not be combined. `local_steps`: by which FedNova divides the
    update; 1 for the other strategies.
    """

    participant: str
    header: Header
    samples: int
    withheld: bool
    tells: bool
    min_cell: int
    counted: int
    sums: Mapping[str, Array]
    reported: Mapping[str, float]
    file: SealedFile
    norm: float
    frozen_digest: str
    expires: datetime
    local_steps: int = 1


@dataclass(frozen=True)
class _Sums:
    """`counted`, `sums` and `reported` of Usable."""

    counted: int = 0
    sums: Mapping[str, Array] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)


async def examine(
    store: Store,
    update: PlannedUpdate,
    expected: ExpectedUpdate,
    form: Form,
    key: DecryptionKey,
    now: datetime,
    keeping: Keeping,
    buffers: Buffers,
    turns: asyncio.Semaphore,
    begun: Callable[[Usable], None],
) -> Usable:
    """Read one update completely, and keep in scratch what the second reading needs (`keeping`). Raises
    Refused if the update cannot be used, StoreError if the store fails.

    `begun`: is called when the file of an update of a Train round begins to arrive. It gets what is known by then,
    which is everything but `norm` and `frozen_digest`. The update may still be refused.
    """
    manifest = verify_update(update.manifest, load_verification_key(update.signing_key), expected, now)
    _check_claims(form, manifest)
    context = update_context(expected.round_uid, expected.attempt, expected.participant, manifest.digest)
    file_key = unwrap(manifest.wrapped_key, key, context)
    body = Body(file_key, manifest.header)
    _check_size(form, body, parts=len(update.get))
    train = form.task == "Train"
    with _possible():
        validation = _validation(file_key, manifest) if train else _Sums()
    file = _file(store, update.get, body, form, keeping)
    usable = Usable(
        participant=update.participant,
        header=manifest.header,
        samples=manifest.samples,
        withheld=manifest.withheld,
        tells=manifest.tells,
        min_cell=manifest.min_cell,
        counted=validation.counted,
        sums=validation.sums,
        reported=validation.reported,
        file=file,
        norm=0.0,
        frozen_digest="",
        expires=parse_time(manifest.expires),
    )
    if train:
        begun(usable)
    first_pass = FirstPass(body.length, form, file.sent if isinstance(file, ExpandedFile) else None)
    with refusals():
        await file.read_through(first_pass.add, buffers, turns)
        layout = first_pass.finish()
        _check_digest(first_pass.digest, file_key, manifest)
        numbers = {} if train else await _numbers(file, layout, form.task)
    _check_layout(form, layout, manifest.header)
    if train:
        return replace(usable, norm=math.sqrt(first_pass.squares), frozen_digest=first_pass.frozen_digest)
    with _possible():
        read = _counted(form.task, numbers, manifest)
    return replace(usable, counted=read.counted, sums=read.sums)


def _check_size(form: Form, body: Body, parts: int) -> None:
    """Raises Refused("Missing") if `parts` of the file are too few, Refused("WrongSchema") if its length is not that of
    the form. Statistics and Evaluate updates are one segment."""
    if parts < len(part_lengths(body.length)):
        raise Refused("Missing")
    if form.length not in (None, body.length) or (form.task != "Train" and body.length > SEGMENT):
        raise Refused("WrongSchema")


def _file(store: Store, urls: Sequence[str], body: Body, form: Form, keeping: Keeping) -> SealedFile:
    """The file of an update. A compressed one is read as the file that was compressed."""
    if form.layout is None or form.compression == NONE:
        return SealedFile(store, urls, body, keeping)
    assert isinstance(keeping, Resealing), "plan.parse refuses other plans"
    expansion = Expansion(form.layout, form.compression, form.frozen)
    return ExpandedFile(store, urls, body, keeping, form.layout.length, expansion)


@contextmanager
def refusals() -> Iterator[None]:
    """Raises Refused if the store has answered that it lacks an object, or has only a part of it. It is then no use to
    wait for the store."""
    try:
        yield
    except StoreError as error:
        if error.reason in REFUSALS:
            raise Refused(REFUSALS[error.reason]) from None
        raise


def _check_digest(plain: str, file_key: bytes, manifest: UpdateManifest) -> None:
    """Raises Refused("Altered") if the manifest is about other bytes. A site whose
    assignment asks for no keyed digest sends the plain one."""
    if manifest.digest not in (keyed_digest(file_key, manifest.header, plain), plain):
        raise Refused("Altered")


def _check_layout(form: Form, layout: Layout, header: Header) -> None:
    """Raises Refused: HalfPrecision, and WrongSchema if the form knows no layout and the header's is another one."""
    if any(tensor.dtype in HALF_PRECISION for tensor in layout.tensors):
        # `check` at the site refuses such a model. An update of other code is left out.
        raise Refused("HalfPrecision")
    if form.layout is None and not (layout.canonical and layout.schema_digest == header.schema_digest):
        raise Refused("WrongSchema")


def _check_claims(form: Form, manifest: UpdateManifest) -> None:
    """Raises Refused("CountsInvalid") for a manifest that no honest site signs.

    An update without samples would count for the quorum and add nothing to the result. Only a withheld Evaluate update
    has none, and it does not count. No Site has a `minCell` below the hub's least, so a hospital that claims less would
    protect no other hospital's numbers.
    """
    task = form.task
    withheld = manifest.withheld
    samples_fit = manifest.samples == 0 if withheld and task == "Evaluate" else manifest.samples >= 1
    sums_fit = manifest.sealed_sums is None or (task == "Train" and not withheld)
    if not samples_fit or not sums_fit or (withheld and task == "Statistics") or manifest.min_cell < form.least_cell:
        raise Refused("CountsInvalid")


@contextmanager
def _possible() -> Iterator[None]:
    """Raises Refused("CountsInvalid") for counts that no people can have."""
    try:
        yield
    except counts.Impossible:
        raise Refused("CountsInvalid") from None


def _counted(task: str, numbers: Mapping[str, Array], manifest: UpdateManifest) -> _Sums:
    """What a Statistics or Evaluate update counts. Raises counts.Impossible."""
    if manifest.withheld:
        if any(np.any(each) for each in numbers.values()):
            raise counts.Impossible
        return _Sums()
    if task == "Statistics":
        return _Sums(counts.row_count(numbers, manifest.samples))
    return _Sums(counts.evaluated(numbers, manifest.samples, manifest.min_cell), numbers)


def _validation(file_key: bytes, manifest: UpdateManifest) -> _Sums:
    """The validation sums in the manifest of a Train update. Raises counts.Impossible, and Refused: Altered,
    CountsInvalid."""
    if manifest.sealed_sums is None:
        return _Sums()
    text = open_sums(file_key, manifest.header, manifest.sealed_sums)
    made = untrusted.parse(ValidationSums, untrusted.loads(text, "CountsInvalid"), "CountsInvalid")
    numbers = {name: np.array([_number(each) for each in elements]) for name, elements in made.sums.items()}
    counts.validated(numbers, made.people, manifest.min_cell)
    return _Sums(made.people, numbers, {name: _number(value) for name, value in made.reported.items()})


def _number(text: str) -> float:
    """Raises counts.Impossible unless the text is a finite decimal."""
    if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise counts.Impossible
    return float(text)


async def read_layout(file: SealedFile, parse: Callable[[bytes, int], Layout] = parse_header) -> Layout:
    """Return the layout of a file. Reads only its header. `parse`: of ParsedHeaders, if the file may have an equal
    header. Raises Refused and StoreError."""
    prefix = b""
    for index in range(file.body.segments):
        prefix += await file.segment(index)
        if layout := _layout(prefix, file.body.length, parse):
            return layout
    raise Refused("WrongSchema")


async def _numbers(file: SealedFile, layout: Layout, task: str) -> dict[str, Array]:
    """Return the tensors of a Statistics or Evaluate update, which is one segment. Raises Refused and StoreError."""
    if task == "Statistics" and not counts.is_statistics(layout):
        raise Refused("WrongSchema")
    data = await file.segment(0)
    return {tensor.name: np.frombuffer(data[start:stop], "<f8") for tensor, start, stop in layout.places}


class FirstPass:
    """Checks an update's segments in order: header, finite values, frozen tensors, digest.

    Against a known layout, the update of a Train round is a difference from a base, so its frozen tensors are zero.
    `squares`: the sum of squares of the floats of a Train round that are not frozen.
    """

    def __init__(self, length: int, form: Form, sent: digests.Digest | None = None) -> None:
        """`length`: of the file. `sent`: digest of the file as it was sent, if the segments are of an expanded one."""
        self.squares = 0.0
        self._form = form
        self._frozen_bytes = digests.Digest()
        self._length = length
        self._sent = sent
        self._plain = digests.Digest()
        # The first segments of an unknown layout, until the header is complete (at most 8 MiB).
        self._waiting = bytearray()
        self._layout: Layout | None = None
        self._runs: Sequence[Run] = ()
        self._start = 0

    def add(self, segment: bytes | memoryview) -> None:
        """Check the next segment. Raises Refused: WrongSchema, NotFinite or FrozenNotZero."""
        if self._sent is None:
            self._plain.update(segment)
        if self._form.layout is not None:
            self._check_header(segment, self._form.layout)
            self._runs = self._form.runs
        elif self._layout is None:
            self._waiting += segment
            segment = bytes(self._waiting)
            self._layout = _layout(segment, self._length, self._form.headers.layout)
            if self._layout is None:
                return
            self._waiting.clear()
            self._runs = self._form.runs_of(self._layout)
        pieces = list(within(self._runs, self._start, self._start + len(segment)))
        if not all_finite(segment, pieces):
            raise Refused("NotFinite")
        if self._form.task == "Train":
            self._check_frozen(segment, [run for run in pieces if run.rule == "KeepBase"])
            self.squares += squares(segment, [run for run in pieces if run.rule != "KeepBase"])
        self._start += len(segment)

    def _check_header(self, segment: bytes | memoryview, known: Layout) -> None:
        """A known header is compared, not parsed: parsing the header of millions of tensors needs far more memory than
        its bytes."""
        if self._start < len(known.header):
            expected = memoryview(known.header)[self._start : self._start + len(segment)]
            if segment[: len(expected)] != expected:
                raise Refused("WrongSchema")

    def _check_frozen(self, segment: bytes | memoryview, pieces: Sequence[Run]) -> None:
        for run in pieces:
            content = memoryview(segment)[run.start : run.stop]
            if self._form.layout is None:
                self._frozen_bytes.update(content)
            elif np.any(np.frombuffer(content, np.uint8)):
                raise Refused("FrozenNotZero")

    @property
    def frozen_digest(self) -> str:
        """The digest of the frozen tensors of initial weights, in the file's order; "" of other updates."""
        return self._frozen_bytes.text if self._form.task == "Train" and self._form.layout is None else ""

    @property
    def digest(self) -> str:
        """The digest of the plaintext as it was sent."""
        return (self._sent or self._plain).text

    def finish(self) -> Layout:
        """Return the layout. Raises Refused: WrongSchema."""
        layout = self._form.layout or self._layout
        if layout is None or self._start < len(layout.header):
            raise Refused("WrongSchema")
        return layout


def _layout(prefix: bytes, length: int, parse: Callable[[bytes, int], Layout]) -> Layout | None:
    """Return the layout once the header is complete. Refuses a header of more than LARGEST_HEADER bytes."""
    try:
        size = header_bytes(prefix)
        if size > length:
            raise Refused("WrongSchema")
        return parse(prefix[:size], length) if size <= len(prefix) else None
    except NotTensors:
        raise Refused("WrongSchema") from None
