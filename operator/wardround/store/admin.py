"""The hub's own requests to the store (make the bucket, list, delete), by URLs that it presigns for itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

from wardround.ports import AdministeredStore
from wardround.presign import Presigner
from wardround.store.errors import MISSING, REFUSED, StoreError
from wardround.store.listing import read_page

_SECONDS = 60
# A store can list keys without an end. If a round has more than a million, the next call deletes the rest.
MOST_PAGES = 1000
PAGE_KEYS = 1000  # the most that S3 allows


async def ensure_bucket(store: AdministeredStore, presigner: Presigner, now: datetime) -> None:
    """Create the bucket unless it exists. Raises StoreError."""
    try:
        await store.request("HEAD", presigner.sign("HEAD", "", now, _SECONDS))
    except StoreError as error:
        if error.reason != MISSING:
            raise
        await store.request("PUT", presigner.sign("PUT", "", now, _SECONDS))


async def list_keys(store: AdministeredStore, presigner: Presigner, prefix: str, now: datetime) -> AsyncGenerator[str]:
    """Yield the keys that begin with `prefix`. One page of them is in memory at a time.

    Raises StoreError, also for a key that is not below `prefix`, and after `MOST_PAGES`.
    """
    token = ""
    for _ in range(MOST_PAGES):
        query = {"list-type": "2", "max-keys": str(PAGE_KEYS), "prefix": prefix} | (
            {"continuation-token": token} if token else {}
        )
        page = read_page(await store.request("GET", presigner.sign("GET", "", now, _SECONDS, query=query)))
        if not all(_is_below(prefix, key) for key in page.keys):
            raise StoreError(REFUSED)
        for key in page.keys:
            yield key
        if not page.token:
            return
        token = page.token
    raise StoreError(REFUSED)


def _is_below(prefix: str, key: str) -> bool:
    """Whether a key begins with `prefix` and no server resolves its path to another place: `updates/a/../b`."""
    return key.startswith(prefix) and not {"", ".", ".."} & set(key.split("/"))


async def delete_prefix(store: AdministeredStore, presigner: Presigner, prefix: str, now: datetime) -> int:
    """Delete all objects whose names begin with `prefix`. Return their number. Raises StoreError.

    `prefix` ends with a slash or a dash, so that it ends with a whole UID or number.
    """
    if len(prefix) < 2 or not prefix.endswith(("/", "-")):
        raise ValueError("a prefix to delete ends with a slash or a dash")
    deleted = 0
    async with aclosing(list_keys(store, presigner, prefix, now)) as keys:
        async for key in keys:
            try:
                await store.request("DELETE", presigner.sign("DELETE", key, now, _SECONDS))
            except StoreError as error:
                if error.reason != MISSING:
                    raise
            deleted += 1
    return deleted
