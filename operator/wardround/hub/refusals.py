"""Remembers for a moment what the API server said to a RoundTask, so that not each look at the round asks it again."""

from datetime import datetime, timedelta

ASK_AGAIN = timedelta(seconds=10)
Key = tuple[str, str, int]  # UID of the round, participant, attempt


class Refusals:
    """A new process remembers nothing, and asks at once."""

    def __init__(self) -> None:
        self._said: dict[Key, tuple[datetime, str]] = {}

    def recent(self, key: Key, now: datetime) -> str | None:
        """What was said, if that was just now."""
        time, said = self._said.get(key, (now, None))
        return said if now - time < ASK_AGAIN else None

    def note(self, key: Key, said: str, now: datetime) -> None:
        self._said = {each: kept for each, kept in self._said.items() if now - kept[0] < ASK_AGAIN}
        self._said[key] = now, said
