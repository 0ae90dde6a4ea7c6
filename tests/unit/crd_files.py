"""The CRD files as tests read them: their schemas, and every field below a root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]
ROOT = Path(__file__).parents[2]
FILES = {path.stem: path for path in sorted((ROOT / "crds").glob("*.yaml"))}
CRDS: dict[str, Any] = {name: yaml.safe_load(path.read_text()) for name, path in FILES.items()}


def version(crd: Any) -> Any:
    [only] = crd["spec"]["versions"]
    return only


def root(crd: Any) -> Schema:
    schema: Schema = version(crd)["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema below a root, with its path."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from walk(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield f"{path}[]", schema[key]
            yield from walk(schema[key], f"{path}[]")
