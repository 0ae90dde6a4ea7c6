"""Deletes what a round left behind when it is gone: owner references do not cross namespaces."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from wardround.api import federatedround, names
from wardround.api.federatedround import base_name
from wardround.api.times import read_time, to_seconds
from wardround.hub.context import Context
from wardround.hub.observe import started_from
from wardround.hub.vault import is_result, kept_for, note
from wardround.kube.errors import Conflict, NotFound
from wardround.plans.round.parts import puts_until
from wardround.plans.round.status import is_over
from wardround.ports import Object, Objects
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


@dataclass(frozen=True)
class Left:
    """What a sweep had to leave. `result`: rounds that are not over start from one, sweep again when one of them is;
    `until`: sites can put objects until then, sweep again."""

    result: bool = False
    until: datetime | None = None


async def sweep(hub: Context, namespace: str, name: str, live_uid: str | None) -> Left:
    """Deletes what belongs to rounds of this name but another UID than the one that a live GET has just shown.

    First keys go, and sites and Jobs are stopped, for which no store is needed. One object is kept until the store is
    swept: by it a sweep that breaks off finds what to do when it is repeated. Raises ApiError, StoreError.
    """
    stale: dict[str, Objects] = {}
    async for item in leftovers(hub, f"{names.ROUND}={names.label_value(name)}"):
        uid = item["metadata"]["labels"][names.ROUND_UID]
        if round_of(item) == (namespace, name) and uid != live_uid:
            stale.setdefault(uid, []).append(item)
    left = [await _sweep(hub, namespace, name, uid, items) for uid, items in stale.items()]
    times = [each.until for each in left if each.until]
    return Left(any(each.result for each in left), min(times, default=None))


async def _sweep(hub: Context, namespace: str, name: str, uid: str, items: Objects) -> Left:
    """What is left of one round: its result last, or another Secret that can be emptied, or what there is."""
    *first, last = sorted(items, key=_worth)
    if first:
        logger.info("round %s/%s of UID %s is gone: deleting what is left of it", namespace, name, uid)
    needed = is_result(last) and await _keep(hub, namespace, name, last)
    until = puts_until(each["metadata"].get("annotations", {}) for each in items)
    noted = read_time(last["metadata"].get("annotations", {}).get(names.PUTS_UNTIL, ""))
    until = max((each for each in (until, noted) if each), default=None)
    memory = last["kind"] == "Secret" and not last.get("immutable")
    if memory:
        notes = {names.PUTS_UNTIL: to_seconds(until)} if until else {}
        await note(hub.client, last, notes if needed else {**notes, names.KEPT_FOR: ""}, emptied=not needed)
    for item in first:
        await _delete(hub, item)
    now = hub.clock()
    await delete_prefix(hub.store, hub.internal, names.updates_prefix(uid), now)
    if needed:
        return Left(result=True, until=until if until and now < until else None)
    await delete_prefix(hub.store, hub.internal, f"models/{uid}/", now)
    if until and now < until and memory:
        return Left(until=until)
    await _delete(hub, last)
    return Left()


def _worth(item: Object) -> int:
    """How good a memory an object is: a plan with keys is none, since it cannot be emptied."""
    if item["kind"] != "Secret":
        return 1
    return 3 if is_result(item) else 0 if item.get("immutable") else 2


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
        await note(hub.client, result, {names.KEPT_FOR: " ".join(needed_by)})
    return bool(needed_by)


async def _delete(hub: Context, item: Object) -> None:
    meta = item["metadata"]
    try:
        await hub.client.delete(item["kind"], meta["name"], meta["namespace"], uid=meta["uid"])
    except (NotFound, Conflict):
        return  # somebody else deleted it, or it is another object by now
