"""A field may become several columns of the view: only `features` of the schema decides it. Wardround has no encoding
yet, so the test makes one: a column of 0 and 1 for each category of a string."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.pod.test_local_columns import file
from tests.unit.tabular.heart import DATASET, SCHEMA
from wardround import tensors
from wardround.pod import comparison, dataset, statistics
from wardround.tabular import dataschema, schema
from wardround.tabular.dataschema import CheckedColumn, Feature
from wardround.wire import layouts

NAMES = ["age", "weight", "sex=female", "sex=male"]


@dataclass(frozen=True)
class Indicator(Feature):
    """1 where the field has this category, else 0."""

    category: str

    @property
    def name(self) -> str:
        return f"{self.field.name}={self.category}"

    @property
    def range(self) -> tuple[float | None, float | None]:
        return 0.0, 1.0

    def numbers(self, column: CheckedColumn) -> Any:
        return np.array([text == self.category for text in column.text.to_pylist()], np.float64)


class Encoded(schema.Schema):
    """The schema with indicators of each string that has categories."""

    @property
    def features(self) -> tuple[Feature, ...]:
        encoded = [each for each in self.fields if each.type == "string" and each.categories]
        return (*super().features, *(Indicator(each, str(name)) for each in encoded for name in each.categories))


def table() -> Encoded:
    whole = schema.parse(SCHEMA, DATASET)
    return Encoded(**{each.name: getattr(whole, each.name) for each in fields(whole)})


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_the_view_has_each_column_of_a_field_and_the_fields_checks_stay(tmp_path: Path, kind: str) -> None:
    plain, encoded = dataset.Reading(), dataset.Reading()
    path = file(tmp_path, kind)
    [before] = dataset.read(path, kind, schema.parse(SCHEMA, DATASET), plain)
    [batch] = dataset.read(path, kind, table(), encoded)
    assert batch.view.schema.names == [*NAMES, "ill"]
    assert batch.view.schema == dataset.view_schema(table())
    assert batch.view.column("sex=female").to_pylist() == [1.0, 0.0]
    assert batch.view.column("sex=male").to_pylist() == [0.0, 1.0]
    assert batch.view.select(before.view.schema.names).equals(before.view)
    assert encoded.quality == plain.quality


def test_each_column_has_its_statistics_and_stands_in_the_digest_of_the_columns() -> None:
    plain, encoded = schema.parse(SCHEMA, DATASET), table()
    assert statistics.layout(encoded) == tensors.layout_of(layouts.counted(4))
    assert statistics.shift(encoded)[2:].tolist() == [0.5, 0.5]
    assert dataschema.columns_digest(encoded) != dataschema.columns_digest(plain)
    assert dataschema.digest(encoded) == dataschema.digest(plain)
    assert ("sex", "String") in plain.unused
    assert ("sex", "String") not in encoded.unused
    # A row without a value in the field has no value in any of its columns.
    assert encoded.needed == plain.needed | {"sex"}


def test_each_column_is_compared_with_the_others(tmp_path: Path) -> None:
    encoded = comparison.Comparison(table())
    [batch] = dataset.read(file(tmp_path, "CSV"), "CSV", table(), dataset.Reading())
    encoded.add(batch.view)
    # Of the two patients, the woman is the one who is ill.
    assert encoded.alike() == comparison.Alike(targets=("sex=female",))
