"""Keeps all objects of one kind in memory, as a watch shows them. What it answers may be some seconds old.

It uses the client's own watch, not Kopf: docs/changing.md says why there are two ways to watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

from wardround.api.meta import Meta
from wardround.clock import Draw
from wardround.kube.errors import ApiError
from wardround.kube.retries import Retries
from wardround.ports import Api, Object, OnObject
from wardround.wire.codec import Malformed


class HasMeta(Protocol):
    """A parsed object of any of our kinds."""

    @property
    def metadata(self) -> Meta: ...


class NamespacedName(NamedTuple):
    """Where an object lies."""

    namespace: str
    name: str


T = TypeVar("T", bound=HasMeta)


class Index(Generic[T]):
    """All objects of `kind`, in all namespaces."""

    def __init__(self, client: Api, kind: str, parse: Callable[[Object], T], draw: Draw) -> None:
        self._client = client
        self._kind = kind
        self._parse = parse
        self._draw = draw
        self._objects: dict[NamespacedName, T] = {}
        # While a list is read: the objects that were known before, and of which there is no news yet.
        self._unseen: set[NamespacedName] = set()
        self._complete = asyncio.Event()

    @property
    def missing(self) -> str:
        """What readiness still waits for: the first list."""
        return "" if self._complete.is_set() else f"the first list of {self._kind} at {self._client.server}"

    async def objects(self) -> Mapping[NamespacedName, T]:
        """All of them, once the first list is complete. An incomplete list cannot show which objects do not exist."""
        await self._complete.wait()
        return self._objects

    def put(self, item: Object) -> None:
        """Takes an object that the API server has just answered, unless a newer one is known."""
        place, fresh = place_of(item), self._parse(item)
        self._unseen.discard(place)
        known = self._objects.get(place)
        if known is None or version_of(known.metadata) < version_of(fresh.metadata):
            self._objects[place] = fresh

    def drop(self, place: NamespacedName) -> None:
        """The API server has just answered that there is no such object."""
        self._objects.pop(place, None)

    async def refresh(self, place: NamespacedName) -> None:
        """Asks the API server for one object. Raises ApiError."""
        known = self._objects.get(place)
        item = await self._client.get_if_exists(self._kind, place.name, place.namespace)
        if item is None:
            self.drop(place)
        else:
            self._confirm(item, known)

    async def refresh_selected(self, labels: Mapping[str, str]) -> None:
        """Asks the API server for all objects with these labels. Raises ApiError."""
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        before = dict(self._objects)
        live = await self._client.list(self._kind, everywhere=True, labels=selector)
        for item in live:
            self._confirm(item, before.get(place_of(item)))
        known = {place for place, each in self._objects.items() if labels.items() <= each.metadata.labels.items()}
        for place in known - set(map(place_of, live)):
            await self.refresh(place)

    def _confirm(self, item: Object, known: T | None) -> None:
        """Takes an answer to a question that was asked when `known` was known. Versions decide only if another object
        came meanwhile: they begin anew when people restore the API server from a backup."""
        if self._objects.get(place_of(item)) is known:
            self._unseen.discard(place_of(item))
            self._objects[place_of(item)] = self._parse(item)
        else:
            self.put(item)

    async def run(self, on_object: OnObject) -> None:
        """Runs without end. Calls `on_object` for each object that is listed or changes, as a watch does."""
        retries = Retries(self._draw)
        while True:
            try:
                async for event, item in self._client.watch(self._kind, everywhere=True):
                    retries.succeeded()
                    self._take(event, item, on_object)
            except (ApiError, Malformed) as failure:
                await retries.wait(failure)

    def _take(self, event: str, item: Object, on_object: OnObject) -> None:
        if event == "LISTING":
            self._unseen = set(self._objects)
            return
        if event == "LISTED":
            self._drop_unseen(on_object)
            self._complete.set()
            return
        if event != "DELETED":
            self.put(item)
        elif (known := self._objects.get(place_of(item))) and version_of(known.metadata) <= version_of(
            self._parse(item).metadata
        ):
            self.drop(place_of(item))
        on_object(self._kind, item)

    def _drop_unseen(self, on_object: OnObject) -> None:
        """After a list: objects that were deleted while no watch was open had no event, and are not in the list."""
        for place in self._unseen & self._objects.keys():
            self.drop(place)
            on_object(self._kind, {"metadata": {"namespace": place.namespace, "name": place.name}})
        self._unseen.clear()


def place_of(item: Object) -> NamespacedName:
    return NamespacedName(item["metadata"]["namespace"], item["metadata"]["name"])


def annotations_of(item: Object) -> Mapping[str, str]:
    notes: Mapping[str, str] = item["metadata"].get("annotations") or {}
    return notes


def version_of(meta: Meta) -> int:
    """Versions of one kind are decimal numbers that grow (KEP-5504)."""
    return int(meta.resource_version)
