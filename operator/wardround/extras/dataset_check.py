"""Checks a Dataset and its file on this computer, with the code of the training pod; asks no cluster.

The person owns the file. So this command may show more names of ignored columns than the Dataset's status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from wardround.api import dataschema as dataschema_api
from wardround.api import dataset
from wardround.api.meta import API_VERSION
from wardround.api.unknown_fields import unknown_fields
from wardround.cli.errors import CommandError
from wardround.cli.objects import printable
from wardround.plans.dataset import texts_fault
from wardround.reasons.registry import reason_for
from wardround.tabular import ignored_columns, problems, schema, split
from wardround.wire import codec

if TYPE_CHECKING:
    from wardround.pod.survey import Counts, FileCounts

# What the command needs beside the command line itself.
INSTALL = "pip install '.[cli,data]'"
MOST_NAMES = 12
# By field and reason, the first lines or rows of the file.
Places = Mapping[tuple[str, str], tuple[int, ...]]
# The hospital's own key is on its cluster. With a fixed one, two checks show the same numbers.
EXAMPLE_KEY = b"wardround dataset check"
# The sides over which metrics are computed, and the metrics of each.
SCORED: Mapping[split.Side, str] = MappingProxyType(
    {
        "validation": "in Train rounds and in Evaluate rounds with rows: Validation",
        "test": "in Evaluate rounds with rows: Test",
    }
)


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
class CheckReport:
    """`lines`: for people. `ready`: whether the Dataset would be Ready after a training pod has read it."""

    lines: tuple[str, ...]
    ready: bool


def check(manifest: Path, file: Path, limits: Limits, schema_file: Path | None = None) -> CheckReport:
    """`manifest`: the file with the Dataset. `schema_file`: the file with its DataSchema, None for the same file.

    Raises CommandError if there is nothing to check.
    """
    item = _dataset(manifest)
    if not file.is_file():
        raise CommandError(f"There is no file {file}.")
    spec = item["spec"] if isinstance(item.get("spec"), dict) else {}
    described = _schema(schema_file or manifest, spec.get("schemaName"))
    table, sides, faults = _parsed(item, spec, described)
    name = (item.get("metadata") or {}).get("name", "")
    lines = [f"Dataset {name} with the file {file.name}"]
    if table is not None:
        read, of_file = _read(file, spec.get("format", "CSV"), table, sides, limits)
        lines += _of_schema(table)
        lines += ignored_columns.lines(len(read.ignored), read.ignored[: ignored_columns.MOST_NAMED])
        if read.counts:
            lines += _of_rows(read.counts, read.places, name, "line" if spec.get("format", "CSV") == "CSV" else "row")
            lines += _of_split(read.counts, limits, trains=not of_file) if sides else []
            lines += _of_columns(read)
        faults += of_file
    if faults:
        lines.append(f"Not Ready: {len(faults)} {'fault' if len(faults) == 1 else 'faults'}")
        lines += [f"  {each.reason}: {each.message}" for each in faults]
    else:
        lines.append(
            "This Dataset becomes Ready at a Site with policy.maxLeftOut "
            f"{limits.max_left_out.normalize():f} and minCell {limits.min_cell}"
        )
    return CheckReport(tuple(printable(line) for line in lines), not faults)


def _objects(manifest: Path, kind: str) -> list[dict[str, Any]]:
    """The objects of this kind in a file that may hold others. Raises CommandError."""
    try:
        documents = list(yaml.safe_load_all(manifest.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{manifest} cannot be read as YAML: {error}") from error
    return [each for each in documents if isinstance(each, dict) and each.get("kind") == kind]


def _schema(manifest: Path, name: Any) -> Any:
    """The spec of the DataSchema of this name. Raises CommandError."""
    for each in _objects(manifest, dataschema_api.KIND):
        if isinstance(each.get("metadata"), dict) and each["metadata"].get("name") == name:
            return each.get("spec")
    if name is None:
        return None
    raise CommandError(
        f"{manifest} has no DataSchema {name}, which spec.schemaName of the Dataset names. Give the file that "
        "has it as --schema."
    )


def _dataset(manifest: Path) -> dict[str, Any]:
    """The one Dataset of a file that may hold other objects. Raises CommandError."""
    datasets = _objects(manifest, dataset.KIND)
    if len(datasets) != 1:
        raise CommandError(
            f"{manifest} has {len(datasets) or 'no'} objects of kind Dataset. Give a file that has exactly one."
        )
    return datasets[0]


def _parsed(
    item: Mapping[str, Any], spec: Mapping[str, Any], described: Any
) -> tuple[schema.Schema | None, split.Split | None, list[Fault]]:
    """Columns and split (with EXAMPLE_KEY), as far as they are valid, and all faults of both objects.

    `described`: the spec of the DataSchema.
    """
    faults = [
        Fault("SchemaInvalid", f"spec.{name} is missing")
        for name in ("claimName", "schemaName", "path", "split")
        if name not in spec
    ]
    table = sides = None
    try:
        table = schema.parse(described, spec) if "schemaName" in spec else None
    except schema.SchemaInvalid as error:
        faults += [Fault("SchemaInvalid", fault) for fault in error.faults]
    try:
        sides = split.parse(spec["split"], EXAMPLE_KEY) if isinstance(spec.get("split"), Mapping) else None
    except split.SplitInvalid as error:
        faults.append(Fault("DataUnreadable", f"Dataset.spec: {error}"))
    if not faults:
        try:
            known = codec.dump(dataset.parse(item).spec)
            codec.parse(dataschema_api.DataSchemaSpec, described)
        except codec.Malformed as error:
            faults.append(Fault("SchemaInvalid", str(error)))
        else:
            faults += [Fault("SchemaInvalid", fault) for fault in unknown_fields(spec, known, "spec")]
    if (version := item.get("apiVersion")) != API_VERSION:
        faults.append(Fault("SchemaInvalid", f"apiVersion of the Dataset is {version!a}. Write {API_VERSION}"))
    if not faults and (fault := texts_fault(spec, described)):
        faults.append(Fault("SchemaInvalid", fault))
    return table, sides, faults


def _read(
    file: Path, kind: str, table: schema.Schema, sides: split.Split | None, limits: Limits
) -> tuple[FileCounts, list[Fault]]:
    """The counts of the file, and the faults for which no pod would train on it."""
    try:
        from wardround.pod import survey
    except ModuleNotFoundError as error:
        if error.name not in ("numpy", "pyarrow"):
            raise
        raise CommandError(
            f"`dataset check` reads the file with {error.name}, which is not installed. Run, in a copy of Wardround's "
            f"repository: {INSTALL}"
        ) from error
    # Without a valid split, rows are counted all the same.
    read = survey.count_file(file, kind, table, sides or split.Split(EXAMPLE_KEY, 0, 0))
    if read.failure is not None:
        return read, [Fault(read.failure.reason, read.failure.message)]
    counts = read.counts
    assert counts is not None, "a file that can be read has counts"
    trained = counts.sides["train"] if sides else counts.patients
    words = {
        "TooManyRowsLeftOut": survey.too_many_left_out(counts, limits.max_left_out, limits.min_cell),
        "TooFewSamples": survey.too_few_samples(counts, "train", trained, limits.min_cell),
    }
    return read, [Fault(reason, message) for reason, message in words.items() if message]


def _of_schema(table: schema.Schema) -> Iterator[str]:
    yield f"features: {_named([each.name for each in table.features])}"
    if table.unused:
        yield (
            "fields that are no features because of their type: "
            f"{_named([f'{name} ({reason})' for name, reason in table.unused])}"
        )


def _of_rows(counts: Counts, places: Places, name: str, unit: str) -> Iterator[str]:
    """`places`: the first rows that are left out, counted in `unit`. `name`: of the Dataset."""
    from wardround.pod.survey import percent, remarks

    yield f"valid rows: {counts.rows} of {counts.all_rows}, of {counts.patients} patients"
    if counts.left_out_rows:
        share = percent(counts.left_out_rows, counts.all_rows)
        patients = counts.left_out_patients
        yield f"rows left out: {counts.left_out_rows} ({share}); patients without a valid row: {patients}"
        for each in counts.quality:
            yield f"  {problems.described(each.field, each.reason, each.rows, counts.all_rows)}"
            if first := places.get((each.field, each.reason)):
                more = f" and {each.rows - len(first)} more" if each.rows > len(first) else ""
                yield f"    in {unit}{'s' * (each.rows > 1)} {', '.join(map(str, first))}{more}"
    for group in counts.classes:
        yield (
            f"{counts.target} {group.value}: {group.rows} valid rows of {group.patients} patients; "
            f"rows left out: {group.left_out}"
        )
    unclear = counts.left_out_rows - sum(group.left_out for group in counts.classes)
    if counts.classes and unclear:
        yield f"rows left out whose {counts.target} cannot be read, so that they count in no class: {unclear}"
    for remark in remarks(counts):
        advice = reason_for(remark.reason).about(dataset=name)
        yield f"note: {remark.reason} ({remark.patients} patients): {advice.meaning} {advice.action}"


def _of_split(counts: Counts, limits: Limits, *, trains: bool) -> Iterator[str]:
    """The patients on each side and in each class of it, and whether the hospital withholds its metrics of it.

    `trains`: whether a round could train on the file.
    """
    train, validation, test = (counts.sides[side] for side in split.SIDES)
    yield (
        f"split: {train} patients for training, {validation} for validation, {test} held out for Evaluate (with an "
        "example key: the hospital's own key gives similar numbers)"
    )
    for side in SCORED:
        if counts.classes:
            classes = ", ".join(f"{counts.target} {each.value}: {each.sides[side]}" for each in counts.classes)
            yield f"  {side}, patients with a row of each class: {classes}"
    withheld = [side for side in SCORED if counts.withheld(side, limits.min_cell)]
    goes_on = " In Train rounds, the hospital's updates count all the same." if trains else ""
    for side in withheld:
        yield (
            f"note: {side}: {_few(counts, side, limits.min_cell)}, and minCell is {limits.min_cell}. So the hospital "
            f"withholds its metrics {SCORED[side]}.{goes_on}"
        )
    alone = (
        (
            " With this Dataset, the hospital can take part only in Train and Statistics rounds, and not in Evaluate "
            "rounds."
        )
        if trains
        else ""
    )
    if not counts.binary:
        yield (
            f"note: An Evaluate round cannot use the target {counts.target}: the DataSchema declares it neither as a "
            f"boolean nor as categories 0 and 1.{alone}"
        )
    elif trains and len(withheld) == len(SCORED):
        yield (
            "note: The hospital would withhold its numbers in Evaluate rounds, which need at least "
            f"{limits.min_cell} patients in each class.{alone} To take part in them too, raise split.validation or "
            "split.test before you apply the Dataset."
        )


def _few(counts: Counts, side: split.Side, min_cell: int) -> str:
    """The numbers of patients of a side that are below `min_cell`."""
    if counts.sides[side] < min_cell:
        return f"{counts.sides[side]} patients"
    groups = [(each.value, each.sides[side]) for each in counts.classes]
    return ", ".join(f"{number} patients with {counts.target} {value}" for value, number in groups if number < min_cell)


def _of_columns(read: FileCounts) -> Iterator[str]:
    """What looks wrong in the features of the valid rows."""
    columns = read.columns
    for name in columns.targets:
        yield (
            f"note: the feature {name} equals the target in every valid row, so a model would only copy this feature. "
            "Ask the hub's administrator for a new DataSchema without the feature."
        )
    for names in columns.equal:
        yield (
            f"note: the features {', '.join(names)} are equal in every valid row. Check whether the export wrote "
            "one column twice."
        )
    for name in columns.constant:
        yield f"note: the feature {name} has the same value in every valid row, so no model can learn from it."


def _named(names: Sequence[str]) -> str:
    """The number of names and the first of them."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{len(names)} ({', '.join(names[:MOST_NAMES])}{more})"
