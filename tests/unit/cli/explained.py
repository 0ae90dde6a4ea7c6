"""Objects that `explain` reads, at one moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.cli.required import REQUIRED

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def stamp(ago: float) -> str:
    return (NOW - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def item(
    kind: str, name: str, namespace: str, status: dict[str, Any], spec: dict[str, Any] | None = None
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": "u", "creationTimestamp": stamp(100)}
    return {"kind": kind, "metadata": metadata, "spec": {**REQUIRED[kind], **(spec or {})}, "status": status}


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def lease(ago: float) -> dict[str, Any]:
    return {"spec": {"renewTime": stamp(ago)}}
