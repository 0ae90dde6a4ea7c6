"""A Dataset leads to the units of its own DataSchema: a model with another unit gets no rows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.card.models import SCHEMA, changed, write_folder
from wardround.card import columns
from wardround.card.columns import ColumnsDiffer
from wardround.wire.card import ModelCard


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return write_folder(tmp_path / "model").card


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (changed("radius", unit="cm"), '"radius" in another unit than the DataSchema of the Dataset has ("cm")'),
        (changed("radius", unit=""), '"radius" in another unit than the DataSchema of the Dataset has (none)'),
        (changed("age", name="years"), '"age", and the DataSchema of the Dataset has no such feature'),
        (changed("radius", type="string") | {"target": "malignant"}, "string takes no"),
        (SCHEMA | {"target": "age"}, '"age", and the DataSchema of the Dataset has no such feature'),
    ],
)
def test_a_column_that_the_dataset_describes_otherwise_refuses_the_model(
    card: ModelCard, schema: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError if "takes no" in words else ColumnsDiffer) as refused:
        columns.hold(card, schema)
    assert words in str(refused.value)
    # The hub chose the model's unit, which is free text.
    assert '"mm"' not in str(refused.value)


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        changed("age", maximum="90"),
        changed("side", categories=["left"]),
        SCHEMA | {"fields": [{"name": "size", "type": "number", "unit": "cm"}, *reversed(SCHEMA["fields"])]},
    ],
)
def test_other_bounds_order_and_further_fields_are_no_difference(card: ModelCard, schema: dict[str, Any]) -> None:
    columns.hold(card, schema)


def test_a_card_without_fields_is_refused_later(tmp_path: Path) -> None:
    columns.hold(write_folder(tmp_path / "bare", fields=None).card, SCHEMA)
