"""Remembers on the claim `state` how a Dataset's columns are, and refuses a file in which one means something else.

Two changes count: a column in another unit, and a target with exchanged labels. The first reading of a column has
nothing to compare with. A column of another field, or with another entry in spec.fields of the Dataset, is another
column: a hospital that mends a wrong unit by `scale` goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from wardround.clock import RandomBytes
from wardround.pod import records
from wardround.pod.column_sample import Sample
from wardround.pod.folders import Folders
from wardround.pod.outcome import PodError
from wardround.tabular import column_scales, dataschema, target_signs
from wardround.tabular.column_scales import QUANTILES, Scale
from wardround.tabular.schema import Schema, Source
from wardround.tabular.target_signs import Correlation
from wardround.wire import digests

FOLDER = "columns"
# The field of a Dataset by which people accept a change.
VERSION = "columnsVersion"

T = TypeVar("T", Scale, Correlation)


@dataclass(frozen=True)
class _Record:
    """By field: the digest of what its numbers mean, and what was measured."""

    scales: Mapping[str, tuple[str, Scale]]
    correlations: Mapping[str, tuple[str, Correlation]]


def hold(
    folders: Folders,
    name: str,
    dataset: Mapping[str, Any],
    table: Schema,
    sample: Sample,
    random_bytes: RandomBytes,
) -> None:
    """Compares the columns of a file with those of earlier readings, and remembers them for the next one.

    `dataset`: its spec. Raises PodError (ColumnsChanged, PodFailed).
    """
    place = records.place(folders, FOLDER, name)
    version = dataset.get(VERSION, 0)
    try:
        before = _read(records.read(place))
        columns, pairs = _columns(table, version), _pairs(table, version)
        known_scales, scales = _known(before.scales, columns), _scales(sample, columns)
        changed = [
            each for each in scales if each in known_scales and column_scales.changed(known_scales[each], scales[each])
        ]
        if changed:
            raise PodError("ColumnsChanged", _other_unit(name, changed, version), field=changed[0])
        known_signs, signs = _known(before.correlations, pairs), target_signs.measured(sample.columns, table.target)
        if target_signs.turned(known_signs, signs):
            raise PodError("ColumnsChanged", _exchanged(name, table.target, version), field=table.target)
        record = _Record(
            _next(known_scales, scales, columns, column_scales.near),
            _next(known_signs, signs, pairs, target_signs.near),
        )
        if record != before:
            records.write(place, _document(record), random_bytes)
    except (OSError, ValueError) as error:
        raise PodError("PodFailed", f"{records.words(place)} cannot be used: {type(error).__name__}") from None


def _known(before: Mapping[str, tuple[str, T]], columns: Mapping[str, str]) -> dict[str, T]:
    """What is remembered of the columns that mean the same as before."""
    return {field: measured for field, (column, measured) in before.items() if columns.get(field) == column}


def _next(
    known: Mapping[str, T],
    now: Mapping[str, T],
    columns: Mapping[str, str],
    near: Callable[[T, T], bool],
) -> dict[str, tuple[str, T]]:
    """What to remember. A column that is not near the earlier one, or is not measured now, keeps what is known."""
    new = {field: measured for field, measured in now.items() if field not in known or near(known[field], measured)}
    return {field: (columns[field], measured) for field, measured in {**known, **new}.items()}


def _columns(table: Schema, version: int) -> dict[str, str]:
    """By field, what the column means, for the numbers that a model sees or predicts. Categories have no unit."""
    seen = {*(each.field.name for each in table.features), table.target}
    sources = [each for each in table.sources if each.field.name in seen and each.field.numeric]
    return {each.field.name: _digest(_facts(each), version) for each in sources if not each.field.categories}


def _pairs(table: Schema, version: int) -> dict[str, str]:
    """By feature, what the column and the target mean."""
    sources = {each.field.name: _facts(each) for each in table.sources}
    target = sources[table.target]
    return {each.name: _digest([sources[each.field.name], target], version) for each in table.features}


def _scales(sample: Sample, columns: Mapping[str, str]) -> dict[str, Scale]:
    """By field, without the columns with too few people."""
    scales = {field: column_scales.measured(values) for field, values in sample.columns.items() if field in columns}
    return {field: scale for field, scale in scales.items() if scale is not None}


def _facts(source: Source) -> list[Any]:
    """All that says what the numbers mean: the field, its column, and how texts become numbers."""
    conversion = [source.column, source.scale, source.offset, sorted(source.categories), sorted(source.missing_values)]
    return [dataschema.meaning(source.field), conversion]


def _digest(facts: list[Any], version: int) -> str:
    text = json.dumps([facts, version]).encode()
    return digests.digest(text).removeprefix("sha256:")[: dataschema.FIELD_DIGEST]


def _other_unit(name: str, fields: list[str], version: int) -> str:
    return (
        f"the values of {dataschema.listed(fields)} have another scale than in an earlier reading of Dataset {name}, "
        "as if the file wrote them in another unit. So no code trains on this file. Compare these columns with the "
        "former file. If the unit has changed, export the file in the former unit, or write scale and offset of the "
        f"field in spec.fields of the Dataset. {_accept(version)}"
    )


def _exchanged(name: str, target: str, version: int) -> str:
    return (
        f"nearly all columns go with the target {target} in the opposite direction than in an earlier reading of "
        f"Dataset {name}, as if the file had exchanged its labels. So no code trains on this file. Compare the labels "
        "with the former file. If they are exchanged, export the file with the former labels, or write them in "
        f"categories of the field in spec.fields of the Dataset. {_accept(version)}"
    )


def _accept(version: int) -> str:
    return (
        f"If the former file was wrong and this file is right, set spec.{VERSION} of the Dataset to {version + 1}: "
        "prepare then forgets what it remembers of all columns"
    )


def _document(record: _Record) -> dict[str, Any]:
    """Numbers as texts, because canonical JSON has no floats."""
    return {
        "scales": {
            field: {"column": column, "people": scale.people, "quantiles": [repr(each) for each in scale.quantiles]}
            for field, (column, scale) in record.scales.items()
        },
        "correlations": {
            field: {"column": column, "people": each.people, "value": repr(each.value)}
            for field, (column, each) in record.correlations.items()
        },
    }


def _read(document: Any) -> _Record:
    """Raises ValueError."""
    if document is None:
        return _Record({}, {})
    try:
        return _Record(
            {field: (str(each["column"]), _scale(each)) for field, each in document["scales"].items()},
            {field: (str(each["column"]), _correlation(each)) for field, each in document["correlations"].items()},
        )
    except (AttributeError, KeyError, TypeError):
        raise ValueError("no record") from None


def _scale(entry: Mapping[str, Any]) -> Scale:
    """Raises KeyError, TypeError, ValueError."""
    quantiles = tuple(float(each) for each in entry["quantiles"])
    if len(quantiles) != len(QUANTILES):
        raise ValueError("no quantiles")
    return Scale(int(entry["people"]), quantiles)


def _correlation(entry: Mapping[str, Any]) -> Correlation:
    """Raises KeyError, TypeError, ValueError."""
    return Correlation(int(entry["people"]), float(entry["value"]))
