"""Deletes what a round left behind when it is gone: owner references do not cross namespaces."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from wardround.api import names
from wardround.hub.context import Context
from wardround.kube.client import Object, Objects
from wardround.kube.errors import Conflict, NotFound
from wardround.store.admin import delete_prefix

logger = logging.getLogger(__name__)


async def leftovers(hub: Context, labels: str) -> AsyncIterator[Object]:
    """All that the hub made for rounds, tasks in the participants' namespaces included."""
    async for item in hub.client.each("RoundTask", everywhere=True, labels=labels):
        yield item
    for kind in ("Secret", "Job"):
        async for item in hub.client.each(kind, labels=labels):
            yield item


def round_of(item: Object) -> tuple[str, str] | None:
    """(namespace, name) of the round that an object was made for."""
    if item["kind"] == "RoundTask":
        ref = item["spec"]["roundRef"]
        return ref["namespace"], ref["name"]
    namespace, _, name = item["metadata"].get("annotations", {}).get(names.ROUND_REF, "").partition("/")
    return (namespace, name) if name else None


async def sweep(hub: Context, namespace: str, name: str, live_uid: str | None) -> None:
    """Deletes what belongs to rounds of this name but another UID than the one that a live GET has just shown.

    Sites and Jobs are stopped first and keys go next, for which no store is needed. One object is kept until the store
    is swept: by it a sweep that breaks off finds what to do when it is repeated. Raises ApiError, StoreError.
    """
    stale: dict[str, Objects] = {}
    async for item in leftovers(hub, f"{names.ROUND}={names.label_value(name)}"):
        uid = item["metadata"]["labels"][names.ROUND_UID]
        if round_of(item) == (namespace, name) and uid != live_uid:
            stale.setdefault(uid, []).append(item)
    for uid, items in stale.items():
        logger.info("round %s/%s of UID %s is gone: deleting what is left of it", namespace, name, uid)
        *first, last = sorted(items, key=lambda each: each["kind"] == "Secret")
        for item in first:
            await _delete(hub, item)
        now = datetime.now(UTC)
        await delete_prefix(hub.store, hub.internal, names.updates_prefix(uid), now)
        await delete_prefix(hub.store, hub.internal, f"models/{uid}/", now)
        await _delete(hub, last)


async def _delete(hub: Context, item: Object) -> None:
    meta = item["metadata"]
    try:
        await hub.client.delete(item["kind"], meta["name"], meta["namespace"], uid=meta["uid"])
    except (NotFound, Conflict):
        return  # somebody else deleted it, or it is another object by now
