"""The one clock and the one source of jitter that real processes have. Everything else is given its time."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
# From [0, 1): spreads load, keeps no secret.
Draw = Callable[[], float]


def system_clock() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def system_draw() -> float:
    """A number from [0, 1), another one at each call and in each process."""
    return random.random()  # noqa: S311 - jitter
