"""Checks a Dataset and its file on this computer, with the code of the training pod; asks no cluster.

The person owns the file. So names of columns that the schema does not name are shown here, and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from wardround.api import dataset, dataset_text
from wardround.cli.errors import CommandError
from wardround.cli.objects import printable
from wardround.reasons.registry import reason_for
from wardround.tabular import problems, schema, split
from wardround.wire import codec

if TYPE_CHECKING:
    from wardround.pod.survey import Counts

# What the command needs beside the command line itself.
INSTALL = "pip install '.[cli,data]'"
MOST_NAMES = 12


@dataclass(frozen=True)
class Limits:
    """`policy` of the Site."""

    max_left_out: Decimal
    min_cell: int


@dataclass(frozen=True)
class Fault:
    """A reason for which the Dataset would not be Ready, or (`remark`) what looks wrong in valid rows."""

    reason: str
    message: str


@dataclass(frozen=True)
class Checked:
    """`lines`: for people. `ready`: whether the Dataset would be Ready after a training pod has read it."""

    lines: tuple[str, ...]
    ready: bool


def check(manifest: Path, file: Path, limits: Limits) -> Checked:
    """Raises CommandError if there is nothing to check."""
    item = _dataset(manifest)
    if not file.is_file():
        raise CommandError(f"There is no file {file}.")
    spec = item["spec"] if isinstance(item.get("spec"), dict) else {}
    table, sides, faults = _parsed(item, spec)
    name = (item.get("metadata") or {}).get("name", "")
    lines = [f"Dataset {name} with the file {file.name}"]
    if table is not None:
        counts, found = _read(file, spec.get("format", "CSV"), table, sides, limits)
        lines += _of_schema(table)
        lines += _of_rows(counts, table, limits, split_known=sides is not None) if counts else []
        faults += found
    if faults:
        lines.append(f"Not Ready: {len(faults)} {'fault' if len(faults) == 1 else 'faults'}")
        lines += [f"  {each.reason}: {each.message}" for each in faults]
    else:
        lines.append(
            "This Dataset becomes Ready at a Site with policy.maxLeftOut "
            f"{limits.max_left_out.normalize():f} and minCell {limits.min_cell}"
        )
    return Checked(tuple(printable(line) for line in lines), not faults)


def _dataset(manifest: Path) -> dict[str, Any]:
    """The one Dataset of a file that may hold other objects. Raises CommandError."""
    try:
        documents = list(yaml.safe_load_all(manifest.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{manifest} cannot be read as YAML: {error}") from error
    found = [each for each in documents if isinstance(each, dict) and each.get("kind") == dataset.KIND]
    if len(found) != 1:
        raise CommandError(
            f"{manifest} has {len(found) or 'no'} objects of kind Dataset. Give a file that has exactly one."
        )
    return found[0]


def _parsed(
    item: Mapping[str, Any], spec: Mapping[str, Any]
) -> tuple[schema.Schema | None, split.Split | None, list[Fault]]:
    """Schema and split, as far as they are valid, and all faults of the object."""
    faults = [
        Fault("SchemaInvalid", f"spec.{name} is missing")
        for name in ("claimName", "path", "schema", "split")
        if name not in spec
    ]
    table = sides = None
    try:
        table = schema.parse(spec["schema"]) if "schema" in spec else None
    except schema.SchemaInvalid as error:
        faults.append(Fault("SchemaInvalid", f"spec.schema: {error}"))
    try:
        sides = split.parse(spec["split"]) if isinstance(spec.get("split"), Mapping) else None
    except split.SplitInvalid as error:
        faults.append(Fault("DataUnreadable", f"Dataset.spec: {error}"))
    if not faults:
        try:
            dataset.parse(item)
        except codec.Malformed as error:
            faults.append(Fault("SchemaInvalid", str(error)))
    if not faults and (fault := dataset_text.fault(spec)):
        faults.append(Fault("SchemaInvalid", fault))
    return table, sides, faults


def _read(
    file: Path, kind: str, table: schema.Schema, sides: split.Split | None, limits: Limits
) -> tuple[Counts | None, list[Fault]]:
    """The counts of the file, or none if it cannot be read, and the faults for which no pod would train on it."""
    try:
        from wardround.pod import survey
        from wardround.pod.outcome import Failure
    except ModuleNotFoundError as error:
        if error.name not in ("numpy", "pyarrow"):
            raise
        raise CommandError(
            f"`dataset check` reads the file with {error.name}, which is not installed. Run, in a copy of Wardround's "
            f"repository: {INSTALL}"
        ) from error
    try:
        # Without a valid key of the split, rows are counted all the same.
        counts = survey.count_file(file, kind, table, sides or split.Split(secrets.token_bytes(16), 0, 0))
    except Failure as failure:
        return None, [Fault(failure.reason, failure.message)]
    trained = counts.sides["train"] if sides else counts.patients
    words = {
        "TooManyRowsLeftOut": survey.too_many_left_out(counts, limits.max_left_out, limits.min_cell),
        "TooFewSamples": survey.too_few_samples(counts, "train", trained, limits.min_cell),
    }
    return counts, [Fault(reason, message) for reason, message in words.items() if message]


def _of_schema(table: schema.Schema) -> Iterator[str]:
    yield f"features: {_named([each.name for each in table.features])}"
    if table.unused:
        yield f"no features because of their type: {_named([f'{name} ({reason})' for name, reason in table.unused])}"


def _of_rows(counts: Counts, table: schema.Schema, limits: Limits, *, split_known: bool) -> Iterator[str]:
    from wardround.pod.survey import percent, remarks

    if counts.ignored:
        yield f"columns that the schema does not name: {_named(counts.ignored)}"
    yield f"valid rows: {counts.rows} of {counts.all_rows}, of {counts.patients} patients"
    if counts.left_out_rows:
        share = percent(counts.left_out_rows, counts.all_rows)
        patients = counts.left_out_patients
        yield f"rows left out: {counts.left_out_rows} ({share}); patients without a valid row: {patients}"
        yield from (f"  {problems.described(each.field, each.reason, each.rows)}" for each in counts.quality)
    for each in counts.classes:
        yield (
            f"{table.target} {each.value}: {each.rows} valid rows of {each.patients} patients; "
            f"rows left out: {each.left_out}"
        )
    if split_known:
        train, validation, test = (counts.sides[side] for side in split.SIDES)
        yield f"split: {train} patients for training, {validation} for validation, {test} held out for Evaluate"
        if test < limits.min_cell:
            yield (
                f"note: {test} patients are held out. Evaluate needs {limits.min_cell}, so the hospital can take part "
                "in Train rounds alone."
            )
    for remark in remarks(counts):
        advice = reason_for(remark.reason).about(dataset=dataset.KIND)
        yield f"note: {remark.reason} ({remark.patients} patients): {advice.meaning} {advice.action}"


def _named(names: Sequence[str]) -> str:
    """The number of names and the first of them."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{len(names)} ({', '.join(names[:MOST_NAMES])}{more})"
