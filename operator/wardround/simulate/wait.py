"""Runs coroutines from code that is not asynchronous, also where a loop runs already, as in a notebook.

Pods run in the caller's own thread, because training code may set signal handlers. So the loop has a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Return or raise what the coroutine does."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One loop for the whole process. The thread ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="simulation", daemon=True).start()
    return loop
