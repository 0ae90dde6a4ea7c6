"""The last container of Train and Statistics: turns the training output into an update, or refuses it with a reason.

The container has no patient data, no keys and no network. It trusts the private report of `prepare`, and the base that
the courier opened. It trusts nothing that researchers' code wrote: the trained model and, in an initial round, the
initial weights. Tensors are read in slices, so memory does not grow with the model.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from wardround import compression, tensors
from wardround.pod import output, statistics, update, validation
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError, log, run
from wardround.tabular import dataschema
from wardround.wire import codec, digests, layouts
from wardround.wire.frozen import is_frozen
from wardround.wire.outcome import Outcome
from wardround.wire.training import PrivateReport

MODEL_LIMIT = 8 << 30  # bytes of an initial model, whose size no base limits
HEADER_SLACK = 1 << 20  # bytes: a trainer's safetensors header may be longer than ours, with metadata
COPIES = 4  # model and optimizer state


def check(folders: Folders) -> Outcome | None:
    """Reads base/ and out/, writes update/. Returns the hospital's own numbers. Raises PodError at the first fault."""
    report = codec.read_document(PrivateReport, folders.report_file.read_bytes(), folders.report_file.name)
    if report.task == "Statistics":
        _check_statistics(folders, dataschema.parse(report.schema), report)
        return None
    measured = _check_training(folders, report)
    return Outcome(metrics=measured.own) if measured.own else None


def _check_statistics(folders: Folders, table: dataschema.DataSchema, report: PrivateReport) -> None:
    expected = statistics.layout(table)
    output.inspect(folders.out, expected.length + output.OTHER_FILES)
    with _tensor_file(folders, expected.length + HEADER_SLACK) as (file, layout):
        _require_equal(expected, layout)

        def fill(writer: tensors.Writer) -> update.Summary:
            for tensor in writer.layout.tensors:
                if tensor.name == "salt":
                    writer.write(update.salt_tensor(report.salt))
                    continue
                for values in tensors.chunks(file, layout.find(tensor.name)):
                    _require_finite(values, tensor)
                    writer.write(values)
            return update.Summary(report.samples, "", report.min_cell, report.tells)

        sent = tensors.layout_of(layouts.statistics(len(table.features)))
        update.publish(folders.update, sent.tensors, fill)


def _check_training(folders: Folders, report: PrivateReport) -> validation.Measurement:
    initial = report.base_digest == ""
    with _base_file(folders, initial=initial) as (base_file, base):
        _require_full_precision(base, initial=initial)
        limit = base.length + HEADER_SLACK
        output.inspect(folders.out, COPIES * limit + output.OTHER_FILES)
        measured = validation.measure(folders, report)
        with _tensor_file(folders, limit) as (file, layout):
            _require_equal(base, layout)
            frozen_names = report.exchange.frozen

            def fill(writer: tensors.Writer) -> update.Summary:
                base_digest = digests.Digest(writer.layout.header)
                squares = 0.0
                for tensor in writer.layout.tensors:
                    frozen = is_frozen(tensor.name, frozen_names)
                    pairs = zip(
                        tensors.chunks(file, layout.find(tensor.name)),
                        tensors.chunks(base_file, base.find(tensor.name)),
                        strict=True,
                    )
                    for trained, before in pairs:
                        base_digest.update(before.tobytes())
                        difference = _difference(trained, before, tensor, frozen=frozen)
                        squares += float(np.square(tensors.widen(difference, tensor.dtype), dtype=np.float64).sum())
                        writer.write(
                            _weights(trained, before, tensor) if initial else _sent(difference, tensor, report)
                        )
                log(f"check: the update has an L2 norm of {math.sqrt(squares):.4g}")
                return update.Summary(
                    report.samples,
                    base_digest.text if initial else report.base_digest,
                    report.min_cell,
                    report.tells,
                    withheld=report.withheld,
                    sums=measured.sums,
                )

            length = compression.sent_length(tensors.canonical_layout(base.tensors), report.compression, frozen_names)
            update.publish(folders.update, base.tensors, fill, length)
    return measured


@contextmanager
def _base_file(folders: Folders, *, initial: bool) -> Iterator[tuple[BinaryIO, tensors.Layout]]:
    if initial:
        with output.opened(folders.base, output.MODEL, MODEL_LIMIT) as file:
            yield file, _layout(file)
        return
    try:
        with (folders.base / output.MODEL).open("rb") as file:
            yield file, tensors.read_layout(file)
    except FileNotFoundError:
        raise PodError(
            "PodFailed", "base/model.safetensors is missing. The courier delivers this file: read the courier's log"
        ) from None


