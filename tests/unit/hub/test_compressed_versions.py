"""Which sites the hub operator asks about a version: a site of an earlier release knows no compression."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.apiserver import Place
from tests.simulation.hub import LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.test_models import (
    HOSPITALS,
    MODEL,
    begin_series,
    complete_delivery,
    complete_short_series,
    model_status,
    shown,
)
from wardround.wire.assignment import COMPRESSION_SINCE
from wardround.wire.compression import Compression


def know_no_compression(hub: LoneHub, hospitals: list[str]) -> None:
    for name in hospitals:
        versions = {"site": {"assignmentVersions": [COMPRESSION_SINCE - 1]}}
        hub.server.change(Place("Participant", name, name), {"status": versions}, subresource="status")


def test_sites_that_know_no_compression_are_asked_to_measure_a_version_on_test_rows() -> None:
    """The version has none either: its round has sent first weights."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            know_no_compression(hub, HOSPITALS)
            template = {"aggregation": {"compression": "Int8"}}
            await complete_short_series(hub, {"round": template})
            assert shown(hub, "Tested")[:2] == ("False", "VersionTesting")
            name = model_status(hub)["testing"]["round"]
            assert list(hub.tasks(name)) == HOSPITALS

    play(main)


@pytest.mark.parametrize(("trained_with", "edited"), [("None", "Int8"), ("Int8", "None")])
def test_a_hospital_that_joins_gets_a_version_by_the_compression_with_which_it_was_made(
    trained_with: Compression, edited: str
) -> None:
    """A site that knows no compression cannot read the card of a version that has one."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await complete_short_series(hub, {"deliver": {"to": "Participants"}}, "a card", trained_with)
            complete_delivery(hub, loop)
            await hub.settle()
            hub.enrol("site-c")
            know_no_compression(hub, ["site-c"])
            joined = {"names": [*HOSPITALS, "site-c"]}
            change = {"round": {"aggregation": {"compression": edited}, "participants": joined}}
            hub.server.change(MODEL, {"spec": change})
            await hub.settle()
            newest = model_status(hub)["delivery"]["round"]
            assert list(hub.tasks(newest)) == (["site-c"] if trained_with == "None" else HOSPITALS)

    play(main)


def test_a_site_that_cannot_read_the_card_of_a_version_is_asked_to_measure_it_and_gets_no_delivery() -> None:
    """The hub operator decides about both in one look."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            know_no_compression(hub, ["site-b"])
            change = {"deliver": {"to": "Participants"}, "round": {"deadlines": {"admissionSeconds": 600}}}
            await complete_short_series(hub, change, "a card", "Int8")
            await asyncio.sleep(600)  # the delivery waits for the site that its model names
            await hub.settle()
            complete_delivery(hub, loop)
            await hub.settle()
            status = model_status(hub)
            assert list(hub.tasks(status["testing"]["round"])) == HOSPITALS
            assert list(hub.tasks(status["delivery"]["round"])) == ["site-a"]

    play(main)
