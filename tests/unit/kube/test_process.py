"""How the operators and the courier end when Kubernetes asks them to."""

import asyncio
import os
import signal

import pytest

from wardround.kube.process import run_until_terminated


def test_a_signal_ends_the_work_and_lets_it_clean_up() -> None:
    seen: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(30)
            seen.append("slept on")
        finally:
            seen.append("cleaned up")

    run_until_terminated(work())
    assert seen == ["cleaned up"]


def test_the_process_raises_the_exception_of_its_work() -> None:
    async def work() -> None:
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        run_until_terminated(work())
