"""An event loop in virtual time: when nothing is ready, its clock jumps to the next timer. Knows nothing of Wardround.

So an hour of waiting costs nothing, and what happens depends on no machine. Work for threads runs in the loop's own:
that takes no virtual time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
# When every simulation begins.
START = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Stuck(Exception):
    """All tasks wait for something that nothing will bring about."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` is the seconds since the start of the simulation."""

    def __init__(self) -> None:
        self._seconds = 0.0
        super().__init__(_Selector(self._wait))

    def time(self) -> float:
        return self._seconds

    def clock(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self._seconds)

    def _wait(self, seconds: float | None) -> None:
        if seconds is None:
            raise Stuck
        self._seconds += seconds

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as failure:
            done.set_exception(failure)
        return done


class _Selector(selectors.DefaultSelector):
    """Waits in virtual time for what has a time; files and sockets are looked at without waiting."""

    def __init__(self, wait: Callable[[float | None], None]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self._wait(timeout)
        return ready


def play(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """What `main` returns, in a loop of its own that begins at START."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))
