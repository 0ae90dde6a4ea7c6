"""How the operators and the courier end when Kubernetes asks them to, and how they give memory back."""

import asyncio
import ctypes
import gc
import os
import re
import signal
from pathlib import Path

import pytest

from wardround.kube import process
from wardround.kube.process import run_until_terminated

MEBIBYTE = 1024 * 1024


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


def test_python_looks_for_cycles_only_among_what_the_work_has_made() -> None:
    tracked: list[int] = []

    async def work() -> None:
        tracked.extend((len(gc.get_objects(generation=2)), gc.get_freeze_count()))

    run_until_terminated(work())
    old, frozen = tracked
    assert old < frozen / 10
    assert gc.get_freeze_count() == 0


def resident() -> int:
    """Bytes of this process."""
    size = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert size
    return int(size[1]) * 1024


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc gives memory back when asked")
def test_freed_memory_between_blocks_in_use_goes_back_to_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TRIM_SECONDS", 0.01)
    returned: list[int] = []

    async def work() -> None:
        # A block in use after each 128 KiB. So glibc cannot give anything back by itself.
        blocks = [bytes(2000) for _ in range(64 * MEBIBYTE // 2000)]
        kept, before = blocks[::64], resident()
        del blocks
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if before - resident() > 32 * MEBIBYTE:
                break
        returned.append(before - resident())
        assert kept

    run_until_terminated(work())
    assert returned[0] > 32 * MEBIBYTE
