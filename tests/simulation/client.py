"""The ports `Api` and `Watcher` on an API server in memory. Each call takes some virtual time, so calls interleave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from tests.simulation.apiserver import Follower, Place, Server, thawed
from wardround.api.times import to_seconds
from wardround.clock import Clock
from wardround.kube.controller import gone
from wardround.kube.errors import AlreadyExists, Conflict, NotFound, Unavailable
from wardround.kube.patch import merge_patch
from wardround.kube.resources import RESOURCES
from wardround.ports import Api, Object, Objects, OnObject, TokenSource

# After a watch could not begin.
RETRY_SECONDS = 0.5
# How long a call is on its way, in seconds.
Latency = Callable[[], float]


class Client:
    """One account at one server."""

    def __init__(
        self,
        at: Server,
        token: TokenSource,
        namespace: str,
        latency: Latency,
        *,
        field_manager: str = "",
        strict: bool = True,
    ) -> None:
        self.at = at
        self.token = token
        self.namespace = namespace
        self.ca_pem = ""
        self._latency = latency
        self._manager = field_manager
        self._strict = strict
        self._closed = False

    @property
    def server(self) -> str:
        return self.at.url

    async def close(self) -> None:
        self._closed = True

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        await self.arrive(f"get {kind} {name}")
        return self.at.read(self._place(kind, namespace, name))

    async def get_if_exists(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        try:
            return await self.get(kind, name, namespace)
        except NotFound:
            return None

    async def list(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> Objects:
        await self.arrive(f"list {kind}")
        return self.at.select(kind, None if everywhere else namespace or self.namespace, labels, fields)

    async def each(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = ""
    ) -> AsyncIterator[Object]:
        for item in await self.list(kind, namespace, everywhere=everywhere, labels=labels):
            yield item

    async def create(self, obj: Mapping[str, Any]) -> Object:
        account = await self.arrive(f"post {obj['kind']}")
        item = {**obj, "metadata": {"namespace": self.namespace, **obj["metadata"]}}
        return self.at.create(item, account, self._manager)

    async def create_if_absent(self, obj: Mapping[str, Any]) -> bool:
        try:
            await self.create(obj)
        except AlreadyExists:
            return False
        return True

    async def patch(self, kind: str, name: str, body: Mapping[str, Any], namespace: str | None = None) -> Object:
        account = await self.arrive(f"patch {kind} {name}")
        place = self._place(kind, namespace, name)
        return self.at.change(place, body, account=account, manager=self._manager, strict=self._strict)

    async def apply_status(self, observed: Mapping[str, Any], before: object, after: object) -> Object | None:
        change = merge_patch(before, after)
        if change == {}:
            return None
        meta = observed["metadata"]
        account = await self.arrive(f"patch {observed['kind']} {meta['name']} status")
        body = {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}, "status": change}
        place = self._place(observed["kind"], meta.get("namespace"), meta["name"])
        return self.at.change(
            place, body, subresource="status", account=account, manager=self._manager, strict=self._strict
        )

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        account = await self.arrive(f"delete {kind} {name}")
        self.at.remove(self._place(kind, namespace, name), uid=uid, version=resource_version, account=account)

    async def delete_if_exists(
        self, kind: str, name: str, namespace: str | None = None, *, uid: str | None = None
    ) -> bool:
        try:
            await self.delete(kind, name, namespace, uid=uid)
        except NotFound:
            return False
        except Conflict:
            if uid is None:
                raise
            return False
        return True

    async def create_token(self, service_account: str, seconds: int, namespace: str | None = None) -> Object:
        await self.arrive(f"post ServiceAccount {service_account} token")
        token = self.at.token(f"{namespace or self.namespace}:{service_account}", seconds)
        expires = to_seconds(self.at.clock() + timedelta(seconds=seconds))
        return {"status": {"token": token, "expirationTimestamp": expires}}

    async def watch(
        self, kind: str, namespace: str | None = None, *, everywhere: bool = False, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        await self.arrive(f"watch {kind}")
        follower = Follower(kind, None if everywhere else namespace or self.namespace, labels, fields)
        self.at.follow(follower)
        try:
            yield "LISTING", {}
            for item in self.at.select(kind, follower.namespace, labels, fields):
                yield "ADDED", item
            yield "LISTED", {}
            while True:
                event, frozen = await follower.events.get()
                await asyncio.sleep(self._latency())
                yield event, thawed(frozen)
        finally:
            self.at.leave(follower)

    async def arrive(self, doing: str) -> str:
        """Whose call it is, once it has arrived. A test that refuses or delays connections overrides this."""
        await asyncio.sleep(self._latency())
        if self._closed:
            raise Unavailable(doing, "this client was closed")
        return self.at.account(self.token(), doing)

    def _place(self, kind: str, namespace: str | None, name: str) -> Place:
        return Place(kind, (namespace or self.namespace) if RESOURCES[kind].namespaced else "", name)


# Makes the client of an operator or courier. Takes what `Client` takes.
Connect = Callable[..., Client]


class Watcher:
    """Follows some kinds, in exact namespaces or everywhere."""

    def __init__(
        self,
        client: Api,
        kinds: Iterable[str],
        on_object: OnObject,
        *,
        namespaces: tuple[str, ...] | None,
        clock: Clock,
    ) -> None:
        self._client = client
        self._clock = clock
        self._on_object = on_object
        self._waited = {(kind, namespace) for kind in kinds for namespace in namespaces or (None,)}
        self._watches = sorted(self._waited, key=str)

    @property
    def missing(self) -> str:
        return ", ".join(sorted(kind for kind, _ in self._waited))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for kind, namespace in self._watches:
                group.create_task(self._follow(kind, namespace))

    async def _follow(self, kind: str, namespace: str | None) -> None:
        while True:
            with suppress(Unavailable):
                await self._follow_once(kind, namespace)
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow_once(self, kind: str, namespace: str | None) -> None:
        async for event, item in self._client.watch(kind, namespace, everywhere=namespace is None):
            if event == "LISTED":
                self._waited.discard((kind, namespace))
            elif event != "LISTING":
                self._on_object(kind, gone(item, self._clock()) if event == "DELETED" else item)
