"""A round and its tasks as the API server gives them, for tests of `watch`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.cli.required import REQUIRED

START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(0)}


def round_(status: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"name": "train-1", "namespace": "breast-cancer", "uid": "u1", "creationTimestamp": at(0)}
    return {
        "kind": "FederatedRound",
        "metadata": metadata,
        "spec": dict(REQUIRED["FederatedRound"]),
        "status": status or {},
    }


def task(hospital: str, status: dict[str, Any] | None = None, attempt: int = 1) -> dict[str, Any]:
    return {
        "kind": "RoundTask",
        "metadata": {"name": f"train-1-x-a{attempt}", "namespace": hospital, "creationTimestamp": at(1)},
        "spec": {**REQUIRED["RoundTask"], "attempt": attempt},
        "status": status or {},
    }
