"""The hub's own requests to the store (make the bucket, list, delete), by URLs that it presigns for itself."""

from __future__ import annotations

from datetime import datetime
from xml.etree import ElementTree

from wardround.ports import AdministeredStore
from wardround.presign import Presigner
from wardround.store.errors import MISSING, REFUSED, StoreError

_SECONDS = 60


async def ensure_bucket(store: AdministeredStore, presigner: Presigner, now: datetime) -> None:
    """Create the bucket unless it exists. Raises StoreError."""
    try:
        await store.request("HEAD", presigner.sign("HEAD", "", now, _SECONDS))
    except StoreError as error:
        if error.reason != MISSING:
            raise
        await store.request("PUT", presigner.sign("PUT", "", now, _SECONDS))


async def list_keys(store: AdministeredStore, presigner: Presigner, prefix: str, now: datetime) -> list[str]:
    """Return the keys that begin with `prefix`. Raises StoreError."""
    keys: list[str] = []
    token = ""
    while True:
        query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
        page = await store.request("GET", presigner.sign("GET", "", now, _SECONDS, query=query))
        try:
            root = ElementTree.fromstring(page)  # noqa: S314 - from our own store; expat limits entity expansion
        except ElementTree.ParseError:
            raise StoreError(REFUSED) from None
        keys += [element.text or "" for element in root.findall("{*}Contents/{*}Key")]
        token = root.findtext("{*}NextContinuationToken") or ""
        if not token:
            return keys


async def delete_prefix(store: AdministeredStore, presigner: Presigner, prefix: str, now: datetime) -> int:
    """Delete all objects below `prefix`, which must end with a slash. Return their number. Raises StoreError."""
    if len(prefix) < 2 or not prefix.endswith("/"):
        raise ValueError("a prefix to delete ends with a slash")
    keys = await list_keys(store, presigner, prefix, now)
    for key in keys:
        try:
            await store.request("DELETE", presigner.sign("DELETE", key, now, _SECONDS))
        except StoreError as error:
            if error.reason != MISSING:
                raise
    return len(keys)
