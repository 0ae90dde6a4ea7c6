"""Decides what `status.courier` says after a step. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wardround.api.sitetask import CourierReport
from wardround.wire import codec


def report(before: Mapping[str, Any], change: CourierReport, reason: str = "") -> dict[str, Any]:
    """The report after `change`, as in the object.

    Only progress clears the reason. A retry is not progress: it repeats the report that was there before, and the
    reason stays visible until its cause is gone.
    """
    after = {**before, **codec.dump(change)}
    if reason:
        after["reason"] = reason
    elif after != before:
        after.pop("reason", None)
    return after
