"""How Wardround writes time: RFC 3339, UTC. Knows no clock: the time is always passed in."""

import re
from datetime import UTC, datetime

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z", re.ASCII)
# Deadlines are counted from times that sites write: a later year would leave no room to add to.
LAST_YEAR = 9000


def to_seconds(now: datetime) -> str:
    """As Kubernetes writes `metav1.Time`: `2026-11-24T16:15:00Z`."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_microseconds(now: datetime) -> str:
    """As Kubernetes writes `metav1.MicroTime`: `2026-11-24T16:15:00.123456Z`."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Reads these two forms and no other, as the kinds take no other. Raises ValueError."""
    if not TIME.fullmatch(text):
        raise ValueError("no time in UTC such as 2026-11-24T16:15:00Z")
    return datetime.fromisoformat(text)


def read_time(text: str) -> datetime | None:
    """Like `parse_time`, with None for what cannot be read: one site's clock must not stop everyone's round."""
    try:
        time = parse_time(text)
    except ValueError:
        return None
    return time if time.year <= LAST_YEAR else None
