"""A thief has the hub operator's token and copies of updates, and asks the API server for old revisions of keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.api.apiserver import Refused, account
from tests.integration.api.objects import FEDERATION, HUB
from tests.integration.hub.conftest import World
from tests.integration.hub.hospital import until
from tests.integration.hub.rounds import play_kubelet, sent_round, until_condition
from tests.integration.hub.test_after_the_end import copied
from tests.players.thief import keys_that_open
from wardround.api import names
from wardround.kube.resources import RESOURCES
from wardround.ports import Object

pytestmark = pytest.mark.asyncio(loop_scope="session")
HUB_OPERATOR = account(HUB, "hub-operator")
SECRETS = RESOURCES["Secret"]
# How the API server is to compare the revision of a request with its own.
MATCHES = ("Exact", "NotOlderThan")


def lists(revision: str, name: str) -> Iterator[str]:
    """Paths of requests that answer with old revisions of Secrets, if an account has the right."""
    for namespace in (HUB, FEDERATION, "site-a", None):
        for query in (
            "limit=500",
            f"resourceVersion={revision}&resourceVersionMatch=Exact",
            f"resourceVersion={revision}&resourceVersionMatch=Exact&fieldSelector=metadata.name={name}",
            f"watch=true&resourceVersion={revision}&timeoutSeconds=1",
            f"watch=true&resourceVersion={revision}&timeoutSeconds=1&fieldSelector=metadata.name={name}",
        ):
            yield f"{SECRETS.path(namespace)}?{query}"
    yield f"/api/v1/watch/namespaces/{HUB}/secrets/{name}?resourceVersion={revision}&timeoutSeconds=1"


def read_by_name(world: World, name: str, revision: str) -> list[Object]:
    """All that the thief gets of one Secret."""
    answers = []
    for query in ("", "=0", f"={revision}", *(f"={revision}&resourceVersionMatch={each}" for each in MATCHES)):
        path = SECRETS.path(HUB, name) + (f"?resourceVersion{query}" if query else "")
        with suppress(Refused):
            answers.append(world.admin.call("GET", path, user=HUB_OPERATOR))
    return answers


async def test_no_right_of_the_hub_operator_reads_a_deleted_key(world: World, tmp_path: Path) -> None:
    uid = await sent_round(world, "old-revisions", tmp_path)
    plan = names.aggregation_name(uid, 1)

    async def planned() -> bool:
        return await world.client.get_if_exists("Secret", plan) is not None

    await until(planned, "the plan, which holds the key too")
    update = await copied(world, await world.hospitals["site-a"].task("old-revisions"))
    revision = world.admin.call("GET", f"{SECRETS.path(HUB)}?limit=1")["metadata"]["resourceVersion"]
    await play_kubelet(world, uid)
    await until_condition(world, "old-revisions", "Complete", "Complete")

    async def deleted() -> bool:
        return world.keys(uid) == [names.model_secret(uid)]

    await until(deleted, "the key and the plan are deleted")
    # The control: an account that may list Secrets gets the deleted keys.
    path = f"{SECRETS.path(HUB)}?resourceVersion={revision}&resourceVersionMatch=Exact"
    old = {each["metadata"]["name"]: each for each in world.admin.call("GET", path)["items"]}
    for name in (plan, names.round_secret(uid)):
        assert keys_that_open(update.update, update.ciphertext, [old[name]])
        for request in lists(revision, name):
            with pytest.raises(Refused) as refusal:
                world.admin.call("GET", request, user=HUB_OPERATOR)
            assert refusal.value.status == 403
    read = {name: read_by_name(world, name, revision) for name in old}
    assert read["hub-signing-key"], "it reads Secrets by name"
    assert not read[plan]
    objects = [each for answers in read.values() for each in answers]
    assert keys_that_open(update.update, update.ciphertext, objects) == []
