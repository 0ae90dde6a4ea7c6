"""Runs a process's work until Kubernetes ends the process, in little memory."""

import asyncio
import ctypes
import gc
import signal
from asyncio import sslproto
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

# The buffer of each TLS connection, in bytes. asyncio takes 256 KiB, and an operator has dozens of connections. A TLS
# record has at most 16 KiB, so transfers are as fast.
TLS_BUFFER = 32 * 1024
# How often the C library gives freed memory back to the kernel.
TRIM_SECONDS = 60


def run_until_terminated(work: Coroutine[Any, Any, None]) -> None:
    """Returns once SIGTERM has cancelled `work`, or raises the exception of `work`.

    A signal without a handler does not end the first process of a container. In an upgrade Kubernetes would then wait
    for the whole grace period, half a minute, before it replaces a pod.
    """
    sslproto.SSLProtocol.max_size = TLS_BUFFER
    # Python looks for cycles among old objects once their number has grown by a quarter. What the imports have made
    # stays for ever. So without it, Python looks earlier, and at less.
    gc.collect()
    gc.freeze()
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(_cancelled_by_signal(work))
    finally:
        gc.unfreeze()


async def _cancelled_by_signal(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    trimming = asyncio.create_task(_trim())
    try:
        await work
    finally:
        trimming.cancel()


async def _trim() -> None:
    """glibc keeps freed memory that lies between blocks in use, some megabytes of it, until a program tells it to give
    this memory back (malloc_trim(3)). Other C libraries have no such function."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim:
        await asyncio.sleep(TRIM_SECONDS)
        trim(0)
