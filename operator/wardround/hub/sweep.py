"""Deletes what a round left behind when it is gone: owner references do not cross namespaces."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from wardround.api import federatedround, names
from wardround.api.federatedround import base_name
from wardround.hub.context import Context
from wardround.hub.observe import started_from
from wardround.hub.vault import is_result, kept_for
from wardround.kube.client import Object, Objects
from wardround.kube.errors import Conflict, NotFound
from wardround.plans.round_status import is_over
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


async def sweep(hub: Context, namespace: str, name: str, live_uid: str | None) -> bool:
    """Deletes what belongs to rounds of this name but another UID than the one that a live GET has just shown. Answers
    whether a result is kept, because rounds that are not over start from it: sweep again when one of them is.

    Sites and Jobs are stopped first and keys go next, for which no store is needed. One object is kept until the store
    is swept: by it a sweep that breaks off finds what to do when it is repeated. Raises ApiError, StoreError.
    """
    kept = False
    stale: dict[str, Objects] = {}
    async for item in leftovers(hub, f"{names.ROUND}={names.label_value(name)}"):
        uid = item["metadata"]["labels"][names.ROUND_UID]
        if round_of(item) == (namespace, name) and uid != live_uid:
            stale.setdefault(uid, []).append(item)
    for uid, items in stale.items():
        logger.info("round %s/%s of UID %s is gone: deleting what is left of it", namespace, name, uid)
        *first, last = sorted(items, key=lambda each: (each["kind"] == "Secret", is_result(each)))
        for item in first:
            await _delete(hub, item)
        needed = is_result(last) and await _keep(hub, namespace, name, last)
        kept = kept or needed
        now = datetime.now(UTC)
        await delete_prefix(hub.store, hub.internal, names.updates_prefix(uid), now)
        if not needed:
            await delete_prefix(hub.store, hub.internal, f"models/{uid}/", now)
            await _delete(hub, last)
    return kept


async def _keep(hub: Context, namespace: str, name: str, result: Object) -> bool:
    """Whether rounds that are not over start from the result of a round that is gone. It is noted which: what comes
    later may not."""
    meta = result["metadata"]
    uid, before = meta["labels"][names.ROUND_UID], kept_for(result)
    needed_by: list[str] = []
    async for item in hub.client.each("FederatedRound", namespace):
        of = federatedround.parse(item)
        if base_name(of) != name or is_over(of):
            continue
        labels = f"{names.ROUND_UID}={of.metadata.uid}"
        started = started_from(await hub.client.list("RoundTask", everywhere=True, labels=labels))
        if started == uid or (not started and (before is None or of.metadata.uid in before)):
            needed_by.append(of.metadata.uid)
    if needed_by and before != frozenset(needed_by):
        logger.info("the result of round %s/%s is kept for %d others", namespace, name, len(needed_by))
        note = {"metadata": {"uid": meta["uid"], "annotations": {names.KEPT_FOR: " ".join(needed_by)}}}
        await hub.client.patch("Secret", meta["name"], note)
    return bool(needed_by)


async def _delete(hub: Context, item: Object) -> None:
    meta = item["metadata"]
    try:
        await hub.client.delete(item["kind"], meta["name"], meta["namespace"], uid=meta["uid"])
    except (NotFound, Conflict):
        return  # somebody else deleted it, or it is another object by now