@contextmanager
def _tensor_file(folders: Folders, limit: int) -> Iterator[tuple[BinaryIO, tensors.Layout]]:
    with output.opened(folders.out, output.MODEL, limit) as file:
        yield file, _layout(file)


def _layout(file: BinaryIO) -> tensors.Layout:
    try:
        return tensors.read_layout(file)
    except tensors.NotTensors as error:
        raise PodError("OutputNotSafetensors", f"{output.MODEL}: {error}") from None


def _require_full_precision(base: tensors.Layout, *, initial: bool) -> None:
    """Raises PodError (HalfPrecision), which names the first tensor of half precision."""
    for tensor in sorted(base.tensors, key=lambda each: each.name):
        if tensor.dtype in tensors.HALF_PRECISION:
            model = "initial" if initial else "base"
            raise PodError("HalfPrecision", f"tensor {tensor.name} of the {model} model is {tensor.dtype}")


def _require_equal(expected: tensors.Layout, trained: tensors.Layout) -> None:
    """Raises PodError (TensorsDiffer). The message names expected tensors only: researchers' code chose the others'."""
    expected_tensors = {tensor.name: tensor for tensor in expected.tensors}
    trained_tensors = {tensor.name: tensor for tensor in trained.tensors}
    wrong = sorted(name for name, tensor in expected_tensors.items() if trained_tensors.get(name) != tensor)
    extra = len(trained_tensors.keys() - expected_tensors.keys())
    if wrong or extra:
        first = [expected_tensors[name] for name in wrong[:8]]
        listed = ", ".join(f"{each.name} (expected {each.dtype} {list(each.shape)})" for each in first) or "none"
        message = f"tensors missing or of another shape or dtype than in the base: {listed}; extra tensors: {extra}"
        raise PodError("TensorsDiffer", message)


def _weights(trained: tensors.Array, before: tensors.Array, tensor: tensors.Tensor) -> tensors.Array:
    """The values that an initial round sends: the trained weights, and the base's integers, which have no mean."""
    return trained if tensor.dtype in tensors.FLOATS else before


def _sent(difference: tensors.Array, tensor: tensors.Tensor, report: PrivateReport) -> tensors.Array | bytes:
    """The bytes of a difference as the update holds them. Raises PodError("NotFinite")."""
    if not compression.is_packed(tensor, report.compression, report.exchange.frozen):
        return difference
    try:
        return compression.pack(difference, tensor.dtype, report.compression)
    except compression.OutOfRange:
        message = f"tensor {tensor.name} changed by more than the compression {report.compression} can hold"
        raise PodError("NotFinite", message) from None


def _difference(
    trained: tensors.Array, before: tensors.Array, tensor: tensors.Tensor, *, frozen: bool
) -> tensors.Array:
    """Trained minus base, rounded once to the base's dtype. With `frozen`, zeros, and trained must equal base bitwise.

    Integers have no mean, so the result keeps the base's, and a change of them is ignored: zeros. An example is the
    counter of a BatchNorm layer. Raises PodError (FrozenChanged, NotFinite).
    """
    if tensor.dtype not in tensors.FLOATS:
        return np.zeros_like(before)
    if frozen:
        if trained.tobytes() != before.tobytes():
            raise PodError("FrozenChanged", f"tensor {tensor.name} is frozen, and training changed it")
        _require_finite(trained, tensor)
        return np.zeros_like(trained)
    _require_finite(trained, tensor)
    difference = tensors.narrow(
        tensors.widen(trained, tensor.dtype) - tensors.widen(before, tensor.dtype), tensor.dtype
    )
    # The difference of two finite weights can overflow.
    _require_finite(difference, tensor)
    return difference


def _require_finite(values: tensors.Array, tensor: tensors.Tensor) -> None:
    if tensor.dtype in tensors.FLOATS and not np.isfinite(tensors.widen(values, tensor.dtype)).all():
        raise PodError("NotFinite", f"tensor {tensor.name} has values that are NaN or infinite")


def main(argv: Sequence[str]) -> int:
    return run("check", lambda: check(Folders.from_environment()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
