"""The simulation's API server, store and event loop pass the tests of the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.api.test_client import (
    NAMESPACE,
    Connect,
    client,
    dataset,
    test_a_change_of_the_spec_raises_the_generation_and_the_version,
    test_a_created_object_has_uid_version_and_defaults_but_no_status,
    test_a_name_exists_only_once,
    test_a_status_update_needs_the_version_that_was_read,
    test_a_watch_lists_objects_and_then_their_changes,
    test_a_write_to_another_version_or_uid_is_refused,
    test_an_immutable_secret_keeps_its_data,
    test_lists_select_by_labels_and_name,
    test_nothing_is_created_in_a_missing_namespace,
    test_the_api_server_accepts_only_tokens_that_it_issued,
    test_the_api_server_refuses_an_unknown_field,
)
from tests.integration.store.test_store import (
    key,
    test_a_client_connects_only_to_the_pinned_origin,
    test_a_replayed_put_does_not_replace_the_object,
    test_a_url_expires,
    test_the_client_stores_and_reads_an_object_in_pieces,
    test_the_error_of_a_missing_object_contains_no_url,
    test_the_hub_lists_and_deletes_below_a_prefix,
    test_the_store_refuses_a_put_of_another_length,
    test_the_store_refuses_a_url_signed_with_another_secret,
)
from tests.players.store import Server as StoreServer
from tests.simulation.apiserver import Place, Server
from tests.simulation.client import Client
from tests.simulation.store import Objects, Opener
from tests.simulation.virtual import START, Stuck, VirtualLoop, play
from wardround.clock import system_clock
from wardround.kube.errors import Unauthorized
from wardround.ports import Object, Store
from wardround.presign import Credentials, Presigner
from wardround.store import admin

__all__ = [
    "client",
    "dataset",
    "key",
    "test_a_change_of_the_spec_raises_the_generation_and_the_version",
    "test_a_client_connects_only_to_the_pinned_origin",
    "test_a_created_object_has_uid_version_and_defaults_but_no_status",
    "test_a_name_exists_only_once",
    "test_a_replayed_put_does_not_replace_the_object",
    "test_a_status_update_needs_the_version_that_was_read",
    "test_a_url_expires",
    "test_a_watch_lists_objects_and_then_their_changes",
    "test_a_write_to_another_version_or_uid_is_refused",
    "test_an_immutable_secret_keeps_its_data",
    "test_lists_select_by_labels_and_name",
    "test_nothing_is_created_in_a_missing_namespace",
    "test_the_api_server_accepts_only_tokens_that_it_issued",
    "test_the_api_server_refuses_an_unknown_field",
    "test_the_client_stores_and_reads_an_object_in_pieces",
    "test_the_error_of_a_missing_object_contains_no_url",
    "test_the_hub_lists_and_deletes_below_a_prefix",
    "test_the_store_refuses_a_put_of_another_length",
    "test_the_store_refuses_a_url_signed_with_another_secret",
]


@pytest.fixture
def api() -> Server:
    server = Server("https://api.example", system_clock)
    server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    return server


@pytest.fixture
def connect(api: Server) -> Connect:
    return lambda token: Client(api, lambda: token, NAMESPACE, lambda: 0.0)


@pytest.fixture
def token(api: Server) -> str:
    return api.token(f"{NAMESPACE}:all", 3600)


@pytest.fixture
def server(tmp_path: Path) -> StoreServer:
    origin = "https://store.example:9000"
    return StoreServer(origin, "", Presigner(origin, "wardround", "us-east-1", Credentials("access", "word")), tmp_path)


@pytest.fixture
async def store(server: StoreServer) -> AsyncIterator[Store]:
    opener = Opener(Objects(server.presigner, system_clock), lambda: 0.0)
    async with opener(server.origin) as opened:
        await admin.ensure_bucket(opened, server.presigner, system_clock())
        yield opened


def test_time_jumps_to_the_next_timer_and_threads_take_no_time() -> None:
    async def main(loop: VirtualLoop) -> list[str]:
        times = []

        async def after(seconds: float) -> None:
            await asyncio.sleep(seconds)
            times.append(f"{seconds:.0f}")

        await asyncio.gather(after(86400), after(1), asyncio.to_thread(times.append, "at once"))
        assert loop.clock() == START + timedelta(days=1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 5)
        return times

    assert play(main) == ["at once", "1", "86400"]


def test_a_wait_without_a_timer_is_an_error() -> None:
    async def main(_: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        play(main)


def test_dependents_are_deleted_unless_they_have_another_owner() -> None:
    def owned(name: str, *uids: str) -> Object:
        owners = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid} for uid in uids]
        metadata = {"name": name, "namespace": NAMESPACE, "ownerReferences": owners}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}

    async def main(loop: VirtualLoop) -> list[str]:
        server = Server("https://api.example", loop.clock)
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        first, second = (server.create(owned(name))["metadata"]["uid"] for name in ("owner", "another"))
        child = server.create(owned("child", first))["metadata"]["uid"]
        server.create(owned("grandchild", child))
        server.create(owned("shared", first, second))
        server.remove(Place("ConfigMap", NAMESPACE, "owner"))
        await asyncio.sleep(5)
        return sorted(each["metadata"]["name"] for each in server.select("ConfigMap", NAMESPACE))

    assert play(main) == ["another", "shared"]


def test_a_token_expires() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server("https://api.example", loop.clock)
        token = server.token("site-a:site", 60)
        own = Client(server, lambda: token, NAMESPACE, lambda: 0.0)
        assert await own.list("ConfigMap") == []
        await asyncio.sleep(60)
        with pytest.raises(Unauthorized):
            await own.list("ConfigMap")

    play(main)
