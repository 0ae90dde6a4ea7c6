"""Decides when a task gives up its turn to move a model, and when a fetch is too slow. Pure."""

from __future__ import annotations

# A task that waits for the store lets other tasks go first after so long. In this time a store that is fast enough
# gives a segment (1 MiB).
SLICE_SECONDS = 30.0


def turn_ends(since: float, now: float) -> float:
    """When a turn ends that began at `since`, if another task waits for a turn now. It is never in the past."""
    return max(since + SLICE_SECONDS, now)


def is_too_slow(*, finished: bool, before: int, after: int) -> bool:
    """Whether a fetch gives up after a turn. `finished`: the turn was not cut short for other tasks; `before` and
    `after`: how many bytes were there."""
    return not finished and after == before
