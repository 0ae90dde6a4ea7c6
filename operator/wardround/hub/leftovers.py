"""Deletes what a round left behind when it is gone, but its result: owner references do not cross namespaces."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime

from wardround.api import names
from wardround.api.times import read_time, to_seconds
from wardround.hub.context import Context
from wardround.hub.vault import is_result, note
from wardround.plans.round.parts import puts_until
from wardround.ports import Object, Objects
from wardround.store.admin import delete_prefix

logger = logging.getLogger(__name__)


async def made_for_rounds(hub: Context, labels: str) -> AsyncIterator[Object]:
    """All that the hub made for rounds, results and tasks in the participants' namespaces included."""
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


async def delete_leftovers(hub: Context, namespace: str, name: str, live_uid: str | None) -> datetime | None:
    """Deletes what belongs to rounds that have this name but another UID than the round that a live GET has just shown.

    First keys go, and sites and Jobs are stopped, for which no store is needed. One object stays until the
    round's objects in the store are deleted: if a call breaks off, the next one finds by it what to do. Returns until
    when sites can put objects, if they can. Then the caller has to call again. Raises ApiError, StoreError.
    """
    left: dict[str, Objects] = {}
    with_result: set[str] = set()
    async for item in made_for_rounds(hub, f"{names.ROUND}={names.label_value(name)}"):
        uid = item["metadata"]["labels"][names.ROUND_UID]
        if round_of(item) != (namespace, name) or uid == live_uid:
            continue
        if is_result(item):
            with_result.add(uid)
        else:
            left.setdefault(uid, []).append(item)
    times = []
    for uid, items in left.items():
        logger.info(
            "round %s/%s with UID %s is gone: the hub operator deletes the objects that are left of it",
            namespace,
            name,
            uid,
        )
        times.append(await _delete_one(hub, uid, items, has_result=uid in with_result))
    return min((each for each in times if each), default=None)


async def _delete_one(hub: Context, uid: str, items: Objects, *, has_result: bool) -> datetime | None:
    """What is left of one round: a Secret that can be emptied last, or what there is."""
    *first, last = sorted(items, key=_worth)
    until = puts_until(each["metadata"].get("annotations", {}) for each in items)
    noted = read_time(last["metadata"].get("annotations", {}).get(names.PUTS_UNTIL, ""))
    until = max((each for each in (until, noted) if each), default=None)
    memory = last["kind"] == "Secret" and not last.get("immutable")
    if memory:
        await note(hub.client, last, {names.PUTS_UNTIL: to_seconds(until)} if until else {}, emptied=True)
    for item in first:
        await delete_made(hub, item)
    now = hub.clock()
    await delete_prefix(hub.store, hub.internal, names.updates_prefix(uid), now)
    if not has_result:  # of an aggregation whose result was never kept
        await delete_prefix(hub.store, hub.internal, names.models_prefix(uid), now)
    if until and now < until and memory:
        return until
    await delete_made(hub, last)
    return None


def _worth(item: Object) -> int:
    """How good a memory an object is: a plan with keys is none, since it cannot be emptied."""
    if item["kind"] != "Secret":
        return 1
    return 0 if item.get("immutable") else 2


async def delete_made(hub: Context, item: Object) -> None:
    """Deletes an object that the hub made, unless somebody else has, or it is another one by now."""
    meta = item["metadata"]
    await hub.client.delete_if_exists(item["kind"], meta["name"], meta["namespace"], uid=meta["uid"])
