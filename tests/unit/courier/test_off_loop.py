"""A volume that does not answer stops no loop: whatever else the courier has to do goes on meanwhile."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.players import courier
from tests.unit.store.serving import serving, url
from tests.worlds.site import ASSIGNMENT, HOSPITAL, HUB
from wardround.courier import fetch, send
from wardround.courier.turn import Turn
from wardround.courier.workspace import TaskFolder, Workspace
from wardround.plans.courier.step import inputs
from wardround.plans.courier.types import Fetch
from wardround.wire.models import Get

PLAIN = bytes(range(256)) * 10_000
Waits = Callable[[], None]


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    task_folder = Workspace(tmp_path / "workspace").task("uid")
    task_folder.make()
    return task_folder


@pytest.fixture
async def disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every sync to disk ends only after the loop has turned once more. Says which have begun."""
    loop, real, begun = asyncio.get_running_loop(), os.fsync, list[str]()

    def fsync(descriptor: int) -> None:
        begun.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        turned = threading.Event()
        loop.call_soon_threadsafe(turned.set)
        assert turned.wait(10), "the loop stands still while a file is written"
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return begun


async def test_the_loop_turns_while_an_update_is_sealed(folder: TaskFolder, disk: list[str]) -> None:
    courier.leave_update(folder, PLAIN)
    await send.seal(ASSIGNMENT, folder, HOSPITAL.signing, "")
    assert {"ciphertext", ".manifest.json.partial"} <= set(disk)


async def test_the_loop_turns_while_a_model_is_written(folder: TaskFolder, disk: list[str], tmp_path: Path) -> None:
    sealed = HUB.seal_model(PLAIN, "base")
    base = HUB.base(sealed.model, HOSPITAL.recipient, "round-uid")
    assignment = dataclasses.replace(ASSIGNMENT, initial=False, base=base)
    [wanted] = inputs(assignment)
    hashes, part = sealed.objects.values()
    objects = {b"segments": hashes, b"part": part}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = re.search(rb"/(segments|part) (?s:.*)bytes=0-(\d+)", await reader.readuntil(b"\r\n\r\n"))
            assert request is not None
            content = objects[request[1]]
            assert int(request[2]) == len(content) - 1
            head = f"Content-Length: {len(content)}\r\nContent-Range: bytes 0-{len(content) - 1}/*"
            writer.write(f"HTTP/1.1 206 X\r\n{head}\r\n\r\n".encode() + content)
            await writer.drain()

    async with serving(tmp_path, answer) as store:
        place = url(store).removesuffix("x")
        await fetch.fetch(
            Fetch(
                assignment=assignment,
                grant=Get(f"{place}segments", (f"{place}part",)),
                input=wanted,
            ),
            hub_key=HUB.identity.key.public_key(),
            key=HOSPITAL.decryption,
            store=store,
            turn=Turn(),
            folder=folder,
        )
    assert (folder.input / "model.safetensors").read_bytes() == PLAIN
    assert disk == [".model.safetensors.partial", folder.input.name]
