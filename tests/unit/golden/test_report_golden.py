"""The document of a model's report. Intended changes: `UPDATE_GOLDEN=1 pytest tests/unit/golden`."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import yaml

from tests.unit.cli import reported
from wardround.cli.report import build


def plain(value: Any) -> Any:
    """Dataclasses as mappings with the name of their type, for YAML."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    return [plain(each) for each in value] if isinstance(value, tuple) else value


def test_the_document_matches_the_golden_file() -> None:
    golden = Path(__file__).with_name("report.yaml")
    made = plain(build.document(reported.parsed(reported.objects())))
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120))
    assert yaml.safe_load(golden.read_text()) == made
