"""Runs blocking work in threads, beside the event loop. Knows nothing of the work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def beside(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs `work` in a thread. Returns or raises what it does.

    A thread cannot be stopped. A caller that is cancelled, also twice, waits for the thread's end, because the caller
    may then close or remove files that the thread uses.
    """
    return await _wait_for(partial(work, *arguments, **named), threading.Event())


async def beside_until_cancelled(work: Callable[[threading.Event], T]) -> T:
    """Like `beside`, for long work. The event is set when the caller is cancelled; `work` must then end."""
    stop = threading.Event()
    return await _wait_for(partial(work, stop), stop)


async def _wait_for(work: Callable[[], T], stop: threading.Event) -> T:
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        while not running.done():
            with suppress(asyncio.CancelledError):  # cancelled again: the caller gets CancelledError in any case
                await asyncio.wait((running,))
        if not running.cancelled():
            running.exception()  # retrieved, so that asyncio does not log it; the caller gets CancelledError
        raise
