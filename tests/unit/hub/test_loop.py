"""While the hub signs for a large model, its other rounds go on."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from tests.unit.plans_hub.builders import NOW, observation, participant
from wardround.api.task import Upload
from wardround.documents.assignments import Recipient
from wardround.hub.execute import Execution
from wardround.hub.made import Made
from wardround.presign import Credentials, Presigner, SignedPut


class Slow(Presigner):
    """Signs only once the loop has turned."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__("https://store.example", "wardround", "us-east-1", Credentials("access", "secret"))
        self._loop = loop

    def put(self, key: str, now: datetime, seconds: int, length: int | None = None, md5: str = "") -> SignedPut:
        turned = threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        assert turned.wait(10), "the loop stands still while URLs are signed"
        return super().put(key, now, seconds, length, md5)


async def test_the_loop_turns_while_grants_are_signed() -> None:
    hub: Any = SimpleNamespace(external=Slow(asyncio.get_running_loop()), clock=lambda: NOW)
    execution = Execution(cast(Any, hub), observation(), Made(), None)
    sealed, _ = await execution._grants(Recipient.from_participant(participant("site-a")), 1, Upload(bytes=1000))
    assert sealed
