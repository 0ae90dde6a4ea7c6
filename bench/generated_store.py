"""A store on loopback, with TLS, that seals each update while it sends it, so that no disk holds the updates.

Every update is a function of its participant's number: one tensor file of float32. The store keeps what is stored, but
of the parts of a model only the lengths. It checks no signature.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from aiohttp import web

from tests.certificates import certificates
from wardround.sealing.body import PART, SEALED_SEGMENT, SEGMENT, SEGMENTS_PER_PART, Body, segment_span
from wardround.tensors import Layout
from wardround.wire.digests import Digest

PATTERN = 64 * SEGMENT
UPDATE = re.compile(r"updates/[^/]+/1/site-([0-9]{4})/part-([0-9]{5})")
RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)")


class Plain:
    """The plaintext of all updates of one layout. Participants differ by a rotation of one pattern of finite floats."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._head = layout.header
        self.length = layout.length
        floats = np.random.default_rng(7).standard_normal(2 * PATTERN // 4, np.float32)
        self._pattern = memoryview(floats.tobytes())

    def segment(self, number: int, index: int) -> bytes | memoryview:
        """Segment `index` of the update of participant `number`."""
        start, size = segment_span(index, self.length)
        place = (number * 4096 + start) % PATTERN
        head = self._head[start : start + size]
        # The data begins at a multiple of 8 bytes, so no cut splits a float of the pattern.
        return head + self._pattern[place : place + size - len(head)] if head else self._pattern[place : place + size]

    def digest(self, number: int) -> str:
        """`sha256:<hex>` of an update."""
        whole = Digest()
        for index in range(-(-self.length // SEGMENT)):
            whole.update(self.segment(number, index))
        return whole.text


@dataclass
class GeneratedStore:
    """`bodies`: what seals the update of each participant, by its number. `stored`: bytes by key. `lengths`: of the
    parts of models. `sent`: bytes of updates."""

    plain: Plain
    bodies: dict[int, Body] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    origin: str = ""
    ca: str = ""

    async def get(self, request: web.Request) -> web.StreamResponse:
        wanted = RANGE.fullmatch(request.headers.get("Range", ""))
        key = request.match_info["key"]
        if wanted is None:
            return web.Response(status=400)
        first, last = int(wanted[1]), int(wanted[2])
        headers = {"Content-Range": f"bytes {first}-{last}/*", "Content-Length": str(last + 1 - first)}
        if key in self.stored:
            return web.Response(status=206, body=self.stored[key][first : last + 1], headers=headers)
        update = UPDATE.fullmatch(key)
        if update is None:
            return web.Response(status=404)
        response = web.StreamResponse(status=206, headers=headers)
        await response.prepare(request)
        number, offset = int(update[1]), int(update[2]) * PART
        for index in range((offset + first) // SEALED_SEGMENT, (offset + last) // SEALED_SEGMENT + 1):
            sealed = await asyncio.to_thread(self._sealed, number, index)
            start = index * SEALED_SEGMENT - offset
            await response.write(sealed[max(0, first - start) : last + 1 - start])
            self.sent += len(sealed)
        return response

    def _sealed(self, number: int, index: int) -> bytes:
        return self.bodies[number].seal(index, self.plain.segment(number, index))

    async def put(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        if "/part-" in key:
            self.lengths[key] = 0
            async for chunk in request.content.iter_any():
                self.lengths[key] += len(chunk)
        else:
            self.stored[key] = await request.read()
        return web.Response()


@contextmanager
def serving(store: GeneratedStore, folder: Path) -> Iterator[GeneratedStore]:
    """Serve the store from a thread. `folder`: for its certificate."""
    store.ca = certificates(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    loop, started = asyncio.new_event_loop(), threading.Event()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=PART + SEGMENTS_PER_PART)
        app.router.add_get("/wardround/{key:.*}", store.get)
        app.router.add_put("/wardround/{key:.*}", store.put)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        host, port = runner.addresses[0][:2]
        store.origin = f"https://{host}:{port}"
        started.set()
        return runner

    runner: list[web.AppRunner] = []

    def run() -> None:
        runner.append(loop.run_until_complete(start()))
        loop.run_forever()
        loop.run_until_complete(runner[0].cleanup())

    thread = threading.Thread(target=run, name="store")
    thread.start()
    started.wait()
    try:
        yield store
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
