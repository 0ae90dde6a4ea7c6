"""What our code relies on of an API server, asked through its client. tests/unit/simulation asks its own the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api import objects
from tests.integration.api.apiserver import Api as Admin
from wardround.clock import system_draw
from wardround.kube.client import Client
from wardround.kube.errors import AlreadyExists, Conflict, Invalid, NotFound, Unauthorized, Unavailable
from wardround.ports import Api, Object

NAMESPACE = "client"
Connect = Callable[[str], Api]


@pytest.fixture
async def connect(api: Admin) -> AsyncIterator[Connect]:
    """Creates clients, each with one token."""
    made: list[Client] = []

    def client(token: str) -> Api:
        made.append(Client(api._host, authority(api), lambda: token, NAMESPACE, draw=system_draw))
        return made[-1]

    yield client
    for each in made:
        await each.close()


@pytest.fixture
def token(api: Admin) -> str:
    """A client of an account with all rights."""
    with contextlib.suppress(Exception):
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "all", "namespace": NAMESPACE}})
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "client-all"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "all", "namespace": NAMESPACE}],
        }
        api.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/all/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    api.await_right(f"system:serviceaccount:{NAMESPACE}:all", "delete", "datasets.wardround.io", NAMESPACE)
    return str(api.call("POST", path, body)["status"]["token"])


@pytest.fixture
def client(connect: Connect, token: str) -> Api:
    return connect(token)


@pytest.fixture
async def dataset(client: Api) -> AsyncIterator[Object]:
    """An object with defaults, a generation and a status subresource."""
    made = await client.create(objects.dataset(NAMESPACE, "one"))
    yield made
    await client.delete_if_exists("Dataset", "one")


def authority(api: Admin) -> str:
    return Path(api._client.configuration.ssl_ca_cert).read_text()


def config(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "1"}}


async def test_a_created_object_has_uid_version_and_defaults_but_no_status(client: Api) -> None:
    item = {**objects.dataset(NAMESPACE, "made"), "status": {"observedGeneration": 7}}
    made = await client.create(item)
    meta = made["metadata"]
    assert (meta["generation"], len(meta["uid"]), meta["namespace"]) == (1, 36, NAMESPACE)
    assert made["spec"]["format"] == "CSV"
    assert made["spec"]["split"] == {"validation": "0.15", "test": "0.2"}
    assert "observedGeneration" not in made["status"]
    assert [each["type"] for each in made["status"]["conditions"]] == ["Reconciling"]
    assert await client.get("Dataset", "made") == made
    await client.delete("Dataset", "made", uid=meta["uid"])
    with pytest.raises(NotFound):
        await client.get("Dataset", "made")


async def test_a_name_exists_only_once(client: Api, dataset: Object) -> None:
    with pytest.raises(AlreadyExists):
        await client.create(objects.dataset(NAMESPACE, "one"))
    assert not await client.create_if_absent(objects.dataset(NAMESPACE, "one"))


async def test_nothing_is_created_in_a_missing_namespace(client: Api) -> None:
    """The answer names the namespace, so it does not refuse this object for ever."""
    with pytest.raises(Unavailable):
        await client.create(objects.dataset("nowhere", "one"))


async def test_the_api_server_refuses_an_unknown_field(client: Api, dataset: Object) -> None:
    item = objects.dataset(NAMESPACE, "strange")
    item["spec"]["fields"][0]["colour"] = "red"
    with pytest.raises(Invalid):
        await client.create(item)
    with pytest.raises(Unavailable):  # The answer does not name the object.
        await client.patch("Dataset", "one", {"spec": {"colour": "red"}})


async def test_a_change_of_the_spec_raises_the_generation_and_the_version(client: Api, dataset: Object) -> None:
    first = dataset["metadata"]
    noted = await client.patch("Dataset", "one", {"metadata": {"annotations": {"a": "b"}}})
    assert noted["metadata"]["generation"] == first["generation"]
    assert noted["metadata"]["resourceVersion"] != first["resourceVersion"]
    same = await client.patch("Dataset", "one", {"metadata": {"annotations": {"a": "b"}}})
    assert same["metadata"]["resourceVersion"] == noted["metadata"]["resourceVersion"]
    changed = await client.patch("Dataset", "one", {"spec": {"path": "other.csv"}})
    assert changed["metadata"]["generation"] == first["generation"] + 1
    gone = await client.patch("Dataset", "one", {"metadata": {"annotations": {"a": None}}})
    assert not gone["metadata"].get("annotations")


async def test_a_write_to_another_version_or_uid_is_refused(client: Api, dataset: Object) -> None:
    await client.patch("Dataset", "one", {"metadata": {"annotations": {"a": "b"}}})
    seen = {"resourceVersion": dataset["metadata"]["resourceVersion"]}
    with pytest.raises(Conflict):
        await client.patch("Dataset", "one", {"metadata": seen, "spec": {"path": "other.csv"}})
    with pytest.raises(Invalid):
        await client.patch("Dataset", "one", {"metadata": {"uid": "0" * 36}, "spec": {"path": "other.csv"}})
    with pytest.raises(Conflict):
        await client.delete("Dataset", "one", uid="0" * 36)


async def test_a_status_update_needs_the_version_that_was_read(client: Api, dataset: Object) -> None:
    assert await client.apply_status(dataset, {"rows": 1}, {"rows": 1}) is None
    written = await client.apply_status(dataset, {}, {"observedGeneration": 1})
    assert written is not None
    assert written["status"]["observedGeneration"] == 1
    assert written["metadata"]["generation"] == dataset["metadata"]["generation"]
    assert written["spec"] == dataset["spec"]
    with pytest.raises(Conflict):
        await client.apply_status(dataset, {}, {"observedGeneration": 2})
    ignored = await client.patch("Dataset", "one", {"status": {"observedGeneration": 3}})
    assert ignored["status"] == written["status"]


async def test_an_immutable_secret_keeps_its_data(client: Api) -> None:
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fixed"}, "immutable": True}
    made = await client.create({**secret, "stringData": {"key": "value"}})
    assert made["data"] == {"key": "dmFsdWU="}
    with pytest.raises(Invalid):
        await client.patch("Secret", "fixed", {"data": {"key": "b3RoZXI="}})
    await client.patch("Secret", "fixed", {"metadata": {"annotations": {"a": "b"}}})
    await client.delete("Secret", "fixed")


async def test_lists_select_by_labels_and_name(client: Api) -> None:
    for item in (config("x", a="1", b="1"), config("y", a="2"), config("z")):
        await client.create(item)

    async def listed(labels: str = "", fields: str = "") -> list[str]:
        listed = await client.list("ConfigMap", labels=labels, fields=fields)
        return sorted(each["metadata"]["name"] for each in listed)

    assert {"x", "y", "z"} <= set(await listed())
    assert await listed(labels="a=1") == ["x"]
    assert await listed(labels="a") == ["x", "y"]
    assert await listed(labels="a,b=1") == ["x"]
    assert await listed(fields="metadata.name=z") == ["z"]
    everywhere = await client.list("ConfigMap", everywhere=True, labels="a=2")
    assert [(each["kind"], each["metadata"]["namespace"]) for each in everywhere] == [("ConfigMap", NAMESPACE)]
    assert [each["metadata"]["name"] async for each in client.each("ConfigMap", labels="b")] == ["x"]
    for name in "xyz":
        await client.delete("ConfigMap", name)


async def test_a_watch_lists_objects_and_then_their_changes(client: Api) -> None:
    await client.create(config("before", watched="yes"))
    events = list[tuple[str, str]]()
    listed = asyncio.Event()

    async def follow() -> None:
        async for event, item in client.watch("ConfigMap", labels="watched=yes"):
            events.append((event, item.get("metadata", {}).get("name", "")))
            if event == "LISTED":
                listed.set()
            if events[-1] == ("DELETED", "after"):
                return

    following = asyncio.create_task(follow())
    await asyncio.wait_for(listed.wait(), 30)
    await client.create(config("other"))
    await client.create(config("after", watched="yes"))
    await client.patch("ConfigMap", "after", {"data": {"a": "2"}})
    # The watcher gets DELETED for an object that loses the label.
    await client.patch("ConfigMap", "before", {"metadata": {"labels": {"watched": None}}})
    await client.patch("ConfigMap", "other", {"metadata": {"labels": {"watched": "yes"}}})
    await client.delete("ConfigMap", "after")
    await asyncio.wait_for(following, 30)
    assert events == [
        ("LISTING", ""),
        ("ADDED", "before"),
        ("LISTED", ""),
        ("ADDED", "after"),
        ("MODIFIED", "after"),
        ("DELETED", "before"),
        ("ADDED", "other"),
        ("DELETED", "after"),
    ]
    for name in ("before", "other"):
        await client.delete("ConfigMap", name)


async def test_the_api_server_accepts_only_tokens_that_it_issued(client: Api, connect: Connect) -> None:
    answer = await client.create_token("all", 3600)
    fresh = connect(answer["status"]["token"])
    assert await fresh.list("ConfigMap", labels="nobody") == []
    with pytest.raises(Unauthorized):
        await connect("e30.e30.guessed").get("ConfigMap", "x")
