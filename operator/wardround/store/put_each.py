"""Stores objects one after the other, so that memory holds one of them. Knows no meaning of the bytes."""

from __future__ import annotations

from collections.abc import Iterator

from wardround.ports import Store
from wardround.presign import SignedPut
from wardround.store.errors import REFUSED, StoreError
from wardround.threads import beside


async def put_each(store: Store, objects: Iterator[tuple[SignedPut, bytes]]) -> None:
    """Make each object in a thread, after the one before is stored. Raises StoreError, also if an object exists."""
    while (made := await beside(next, objects, None)) is not None:
        upload, data = made
        if not await store.put_bytes(upload.url, upload.headers, data):
            raise StoreError(REFUSED)
