"""Knows the events that show no more than a controller's own status writes. The controller need not look at them."""

from collections.abc import Awaitable, Callable

from wardround.kube.controller import Key
from wardround.ports import Object


class OwnWrites:
    """A controller passes its status writes through `write`, and asks for each event whether it is `shown_by`.

    The event of a write can arrive before the answer to the write. So while a write is under way, no event of its
    object wakes the controller. `wake` is called after the write if another change was among these events.
    """

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        # Versions whose events are still to come.
        self._written: dict[Key, str] = {}
        # The version of the last event during a write.
        self._under_way: dict[Key, str | None] = {}

    def shown_by(self, key: Key, item: Object) -> bool:
        """Whether an event shows the last own write, or `wake` will be called for it."""
        version = str(item["metadata"]["resourceVersion"])
        if key in self._under_way:
            self._under_way[key] = version
            return True
        if self._written.get(key) != version:
            return False
        # Nothing is kept for long. If the object is listed once more, the controller looks at it.
        del self._written[key]
        return True

    async def write(self, key: Key, writing: Awaitable[Object | None]) -> Object | None:
        """Returns the answer, or None if nothing had to be written. Raises what the write raises."""
        before = newest = self._written.pop(key, None)
        self._under_way[key] = None
        try:
            written = await writing
            if written is not None:
                newest = str(written["metadata"]["resourceVersion"])
            return written
        finally:
            last = self._under_way.pop(key)
            if newest is not None and last != newest:
                self._written[key] = newest
            if last not in (None, before, newest):
                self._wake(key)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._written.pop(key, None)
