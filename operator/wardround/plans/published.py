"""Decides which number of training patients a site tells the hub, and when it tells another one. Pure."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from wardround.api.dataset import DatasetStatus, Published
from wardround.api.site import LEAST_CELL, Policy
from wardround.api.times import read_time, to_seconds

# A number changes at most so often, so that the hub cannot see on which day a patient came.
PAUSE = timedelta(days=1)


def publish(status: DatasetStatus, policy: Policy, now: datetime) -> DatasetStatus:
    """The status with the number that the hub may read. The number is rounded down to a multiple of 11."""
    wait = seconds_to_next(status, policy, now)
    if wait is None or wait > 0 or status.training_patients is None:
        return status
    published = Published(training_patients=_rounded(status.training_patients), at=to_seconds(now))
    return dataclasses.replace(status, published=published)


def seconds_to_next(status: DatasetStatus, policy: Policy, now: datetime) -> float | None:
    """In how many seconds the number changes; None if it stays as it is."""
    if not policy.tell_new_patients or status.training_patients is None:
        return None
    before = status.published
    if before is None:
        return 0.0
    if before.training_patients == _rounded(status.training_patients):
        return None
    at = read_time(before.at)
    return max(0.0, (at + PAUSE - now).total_seconds()) if at is not None else 0.0


def _rounded(patients: int) -> int:
    return patients // LEAST_CELL * LEAST_CELL
