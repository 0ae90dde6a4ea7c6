"""Writes and parses times: RFC 3339, UTC. Chooses the soonest wait. Knows no clock."""

import re
from datetime import UTC, datetime

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z", re.ASCII)
# Deadlines are added to times that sites write, and `datetime` ends with the year 9999.
LAST_YEAR = 9000


def to_seconds(now: datetime) -> str:
    """The form of Kubernetes' `metav1.Time`: `2026-11-24T16:15:00Z`."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_microseconds(now: datetime) -> str:
    """The form of Kubernetes' `metav1.MicroTime`: `2026-11-24T16:15:00.123456Z`."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Parses these two forms only, as the CRDs do. Raises ValueError."""
    if not TIME.fullmatch(text):
        raise ValueError("not a time in UTC such as 2026-11-24T16:15:00Z")
    return datetime.fromisoformat(text)


def read_time(text: str) -> datetime | None:
    """Like `parse_time`, with None for malformed text and years after LAST_YEAR: one site must not stop a round."""
    try:
        time = parse_time(text)
    except ValueError:
        return None
    return time if time.year <= LAST_YEAR else None


def sooner(*seconds: float | None) -> float | None:
    """The least of the waits that there are."""
    return min((each for each in seconds if each is not None), default=None)
