"""Remembers briefly that the API server refused a RoundTask or an early aggregation, so that not each reconcile asks
again."""

from datetime import datetime, timedelta

ASK_AGAIN = timedelta(seconds=10)
Key = tuple[str, str, int]  # UID of the round, participant, attempt. Of an aggregation: "" and its number


class Refusals:
    """The API server's words by RoundTask or aggregation. A new process remembers none, and asks at once."""

    def __init__(self) -> None:
        self._messages: dict[Key, tuple[datetime, str]] = {}

    def recent(self, key: Key, now: datetime) -> str | None:
        """The words of a refusal, if it was within the last ASK_AGAIN."""
        time, message = self._messages.get(key, (now, None))
        return message if now - time < ASK_AGAIN else None

    def note(self, key: Key, message: str, now: datetime) -> None:
        self._messages = {each: kept for each, kept in self._messages.items() if now - kept[0] < ASK_AGAIN}
        self._messages[key] = now, message
