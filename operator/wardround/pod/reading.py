"""Reads a Dataset without any round: counts its rows and reports all faults at once. Leaves nothing but a split key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from wardround.clock import RandomBytes
from wardround.pod import patients_record, split_key, split_record
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.tabular import schema, split
from wardround.wire.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Reading:
    """`split_fingerprint`: of the key that the Dataset was read with before, "" if it is not known."""

    dataset_name: str
    dataset: Mapping[str, Any]
    schema: Mapping[str, Any]
    split_fingerprint: str
    min_samples: int
    min_cell: int
    max_left_out: Decimal


def read(folders: Folders, reading: Reading, random_bytes: RandomBytes) -> Outcome:
    """The termination message of a Dataset on which a round could train.

    Raises PodError: the reason and the message of the first fault, and all other faults in the message. Rows are only
    read if the objects are valid and the key of the split is the former one.
    """
    dataset = reading.dataset
    faults: list[PodError] = []
    table, sides, secret = None, None, b""
    try:
        key_file = dataset["split"].get("keyFile", "")
        secret = split_key.held(folders, reading.dataset_name, key_file, reading.split_fingerprint, random_bytes)
    except PodError as failure:
        faults.append(failure)
    try:
        sides = split.parse(dataset["split"], secret)
    except split.SplitInvalid as error:
        faults.append(PodError("DataUnreadable", f"Dataset.spec: {error}"))
    try:
        if sides is not None and not faults:
            split_record.hold(folders, reading.dataset_name, dataset, sides, random_bytes)
    except PodError as failure:
        faults.append(failure)
    try:
        table = schema.parse(reading.schema, dataset)
    except schema.SchemaInvalid as error:
        faults.append(PodError("DataUnreadable", str(error)))
    read = Outcome()
    if table is not None and sides is not None and not faults:
        read, refusals = _counted(folders, reading, table, sides, random_bytes)
        read = replace(read, split_fingerprint=split.fingerprint(secret))
        faults += refusals
    if faults:
        raise _joined(faults, read)
    return read


def _counted(
    folders: Folders, reading: Reading, table: schema.Schema, sides: split.Split, random_bytes: RandomBytes
) -> tuple[Outcome, list[PodError]]:
    """The counts of the file, and the reasons for which no round would train on it."""
    # Imported here because Arrow is slow to import, and the gate runs first.
    from wardround.pod import columns_record, dataset, survey
    from wardround.pod.column_sample import Sample

    whole, sample = survey.Survey(table, sides), Sample()
    try:
        path = raw_file(folders, reading.dataset)
        for batch in dataset.read(path, reading.dataset["format"], table, whole.reading):
            sample.add(whole.add(batch), batch.view)
    except PodError as failure:
        return Outcome(), [failure]
    counts = whole.counts()
    needed = max(1, reading.min_samples, reading.min_cell)
    words = {
        "TooManyRowsLeftOut": survey.too_many_left_out(counts, reading.max_left_out, reading.min_cell),
        "TooFewSamples": survey.too_few_samples(counts, "train", counts.sides["train"], needed),
    }
    failures = [PodError(name, text) for name, text in words.items() if text]
    if not words["TooManyRowsLeftOut"]:
        try:
            patients_record.hold(folders, reading.dataset_name, whole.patients(), random_bytes)
            columns_record.hold(folders, reading.dataset_name, reading.dataset, table, sample, random_bytes)
        except PodError as failure:
            failures.insert(0, failure)
    return survey.outcome(counts, reading.min_cell), failures


def raw_file(folders: Folders, dataset: Mapping[str, Any]) -> Path:
    """The Dataset's file. Raises PodError (DataUnreadable)."""
    path = folders.raw / str(dataset["path"])
    if not path.resolve().is_relative_to(folders.raw.resolve()):
        raise PodError("DataUnreadable", "Dataset.spec.path leads out of the volume")
    if not path.is_file():
        raise PodError("DataUnreadable", f"the volume has no file {dataset['path']} (Dataset.spec: claimName, path)")
    return path


def _joined(faults: list[PodError], read: Outcome) -> PodError:
    first, *others = faults
    message = "; ".join([first.message, *(f"also {each.reason}: {each.message}" for each in others)])
    return PodError(first.reason, message, field=first.field, counted=read)
