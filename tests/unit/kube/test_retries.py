"""A loop waits ever longer while its tries fail, and begins anew once one succeeds."""

from __future__ import annotations

import pytest

from tests.simulation.virtual import VirtualLoop, play
from wardround.kube.retries import Retries


def test_waits_grow_to_a_limit_until_a_try_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        waits: list[float] = []

        async def fail() -> None:
            before = loop.time()
            await retries.wait(ValueError("no answer"))
            waits.append(loop.time() - before)

        retries = Retries(lambda: 1.0, most_seconds=3.0)
        for _ in range(4):
            await fail()
        retries.succeeded()
        await fail()
        return waits

    assert play(main) == pytest.approx([1.0, 2.0, 3.0, 3.0, 1.0])
    assert [each.getMessage() for each in caplog.records] == 5 * ["no answer; trying again"]
