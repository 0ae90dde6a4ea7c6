"""Deletes what a round left behind when it is gone, but its result: owner references do not cross namespaces.

What a round or a push has left in the store goes after all keys. `hub/gone_rounds.py` says which rounds are gone.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from wardround.api import federatedround, names
from wardround.api.times import read_time, to_seconds
from wardround.hub import register
from wardround.hub.context import Context
from wardround.hub.made import job_numbers, noted_numbers, read_all
from wardround.hub.stored import delete_stored, look_ends
from wardround.hub.vault import note
from wardround.kube.index import NamespacedName, place_of
from wardround.plans.round.parts import puts_until
from wardround.ports import Object, Objects
from wardround.store.errors import TOO_SLOW, StoreError

logger = logging.getLogger(__name__)


async def made_for_rounds(hub: Context) -> AsyncIterator[Object]:
    """What shows of which rounds there may be something: tasks in the participants' namespaces, the entries of the
    register, Jobs."""
    async for item in hub.client.each("RoundTask", everywhere=True, labels=names.ROUND_UID):
        yield item
    async for item in register.entries(hub.client, names.ROUND_UID):
        yield item
    async for item in hub.client.each("Job", labels=names.ROUND_UID):
        yield item


async def find_gone_rounds(hub: Context) -> frozenset[NamespacedName]:
    """Adds rounds that are gone and have left something to `hub.gone`, and returns their names. Rounds that `hub.gone`
    knows to wait for their time are not among them. Raises ApiError."""
    # Few rounds are gone, and thousands are there or wait. So of those only UIDs are kept, and only during this search.
    known = {item["metadata"]["uid"] async for item in hub.client.each(federatedround.KIND, everywhere=True)}
    known |= hub.gone.waiting()
    numbers: dict[tuple[NamespacedName, str], set[int]] = {}
    async for item in made_for_rounds(hub):
        uid = item["metadata"]["labels"][names.ROUND_UID]
        if uid not in known and (made_for := round_of(item)):
            noted = numbers.setdefault((NamespacedName(*made_for), uid), set())
            noted.update(job_numbers(item) if item["kind"] == "Job" else noted_numbers(item))
    # Again, after the objects: a round that was applied meanwhile is there.
    if numbers:
        async for item in hub.client.each(federatedround.KIND, everywhere=True):
            numbers.pop((place_of(item), item["metadata"]["uid"]), None)
    for (place, uid), noted in numbers.items():
        hub.gone.add(place, uid, noted)
    return frozenset(place for place, _ in numbers)


def round_of(item: Object) -> tuple[str, str] | None:
    """(namespace, name) of the round that an object was made for."""
    if item["kind"] == "RoundTask":
        ref = item["spec"]["roundRef"]
        return ref["namespace"], ref["name"]
    namespace, _, name = item["metadata"].get("annotations", {}).get(names.ROUND_REF, "").partition("/")
    return (namespace, name) if name else None


@dataclass(frozen=True)
class Memory:
    """What is left of a round or a push that is gone: no keys, sites or Jobs, only objects in the store.

    `item`: the object that stays until all objects below `prefixes` are deleted. `until`: when sites or a person can
    put objects there, if they can.
    """

    item: Object
    prefixes: tuple[str, ...]
    until: datetime | None


async def delete_leftovers(hub: Context, place: NamespacedName, live_uid: str | None) -> datetime | None:
    """Deletes what belongs to rounds that are gone and had this name. `live_uid`: of the round that a live GET has just
    shown.

    First the keys of all these rounds go, and sites and Jobs are stopped, for which no store is needed. One object of
    each round stays until the round's objects in the store are deleted: if a call breaks off, the next one finds by it
    what to do. Returns until when sites can put objects, if they can. Then the caller has to call again. Raises
    ApiError, and the first StoreError after it has tried each round.
    """
    left = hub.gone.left(place, live_uid)
    stopped: list[Memory] = []
    with_results: set[str] = set()
    for uid, numbers in left.items():
        made = await read_all(hub.client, uid, numbers)
        if made.result is not None:
            hub.gone.add_result(place, uid)
            with_results.add(uid)
        tasks = await hub.client.list("RoundTask", everywhere=True, labels=f"{names.ROUND_UID}={uid}")
        if items := [*tasks, *made.objects()]:
            logger.info(
                "round %s/%s with UID %s is gone: the hub operator deletes the objects that are left of it", *place, uid
            )
            stopped.append(await _stop(hub, uid, items, has_result=made.result is not None))
    until = await delete_remembered(hub, stopped)
    if until is None:
        for uid in left:
            # The controller of results may have deleted the result meanwhile. If it does so later, it calls for this.
            if uid not in with_results or not await hub.client.get_if_exists("Secret", names.model_secret(uid)):
                await register.remove(hub.client, uid)
            hub.gone.deleted(place, uid)
    return until


async def _stop(hub: Context, uid: str, items: Objects, *, has_result: bool) -> Memory:
    """Deletes what is left of one round, except a Secret that can be emptied, or what there is."""
    *first, last = sorted(items, key=_worth)
    until = puts_until(each["metadata"].get("annotations", {}) for each in items)
    noted = read_time(last["metadata"].get("annotations", {}).get(names.PUTS_UNTIL, ""))
    until = max((each for each in (until, noted) if each), default=None)
    if _can_be_emptied(last):
        await note(hub.client, last, {names.PUTS_UNTIL: to_seconds(until)} if until else {}, emptied=True)
    for item in first:
        await delete_made(hub, item)
    # Without a result, the models are of an aggregation whose result was never kept.
    models = () if has_result else (names.models_prefix(uid),)
    return Memory(last, (names.updates_prefix(uid), *models), until)


async def delete_remembered(hub: Context, memories: Sequence[Memory]) -> datetime | None:
    """Deletes what the store has of each, then the objects that remember it. The caller has emptied all keys before: a
    store that hangs takes the time of the whole look.

    Returns until when somebody can put objects, if anybody can. Then the caller has to call again. Raises ApiError, and
    the first StoreError: of a store that hangs at once, and of another one after each has been tried.
    """
    times: list[datetime] = []
    failure: StoreError | None = None
    ends = look_ends()
    for each in memories:
        now = hub.clock()
        try:
            for prefix in each.prefixes:
                await delete_stored(hub, prefix, ends)
        except StoreError as error:
            failure = failure or error
            if error.reason == TOO_SLOW:
                break  # each further one would hold the worker as long again
            continue
        if each.until and now < each.until and _can_be_emptied(each.item):
            times.append(each.until)
        else:
            await delete_made(hub, each.item)
    if failure:
        raise failure
    return min(times, default=None)


def _can_be_emptied(item: Object) -> bool:
    return item["kind"] == "Secret" and not item.get("immutable")


def _worth(item: Object) -> int:
    """How good a memory an object is: a plan with keys is none, since it cannot be emptied."""
    if item["kind"] != "Secret":
        return 1
    return 0 if item.get("immutable") else 2


async def delete_made(hub: Context, item: Object) -> None:
    """Deletes an object that the hub made, unless somebody else has, or it is another one by now."""
    meta = item["metadata"]
    await hub.client.delete_if_exists(item["kind"], meta["name"], meta["namespace"], uid=meta["uid"])
