"""The text of a DataSchema in the environment of `prepare`. tests/integration compares it with CEL's text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from wardround.api import schema_text, variable_text

CRD = yaml.safe_load((Path(__file__).parents[3] / "crds/dataschemas.yaml").read_text())
SPEC: dict[str, Any] = {
    "target": "malignant",
    "fields": [
        {"maximum": "50", "minimum": "0", "unit": "mm", "type": "number", "name": "radius"},
        {"type": "string", "required": True, "categories": ["left", "right"], "name": "side"},
        {"name": "malignant", "type": "integer", "categories": ["0", "1"], "description": "As proven."},
    ],
}
RADIUS = '{"name":"radius","type":"number","unit":"mm","minimum":"0","maximum":"50"}'


def test_the_text_has_all_members_in_a_fixed_order_but_no_description() -> None:
    assert schema_text.dump(SPEC) == (
        f'{{"fields":[{RADIUS},'
        '{"name":"side","type":"string","required":true,"categories":["left","right"]},'
        '{"name":"malignant","type":"integer","categories":["0","1"]}],'
        '"target":"malignant"}'
    )


def test_the_text_holds_every_member_of_a_schema_except_descriptions() -> None:
    """Otherwise a new field of the CRD would silently be missing from the text."""
    [version] = CRD["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert schema_text.SPEC.keys() == spec.keys()
    assert schema_text.FIELD.keys() | {"description"} == spec["fields"]["items"]["properties"].keys()


def test_a_schema_that_no_variable_can_hold_is_refused() -> None:
    assert schema_text.fault(SPEC) == ""
    room = variable_text.MOST_BYTES - len(schema_text.dump({"fields": [], "target": ""}))
    assert schema_text.fault({"fields": [], "target": "x" * room}) == ""
    assert "leave out fields or categories" in schema_text.fault({"fields": [], "target": "x" * (room + 1)})
    assert "NUL" in schema_text.fault({"fields": [], "target": "\0"})
