"""Stores objects one after the other, so that memory holds one of them. Knows no meaning of the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext

from wardround.ports import Store
from wardround.presign import SignedPut
from wardround.store.errors import REFUSED, StoreError
from wardround.threads import beside

Limit = Callable[[], AbstractAsyncContextManager[None]]


async def put_each(
    store: Store, objects: Iterator[tuple[SignedPut, bytes]], limit: Limit = lambda: nullcontext()
) -> None:
    """Make each object in a thread, after the one before is stored. `limit`: of the time in which the store takes one
    object. Raises StoreError, also if an object exists."""
    while (made := await beside(next, objects, None)) is not None:
        upload, data = made
        async with limit():
            stored = await store.put_bytes(upload.url, upload.headers, data)
        if not stored:
            raise StoreError(REFUSED)
