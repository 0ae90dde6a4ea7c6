"""Remembers on the claim `state` the scales of a Dataset's columns, and refuses a file in which a scale has changed.

The first reading of a column has nothing to compare with. A column of another field, or with another entry in
spec.fields of the Dataset, is another column: a hospital that mends a wrong unit by `scale` goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wardround.pod import records
from wardround.pod.column_sample import Sample
from wardround.pod.folders import Folders
from wardround.pod.outcome import Failure
from wardround.tabular import column_scales, dataschema
from wardround.tabular.column_scales import QUANTILES, Scale
from wardround.tabular.schema import Schema, Source
from wardround.wire import digests

FOLDER = "columns"
# The field of a Dataset by which people accept a change.
VERSION = "columnsVersion"

# By the name of the field: what the column is, and its scale.
Record = Mapping[str, tuple[str, Scale]]


def hold(folders: Folders, name: str, dataset: Mapping[str, Any], table: Schema, sample: Sample) -> None:
    """Compares the columns of a file with those of earlier readings, and remembers them for the next one.

    `dataset`: its spec. Raises Failure (ColumnsChanged, PodFailed).
    """
    place = records.place(folders, FOLDER, name)
    version = dataset.get(VERSION, 0)
    try:
        before, columns = _read(records.read(place)), _columns(table, version)
        known = {field: scale for field, (column, scale) in before.items() if columns.get(field) == column}
        now = _measured(sample, columns)
        if changed := [field for field in now if field in known and column_scales.changed(known[field], now[field])]:
            raise Failure("ColumnsChanged", _message(name, changed, version), field=changed[0])
        near = [field for field in now if field not in known or column_scales.near(known[field], now[field])]
        scales = known | {field: now[field] for field in near}
        record = {field: (columns[field], scale) for field, scale in scales.items()}
        if record != before:
            records.write(place, _document(record))
    except (OSError, ValueError) as error:
        raise Failure("PodFailed", f"{records.words(place)} cannot be used: {type(error).__name__}") from None


def _columns(table: Schema, version: int) -> dict[str, str]:
    """Of the numbers that a model sees or predicts: by field, what the column is. Categories have no unit."""
    seen = {*(each.field.name for each in table.features), table.target}
    sources = [each for each in table.sources if each.field.name in seen and each.field.numeric]
    return {each.field.name: _column(each, version) for each in sources if not each.field.categories}


def _measured(sample: Sample, columns: Mapping[str, str]) -> dict[str, Scale]:
    """By field, without the columns with too few people."""
    scales = {field: column_scales.measured(values) for field, values in sample.columns.items() if field in columns}
    return {field: scale for field, scale in scales.items() if scale is not None}


def _column(source: Source, version: int) -> str:
    """Digest of all that says what the numbers mean: the field, its column, the conversion, what people accepted."""
    conversion = [source.column, source.scale, source.offset, *sorted(source.missing_values)]
    facts = [dataschema.meaning(source.field), conversion, version]
    return digests.digest(json.dumps(facts).encode()).removeprefix("sha256:")[: dataschema.FIELD_DIGEST]


def _message(name: str, fields: list[str], version: int) -> str:
    return (
        f"the values of {dataschema.listed(fields)} have another scale than in an earlier reading of Dataset {name}, "
        "as if the file wrote them in another unit. So no code trains on this file. Compare these columns with the "
        "former file. If the unit has changed, export the file in the former unit, or write scale and offset of the "
        f"field in spec.fields of the Dataset. If the values are right, set spec.{VERSION} of the Dataset to "
        f"{version + 1}: all columns then begin anew"
    )


def _document(record: Record) -> dict[str, Any]:
    """Numbers as texts, because canonical JSON has no floats."""
    scales = {
        field: {"column": column, "people": scale.people, "quantiles": [repr(each) for each in scale.quantiles]}
        for field, (column, scale) in record.items()
    }
    return {"scales": scales}


def _read(document: Any) -> Record:
    """Raises ValueError."""
    try:
        scales = {} if document is None else document["scales"]
        return {field: (str(each["column"]), _scale(each)) for field, each in scales.items()}
    except (AttributeError, KeyError, TypeError):
        raise ValueError("no record") from None


def _scale(entry: Mapping[str, Any]) -> Scale:
    """Raises KeyError, TypeError, ValueError."""
    quantiles = tuple(float(each) for each in entry["quantiles"])
    if len(quantiles) != len(QUANTILES):
        raise ValueError("no quantiles")
    return Scale(int(entry["people"]), quantiles)
