"""The only clock and the only source of random numbers of real processes. All other code gets them as parameters.

Only `sealing` draws its keys and nonces itself.
"""

import random
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
# A number in [0, 1), to spread load. Not for secrets.
Draw = Callable[[], float]
# So many bytes that nobody can guess: for secrets, and for names that no other process chooses.
RandomBytes = Callable[[int], bytes]
# Random bytes in a name that no other process chooses.
NONCE_BYTES = 8


def system_clock() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def system_draw() -> float:
    """A random number in [0, 1)."""
    return random.random()  # noqa: S311 - jitter


def system_random_bytes(count: int) -> bytes:
    """`count` bytes of the operating system's source for cryptography."""
    return secrets.token_bytes(count)
