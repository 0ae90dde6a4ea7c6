"""Runs a process's work until Kubernetes ends the process."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


def run_until_terminated(work: Coroutine[Any, Any, None]) -> None:
    """Returns once SIGTERM has cancelled `work`, or raises the exception of `work`.

    A signal without a handler does not end the first process of a container. In an upgrade Kubernetes would then wait
    for the whole grace period, half a minute, before it replaces a pod.
    """
    with suppress(asyncio.CancelledError):
        asyncio.run(_cancelled_by_signal(work))


async def _cancelled_by_signal(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await work
