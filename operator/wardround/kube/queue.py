"""A work queue of keys, like client-go's workqueue: a key waits at most once, one worker at a time works on it, and it
is retried with back-off.

A queue belongs to one event loop. From another thread, use `loop.call_soon_threadsafe(queue.add, key)`.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from wardround.clock import Draw
from wardround.kube.client import backoff
from wardround.kube.errors import AlreadyExists, ApiError, Conflict

# Conflicts in a row, about three seconds of them.
WORTH_A_WARNING = 5
K = TypeVar("K", bound=Hashable)
logger = logging.getLogger(__name__)


class WorkQueue(Generic[K]):
    """Keys in order of arrival, those `behind` after all others. A key that is added while a worker works on it is
    worked on again afterwards."""

    def __init__(self, *, draw: Draw) -> None:
        self._draw = draw
        self._ready: asyncio.PriorityQueue[tuple[bool, int, K]] = asyncio.PriorityQueue()
        self._arrivals = itertools.count()
        self._waiting: dict[K, bool] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def add(self, key: K, *, behind: bool = False) -> None:
        """Adds a key, or adds it `behind` all keys that are waited for."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting or (self._waiting[key] and not behind):
            self._waiting[key] = behind
            self._ready.put_nowait((behind, next(self._arrivals), key))

    def add_after(self, key: K, seconds: float) -> None:
        """Adds a key later; if this is asked several times, at the soonest of them."""
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

    def _stop_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def work(self, reconcile: Callable[[K], Awaitable[float | None]]) -> None:
        """One worker, without end. `reconcile` returns `requeue_after`: in how many seconds it wants the key again,
        or None. This replaces what it returned for the key before.

        Several workers work on several keys at once. An exception is logged and the key retried: a reconcile is
        level-triggered, so the next try starts from the present state.
        """
        while True:
            behind, _, key = await self._ready.get()
            if self._waiting.get(key) is not behind:
                continue  # it was added once more, and overtook itself
            del self._waiting[key]
            self._working.add(key)
            try:
                requeue_after = await reconcile(key)
            except Exception as failure:
                self._failures[key] = self._failures.get(key, 0) + 1
                requeue_after = backoff(self._failures[key], base=0.2, most=60, draw=self._draw)
                _log(key, failure, self._failures[key], requeue_after)
            else:
                self._failures.pop(key, None)
                # Only the newest answer counts: a key that is over must not be kept until an old deadline.
                self._stop_timer(key)
            finally:
                self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                if key not in self._failures:
                    self.add(key)
            if requeue_after is not None:
                self.add_after(key, requeue_after)


def _log(key: object, failure: Exception, failures: int, seconds: float) -> None:
    """Logs a failure. An API server's answer fits one line. A conflict with another writer is no fault unless it goes
    on. A fault of our own code is logged once with its traceback, so that a fault that lasts a night does not fill the
    log."""
    usual = isinstance(failure, Conflict | AlreadyExists) and failures < WORTH_A_WARNING
    ours = not isinstance(failure, ApiError) and failures == 1
    level = logging.DEBUG if usual else logging.WARNING
    logger.log(level, "%s: %s; again in %.1f s", key, failure, seconds, exc_info=failure if ours else None)
