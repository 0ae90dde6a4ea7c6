"""A connection is cut in the middle of an upload. With a signed Content-MD5, the repeated upload arrives whole. A push
has none, and repeats no upload."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from tests.players.cut_line import CutLine, cut_line
from tests.players.store import Server
from tests.players.stored_round import Round, now
from wardround import tensors
from wardround.api.meta import Meta
from wardround.api.modelpush import ModelPush, ModelPushSpec
from wardround.api.times import to_seconds
from wardround.card import folder, push
from wardround.card.own_request import OwnRequest
from wardround.documents import pushes
from wardround.documents.keys import Identity
from wardround.documents.pushes import SealedPush
from wardround.hub import pushed_file
from wardround.sealing.body import new_file_key
from wardround.sealing.keys import DecryptionKey
from wardround.store.errors import StoreError
from wardround.store.transfer import StoreClient
from wardround.wire import canonical

CUT = 1 << 20
SIZE = 3 * CUT


@pytest_asyncio.fixture
async def line(server: Server, store: StoreClient) -> AsyncIterator[CutLine]:
    """A line to the store, whose bucket exists."""
    async with cut_line(server) as made:
        yield made


def a_key() -> str:
    return f"updates/{uuid.uuid4()}/1/site-a/part-00000"


@pytest.mark.parametrize("again", ["the same client", "a restarted client"])
async def test_a_repeated_put_arrives_whole(line: CutLine, tmp_path: Path, again: str) -> None:
    """Also if the courier was killed in the middle."""
    data, file = os.urandom(SIZE), tmp_path / "file"
    file.write_bytes(b"before" + data + b"after")
    key = a_key()
    put = line.server.presigner.put_of(data, key, now(), 60)
    line.cut_after(CUT)
    if again == "a restarted client":
        async with line.server.client(tries=1) as killed:
            with pytest.raises(StoreError, match="StoreUnreachable"):
                await killed.put_file(put.url, put.headers, file, 6, SIZE)
    async with line.server.client() as client:
        assert await client.put_file(put.url, put.headers, file, 6, SIZE)
        assert line.cuts == 1
        assert await client.get_bytes(line.server.presigner.get(key, now(), 60), SIZE) == data


async def test_a_put_without_a_digest_never_counts_a_cut_off_object_as_stored(line: CutLine) -> None:
    """The result of an aggregation, whose bytes the hub does not know. The store keeps the beginning of this one."""
    data, key = os.urandom(100_000), a_key()
    put = line.server.presigner.put(key, now(), 60)
    line.cut_after(50_000)
    async with line.server.client() as client:
        assert not await client.put_bytes(put.url, put.headers, data)
        assert line.cuts == 1
        with pytest.raises(StoreError, match="StoreObjectShort"):
            await client.get_bytes(line.server.presigner.get(key, now(), 60), len(data))


async def test_an_update_whose_upload_was_cut_off_is_aggregated(line: CutLine, tmp_path: Path) -> None:
    base = {"w": np.zeros(500_000, "<f4")}
    async with line.server.client() as client:
        train = Round(line.server, client, tmp_path)
        await train.with_base(base)
        await train.update("site-a", {"w": np.ones(500_000, "<f4")})
        line.cut_after(CUT)
        await train.update("site-b", {"w": np.ones(500_000, "<f4") * 3})
        assert line.cuts == 1
        code, answer = await train.aggregate()
        assert (code, answer["aggregated"], answer["leftOut"]) == (0, ["site-a", "site-b"], [])
        assert set((await train.result(answer))["w"].tolist()) == {2.0}


async def test_a_push_whose_upload_was_cut_off_says_so_and_becomes_no_version(line: CutLine, tmp_path: Path) -> None:
    """The store keeps the beginning of the file. The next push has another place."""
    tensors.write(tmp_path / folder.MODEL_FILE, {"w": np.ones(SIZE // 4, "<f4")})
    prepared, key, hub = push.prepare(tmp_path, tmp_path), DecryptionKey.generate(), Identity.generate()
    spec = ModelPushSpec(
        schema_name="breast-v1",
        digest=prepared.digest,
        bytes=prepared.bytes,
        tensors_digest=prepared.tensors_digest,
        public_key=canonical.encode(key.public.raw),
        requested_by="wanda",
    )
    meta = Meta(name="cut", namespace="breast", uid=str(uuid.uuid4()), creation_timestamp=to_seconds(now()))
    made, data_key = ModelPush(metadata=meta, spec=spec), new_file_key()
    sealed = SealedPush(data_key, pushes.header(made, data_key))
    offer = pushes.offer(made, sealed, hub, line.server.presigner, line.server.ca, now())
    own = OwnRequest(key, meta.uid, "wanda", hub.fingerprint)
    line.cut_after(CUT)
    with pytest.raises(push.UploadFailed, match="push again"):
        await asyncio.to_thread(push.upload, offer, own, prepared, tmp_path)
    assert line.cuts == 1
    async with line.server.client() as client:
        examined = await pushed_file.look(client, line.server.presigner, made, sealed, now())
    assert examined.reason == pushed_file.ALTERED
