"""The courier moves some parts at once, and after a failure only those that are missing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from tests.players import courier
from tests.worlds.site import ASSIGNMENT, HOSPITAL, HUB
from wardround.courier import fetch, send
from wardround.courier.turn import Turn
from wardround.courier.workspace import TaskFolder, Workspace
from wardround.plans.courier.step import inputs
from wardround.plans.courier.types import Fetch
from wardround.simulate.store import MemoryStore
from wardround.store.errors import UNREACHABLE, StoreError
from wardround.wire.grants import Put
from wardround.wire.models import Get


class Breaking(MemoryStore):
    """Breaks off at the request for an object whose URL ends with `broken`. `asked`: all requests, by URL and offset.
    `most`: requests at once."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = ""
        self.asked: list[tuple[str, int]] = []
        self.most = self._now = 0

    async def get(self, url: str, length: int, sink: Callable[[bytes], Awaitable[None]], *, offset: int = 0) -> None:
        await self._one(url, offset)
        await super().get(url, length, sink, offset=offset)

    async def put_file(self, url: str, headers: Mapping[str, str], path: Path, offset: int, length: int) -> bool:
        await self._one(url, offset)
        return await super().put_file(url, headers, path, offset, length)

    async def _one(self, url: str, offset: int) -> None:
        self.asked.append((url, offset))
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            # The request that breaks is the last to end, so the others have stored their part.
            await asyncio.sleep(0.2 if url.endswith(self.broken or "?") else 0)
            if self.broken and url.endswith(self.broken):
                raise StoreError(UNREACHABLE)
        finally:
            self._now -= 1


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    task_folder = Workspace(tmp_path / "workspace").task("uid")
    task_folder.make()
    return task_folder


async def test_parts_that_the_store_has_are_not_sent_again(folder: TaskFolder) -> None:
    folder.ciphertext.write_bytes(b"aabbccdd" + b"e")
    puts = tuple(Put(f"part-{number}", 2 if number < 4 else 1, {}) for number in range(5))
    store = Breaking()
    store.broken = "part-1"
    with pytest.raises(StoreError):
        await send.send(puts, store, folder)
    assert store.most == send.PARTS
    store.broken, store.asked = "", []
    await send.send(puts, store, folder)  # also as another process would
    assert store.asked == [("part-1", 2)]
    assert [await store.get_bytes(put.url, put.bytes) for put in puts] == [b"aa", b"bb", b"cc", b"dd", b"e"]
    store.asked = []
    await send.send(puts, store, folder)
    assert store.asked == []


async def test_a_ciphertext_that_is_sealed_anew_is_sent_as_a_whole(folder: TaskFolder) -> None:
    folder.note_sent(0)
    with folder.sent.open("a") as file:
        file.write("1")  # a line that a crash has cut
    assert folder.sent_parts() == {0}
    courier.leave_update(folder, b"tensors")
    await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, "")
    assert folder.sent_parts() == frozenset()


async def test_a_model_is_fetched_in_parts_at_once_and_a_whole_part_only_once(folder: TaskFolder) -> None:
    sealed = HUB.seal_model(bytes(65 << 20) + b"the end", "base")
    base = HUB.base(sealed.model, HOSPITAL.recipient, "round-uid")
    assignment = dataclasses.replace(ASSIGNMENT, initial=False, base=base)
    [wanted] = inputs(assignment)
    store = Breaking()
    names = [key.rsplit("/", 1)[1] for key in sealed.objects]
    for name, content in zip(names, sealed.objects.values(), strict=True):
        await store.put_bytes(name, {}, content)
    order = Fetch(assignment=assignment, grant=Get("segments", tuple(names[1:])), input=wanted)

    async def fetched() -> None:
        await fetch.fetch(
            order,
            hub_key=HUB.identity.key.public_key(),
            key=HOSPITAL.decryption,
            store=store,
            turn=Turn(),
            folder=folder,
        )

    store.broken = "part-00000"
    with pytest.raises(StoreError):
        await fetched()
    assert store.most == fetch.PARTS
    assert not (folder.input / "model.safetensors").exists()
    store.broken, store.asked = "", []
    await fetched()  # also as another process would
    assert store.asked == [("part-00000", 0)]
    assert (folder.input / "model.safetensors").stat().st_size == (65 << 20) + 7
    assert [each.name for each in folder.input.iterdir()] == ["model.safetensors"]
