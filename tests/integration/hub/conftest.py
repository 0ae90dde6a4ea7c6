"""The hub operator itself, with its own account, at a real API server with the chart's rights, and at a real store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest_asyncio

from tests.integration.api.apiserver import HOSPITAL_MANAGER, Api, Refused
from tests.integration.api.objects import HUB, OURS, PARTICIPANTS, hub_values
from tests.integration.cluster import Helm, authority, free_port, token
from tests.integration.hub.hospital import Hospital, until
from tests.players.store import Server
from wardround.api import names
from wardround.clock import system_draw
from wardround.hub.operator import serve
from wardround.hub.settings import Settings
from wardround.kube.client import Client
from wardround.kube.resources import RESOURCES
from wardround.ports import Object


@dataclass
class World:
    """A running hub, the administrator, and hospitals that are enrolled, published and approved. `client` has the
    rights of the hub operator. `restart` takes settings that change."""

    admin: Api
    client: Client
    hospitals: dict[str, Hospital]
    server: Server
    restart: Callable[..., Awaitable[None]]

    def secrets(self, uid: str) -> list[Object]:
        """The Secrets of a round, for the administrator: the hub operator may not list Secrets."""
        listed = self.admin.call("GET", f"{RESOURCES['Secret'].path(HUB)}?labelSelector={names.ROUND_UID}={uid}")
        return list(listed["items"])

    def keys(self, uid: str) -> list[str]:
        """Names of the Secrets of a round that hold something."""
        return [each["metadata"]["name"] for each in self.secrets(uid) if each.get("data")]


def as_account(api: Api, namespace: str, account: str, manager: str = "") -> Client:
    account_token = token(api, namespace, account)
    return Client(api._host, authority(api), lambda: account_token, namespace, manager, draw=system_draw)


def store_settings(api: Api, server: Server) -> Settings:
    """What the hub's chart tells its operator, with this store and its key pair."""
    credentials = {"accessKey": "test-access", "secretKey": "test-secret"}
    meta = {"name": "store-credentials", "namespace": HUB}
    with contextlib.suppress(Refused):
        api.delete("Secret", "store-credentials", HUB)
    api.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": credentials})
    return Settings(
        namespace=HUB,
        image=OURS,
        store_origin=server.origin,
        store_internal=server.origin,
        store_region="us-east-1",
        store_bucket="wardround",
        store_ca=server.ca,
    )


class Running:
    """The hub operator, to be stopped and started like its pod."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self._api, self._settings = api, settings
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        client = as_account(self._api, HUB, "hub-operator", "wardround-hub")
        self._task = asyncio.create_task(serve(self._settings, client, free_port()))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def restart(self, **changes: Any) -> None:
        await self.stop()
        self._settings = replace(self._settings, **changes)
        await self.start()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(api: Api, helm: Helm, server: Server) -> AsyncIterator[World]:
    helm.install("wardround-hub", "hub", HUB, hub_values(server.origin))
    settings = store_settings(api, server)
    running = Running(api, settings)
    await running.start()
    client = as_account(api, HUB, "hub-operator")
    try:

        async def published() -> str | None:
            fingerprint: str | None = (await client.get("ConfigMap", "wardround-hub"))["data"].get("fingerprint")
            return fingerprint

        pinned = await until(published, "the hub's ConfigMap")
        hospitals = {
            name: Hospital(name, as_account(api, name, "site", HOSPITAL_MANAGER), pinned) for name in PARTICIPANTS
        }
        for hospital in hospitals.values():
            await hospital.publish()
            spec = {"spec": {"keyFingerprint": hospital.fingerprint}}
            api.patch("Participant", hospital.name, spec, hospital.name)
        yield World(api, client, hospitals, server, running.restart)
        for hospital in hospitals.values():
            await hospital.client.close()
    finally:
        await running.stop()
        await client.close()
