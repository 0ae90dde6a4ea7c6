"""A volume that does not answer stops no loop: whatever else the courier has to do goes on meanwhile."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plans_site.world import ASSIGNMENT, DECRYPTION, HUB, SIGNING
from tests.unit.store.test_slow_store import serving, url
from wardround.courier import fetch, send
from wardround.courier.turn import Turn
from wardround.courier.workspace import TaskFolder, Workspace
from wardround.sealing import body
from wardround.sealing.manifests import sign_model
from wardround.sealing.wrap import base_context, wrap
from wardround.wire import digests
from wardround.wire.assignment import AssignedBase
from wardround.wire.grants import Get
from wardround.wire.models import ModelManifest

PLAIN = bytes(range(256)) * 10_000
Waits = Callable[[], None]


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    found = Workspace(tmp_path / "workspace").task("uid")
    found.make()
    return found


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
    (folder.update / "update.safetensors").write_bytes(PLAIN)
    document: dict[str, Any] = {
        "samples": 290,
        "metrics": {},
        "suppressed": [],
        "digest": digests.digest(PLAIN),
        "schemaDigest": digests.digest(b"schema"),
        "baseDigest": "",
        "length": len(PLAIN),
    }
    (folder.update / "update.json").write_text(json.dumps(document))
    await send.seal(ASSIGNMENT, folder, SIGNING, "")
    assert {"ciphertext", ".manifest.json.partial"} <= set(disk)


async def test_the_loop_turns_while_a_model_is_written(folder: TaskFolder, disk: list[str], tmp_path: Path) -> None:
    key = body.new_file_key()
    header = body.new_header(
        key,
        kind=body.MODEL,
        round_uid="base",
        attempt=1,
        participant="",
        base_digest="",
        image_digest="",
        schema_digest="",
        length=len(PLAIN),
    )
    sealer = body.Body(key, header)
    spans = [body.segment_span(index, len(PLAIN)) for index in range(sealer.segments)]
    segments = [sealer.seal(index, PLAIN[start : start + size]) for index, (start, size) in enumerate(spans)]
    hashes = b"".join(bytes.fromhex(digests.digest(each)[7:]) for each in segments)
    digest = digests.digest(PLAIN)
    manifest = ModelManifest(header, digest, digests.digest(hashes), "models/base/1", sum(map(len, segments)))
    wrapped = wrap(key, DECRYPTION.public, base_context("round-uid", 1, "site-a", digest))
    assignment = dataclasses.replace(ASSIGNMENT, initial=False, base=AssignedBase(sign_model(manifest, HUB), wrapped))
    objects = {b"segments": hashes, b"part": b"".join(segments)}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = re.search(rb"/(segments|part) (?s:.*)bytes=0-(\d+)", await reader.readuntil(b"\r\n\r\n"))
            assert asked is not None
            found = objects[asked[1]]
            assert int(asked[2]) == len(found) - 1
            head = f"Content-Length: {len(found)}\r\nContent-Range: bytes 0-{len(found) - 1}/*"
            writer.write(f"HTTP/1.1 206 X\r\n{head}\r\n\r\n".encode() + found)
            await writer.drain()

    async with serving(tmp_path, answer) as store:
        place = url(store).removesuffix("x")
        await fetch.fetch(
            assignment,
            Get(f"{place}segments", (f"{place}part",)),
            hub_key=HUB.public_key(),
            key=DECRYPTION,
            store=store,
            turn=Turn(),
            folder=folder,
        )
    assert (folder.input / "model.safetensors").read_bytes() == PLAIN
    assert disk == [".model.safetensors.partial", folder.input.name]
