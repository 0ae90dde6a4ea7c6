"""Decides whether a hospital's DataSchema has the columns that a model reads. Pure, and sees no rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wardround.card.folder import FolderRefused
from wardround.tabular import dataschema
from wardround.wire.card import ModelCard


class ColumnsDiffer(FolderRefused):
    """The DataSchema of the Dataset lacks a column of the model, or has it in another unit."""


def hold(card: ModelCard, schema: Mapping[str, Any]) -> None:
    """Raises ColumnsDiffer unless each column that the model reads is a number of the DataSchema, with the same unit.

    `schema`: spec of the DataSchema that the Dataset names. The Dataset's scale leads to the units of this DataSchema,
    and to no others. Bounds, categories, the target and further fields may differ. Raises SchemaInvalid.
    """
    if card.data_schema is None:
        return
    own = {each.name: each.unit for each in dataschema.parse(schema).features}
    for each in dataschema.parse(card.data_schema).features:
        # The hub chose the name. JSON cannot control a terminal. Its unit is free text, and comes into no message.
        name = json.dumps(each.name)
        if each.name not in own:
            raise ColumnsDiffer(
                f"the model reads the column {name}, and the DataSchema of the Dataset has no such feature (a field of "
                "type number or integer that is not the target)"
            )
        if each.unit != own[each.name]:
            shown = json.dumps(own[each.name]) if own[each.name] else "none"
            raise ColumnsDiffer(
                f"the model reads the column {name} in another unit than the DataSchema of the Dataset has ({shown}). "
                "The model's unit stands in card.json (fields)"
            )
