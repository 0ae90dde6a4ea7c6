"""A transfer ends with its time, also if no hub operator ran until then."""

from __future__ import annotations

import asyncio

from tests.simulation.apiserver import Place
from tests.simulation.hub import FEDERATION, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from wardround.ports import Object

SECONDS = 600


def ask(hub: LoneHub) -> None:
    """A person asks for the model of a round that is not there."""
    spec = {"roundName": "train-1", "publicKey": "A" * 1624, "requestedBy": "rita", "seconds": SECONDS}
    metadata = {"name": "pull-1", "namespace": FEDERATION}
    hub.server.create(
        {"apiVersion": "wardround.io/v1alpha1", "kind": "ModelTransfer", "metadata": metadata, "spec": spec}
    )


def transfer(hub: LoneHub) -> Object | None:
    items = hub.server.select("ModelTransfer", FEDERATION, fields="metadata.name=pull-1")
    return items[0] if items else None


def failed(item: Object) -> str:
    [reason] = [each["reason"] for each in item["status"]["conditions"] if each["type"] == "Failed"]
    return str(reason)


def test_an_answered_transfer_stays_until_its_time_is_over_and_is_then_deleted() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            ask(hub)
            await hub.settle()
            answered = transfer(hub)
            assert answered is not None
            assert failed(answered) == "TransferWithoutResult"
            await asyncio.sleep(SECONDS - 60)
            assert transfer(hub) is not None
            await asyncio.sleep(90)
            assert transfer(hub) is None

    play(main)


def test_a_transfer_whose_time_was_over_before_the_hub_operator_came_is_deleted() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        ask(hub)
        await asyncio.sleep(SECONDS + 1)
        assert transfer(hub) is not None
        async with hub.running():
            assert transfer(hub) is None

    play(main)


def test_a_transfer_that_a_person_has_deleted_is_no_fault() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            ask(hub)
            hub.server.remove(Place("ModelTransfer", FEDERATION, "pull-1"))
            await asyncio.sleep(SECONDS + 60)
            assert transfer(hub) is None

    play(main)
