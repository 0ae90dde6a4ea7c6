"""Decides what holds for a ModelTransfer and a ModelPush alike: when the request expires, and how it ends. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from wardround.api import conditions
from wardround.api.conditions import Conditions
from wardround.api.modelpush import ModelPush
from wardround.api.modeltransfer import ModelTransfer
from wardround.api.times import parse_time
from wardround.reasons.registry import REASONS

Request = ModelTransfer | ModelPush


def expires(request: Request) -> datetime:
    """The time at which the hub operator deletes the request, and at which its addresses end."""
    return parse_time(request.metadata.creation_timestamp) + timedelta(seconds=request.spec.seconds)


def ended(request: Request, reason: str, *, ready: str, now: datetime) -> Conditions:
    """The final conditions, with the registered text of the reason: Complete if the reason is `ready`, else Failed."""
    kind: conditions.End = "Complete" if reason == ready else "Failed"
    known, generation = request.status.conditions, request.metadata.generation
    return conditions.ended(known, kind, reason, REASONS[reason].text, now=now, generation=generation)
