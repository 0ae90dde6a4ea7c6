"""A work queue of keys: each waits at most once, is worked on by one worker at a time, and is retried with back-off.

As client-go's workqueue. Knows nothing of what a key means. Belongs to one event loop: from other threads,
`loop.call_soon_threadsafe(queue.add, key)`.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from wardround.clock import Draw, system_draw
from wardround.kube.client import backoff
from wardround.kube.errors import AlreadyExists, ApiError, Conflict

# Conflicts in a row, about three seconds of them.
WORTH_A_WARNING = 5
K = TypeVar("K", bound=Hashable)
logger = logging.getLogger(__name__)


class WorkQueue(Generic[K]):
    """Keys in order of arrival, those `behind` after all others. A key that is added while it is worked on is worked on
    again afterwards."""

    def __init__(self, *, draw: Draw = system_draw) -> None:
        self._draw = draw
        self._ready: asyncio.PriorityQueue[tuple[bool, int, K]] = asyncio.PriorityQueue()
        self._arrivals = itertools.count()
        self._waiting: dict[K, bool] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def add(self, key: K, *, behind: bool = False) -> None:
        """At once, or `behind` all that anybody waits for."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting or (self._waiting[key] and not behind):
            self._waiting[key] = behind
            self._ready.put_nowait((behind, next(self._arrivals), key))

    def add_after(self, key: K, seconds: float) -> None:
        """Later; of several times that are asked for, the soonest."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(seconds, 0.0)
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._fire, key)

    def _fire(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    async def work(self, reconcile: Callable[[K], Awaitable[float | None]]) -> None:
        """One worker, for ever. `reconcile` answers in how many seconds it wants the key again, or None.

        Run several for keys in parallel. Whatever it raises is logged and the key retried: a reconcile is
        level-triggered, so the next try starts from what is there.
        """
        while True:
            behind, _, key = await self._ready.get()
            if self._waiting.get(key) is not behind:
                continue  # it was added once more, and overtook itself
            del self._waiting[key]
            self._working.add(key)
            try:
                seconds = await reconcile(key)
            except Exception as failure:
                self._failures[key] = self._failures.get(key, 0) + 1
                seconds = backoff(self._failures[key], base=0.2, most=60, draw=self._draw)
                _log(key, failure, self._failures[key], seconds)
            else:
                self._failures.pop(key, None)
            finally:
                self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                if key not in self._failures:
                    self.add(key)
            if seconds is not None:
                self.add_after(key, seconds)


def _log(key: object, failure: Exception, failures: int, seconds: float) -> None:
    """An API server's answer is complete in one line. A conflict with another writer is no fault, unless it goes on. A
    fault of ours is logged with its traceback, once: what lasts for a night must not fill the log."""
    usual = isinstance(failure, Conflict | AlreadyExists) and failures < WORTH_A_WARNING
    ours = not isinstance(failure, ApiError) and failures == 1
    level = logging.DEBUG if usual else logging.WARNING
    logger.log(level, "%s: %s; again in %.1f s", key, failure, seconds, exc_info=failure if ours else None)
