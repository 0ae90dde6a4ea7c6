"""What an API server makes of an object by its kind's CRD: defaults, and which fields there are. No CEL, no bounds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]
CRDS = Path(__file__).parents[2] / "crds"
# Kinds of Kubernetes' own with a status that is written apart.
WITH_STATUS = frozenset({"Job", "Pod"})


@cache
def schemas() -> dict[str, Schema]:
    """By kind. Read once: YAML is slow."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    crds = [yaml.load(path.read_text("utf-8"), loader) for path in sorted(CRDS.glob("*.yaml"))]
    return {
        crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        for crd in crds
    }


def has_status(kind: str) -> bool:
    return kind in schemas() or kind in WITH_STATUS


def complete(kind: str, item: dict[str, Any]) -> None:
    """Fill in the defaults of spec and status."""
    for part in ("spec", "status"):
        schema = schemas().get(kind, {}).get(part)
        if schema is None:
            continue
        if part not in item and "default" in schema:
            item[part] = copy.deepcopy(schema["default"])
        if part in item:
            _fill(schema, item[part])


def _fill(schema: Schema, value: Any) -> None:
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name not in value and "default" in field:
                value[name] = copy.deepcopy(field["default"])
            if value.get(name) is not None:
                _fill(field, value[name])
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict):
            for each in value.values():
                _fill(rest, each)
    elif isinstance(value, list):
        for each in value:
            _fill(schema.get("items", {}), each)


def unknown(kind: str, item: dict[str, Any]) -> list[str]:
    """Fields that the kind does not have."""
    own = schemas().get(kind)
    if own is None:
        return []
    return [each for part in ("spec", "status") if part in item for each in _unknown(own[part], item[part], part)]


def _unknown(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            field = schema["properties"].get(name)
            if field is None:
                yield f"{path}.{name}"
            else:
                yield from _unknown(field, inner, f"{path}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for each in value:
            yield from _unknown(schema["items"], each, f"{path}[]")
