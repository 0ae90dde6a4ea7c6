"""A client of the store, and a round whose updates are in the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from tests.players.store import Server
from tests.players.stored_round import Round
from wardround.store import admin
from wardround.store.transfer import StoreClient


@pytest_asyncio.fixture
async def store(server: Server) -> AsyncIterator[StoreClient]:
    """A client with the pinned authority, the bucket made."""
    async with server.client(tries=2) as client:
        await admin.ensure_bucket(client, server.presigner, datetime.now(UTC))
        yield client


@pytest.fixture
def train(server: Server, store: StoreClient, tmp_path: Path) -> Round:
    return Round(server, store, tmp_path)
