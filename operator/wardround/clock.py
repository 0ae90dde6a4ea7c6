"""The only clock and the only source of jitter of real processes. All other code gets them as parameters."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
# A number in [0, 1), to spread load. Not for secrets.
Draw = Callable[[], float]


def system_clock() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def system_draw() -> float:
    """A random number in [0, 1)."""
    return random.random()  # noqa: S311 - jitter
