"""Runs a process's work until Kubernetes asks it to end. Knows nothing of the work."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


def run_until_terminated(work: Coroutine[Any, Any, None]) -> None:
    """Returns once `work` was cancelled by SIGTERM, or raises what it raises.

    The first process of a container is not ended by a signal that it does not handle: Kubernetes would wait for its
    whole grace period, half a minute, before each pod of an upgrade is replaced.
    """
    with suppress(asyncio.CancelledError):
        asyncio.run(_cancelled_by_signal(work))


async def _cancelled_by_signal(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await work
