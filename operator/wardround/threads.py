"""Runs what blocks beside the event loop. Knows nothing of what that is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def beside(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `work` returns or raises, from a thread.

    A thread cannot be stopped. A caller that is cancelled waits for its end, so that nothing is at work any more on
    what the caller then closes or removes.
    """
    return await _wait_for(partial(work, *arguments, **named), threading.Event())


async def beside_until_cancelled(work: Callable[[threading.Event], T]) -> T:
    """As `beside`, for long work: its argument is set when the caller is cancelled, and `work` then has to end."""
    stop = threading.Event()
    return await _wait_for(partial(work, stop), stop)


async def _wait_for(work: Callable[[], T], stop: threading.Event) -> T:
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait((running,))
        if not running.cancelled():
            running.exception()  # looked at: the caller's own end is what counts
        raise
