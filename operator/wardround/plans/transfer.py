"""Decides whether a person gets a model, and when a transfer ends: an ordered list of rules. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api import conditions
from wardround.api.modeltransfer import ModelTransfer, ModelTransferStatus
from wardround.plans import request
from wardround.plans.round.types import StoredModel

READY = "TransferReady"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`stored`: the record of the result that the transfer names, None if this namespace has none. `has_card`: whether
    the hub has a card of that result which names this namespace. `key_usable`: whether the public key is one."""

    transfer: ModelTransfer
    stored: StoredModel | None
    has_card: bool
    key_usable: bool
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`status`: without the model, which the executor adds if `give`. `delete`: the time is over."""

    status: ModelTransferStatus
    give: bool = False
    delete: bool = False
    requeue_after: float | None = None


def plan(seen: Observation) -> Plan:
    transfer = seen.transfer
    left = (request.expires(transfer) - seen.now).total_seconds()
    if left <= 0:
        return Plan(status=transfer.status, delete=True)
    if conditions.is_over(transfer.status.conditions):
        return Plan(status=transfer.status, requeue_after=left)
    reason = next((reason for rule in RULES if (reason := rule(seen))), READY)
    return Plan(status=_ended(seen, reason), give=reason == READY, requeue_after=left)


def _exists(seen: Observation) -> str:
    return "" if seen.stored is not None else "TransferWithoutResult"


def _model(seen: Observation) -> str:
    """Sums are no model: the result of a Statistics or Evaluate round is never transferred."""
    assert seen.stored is not None, "an earlier rule"
    return "" if seen.stored.task == "Train" and seen.has_card else "TransferWithoutModel"


def _released(seen: Observation) -> str:
    assert seen.stored is not None, "an earlier rule"
    return "" if seen.stored.release == "Readers" else "TransferNotReleased"


def _enough_hospitals(seen: Observation) -> str:
    """Each hospital has accepted the quorum, so the quorum is at least the largest policy.minQuorum of them. Pushed
    weights tell nothing of a hospital. A model that hospitals have trained from them does."""
    stored = seen.stored
    assert stored is not None, "an earlier rule"
    enough = stored.as_pushed or len(stored.aggregated) >= stored.quorum
    return "" if enough else "TransferTooFewHospitals"


def _key(seen: Observation) -> str:
    return "" if seen.key_usable else "TransferKeyUnusable"


RULES: tuple[Callable[[Observation], str], ...] = (_exists, _model, _released, _enough_hospitals, _key)


def _ended(seen: Observation, reason: str) -> ModelTransferStatus:
    transfer = seen.transfer
    known = request.ended(transfer, reason, ready=READY, now=seen.now)
    return replace(transfer.status, observed_generation=transfer.metadata.generation, conditions=known)
