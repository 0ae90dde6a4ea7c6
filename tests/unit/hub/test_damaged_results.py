"""A Secret with the result of a version that somebody has damaged: the model of the version goes on without it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from tests.simulation.apiserver import Place
from tests.simulation.hub import FEDERATION, NAMESPACE, LoneHub
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
from wardround.api import federatedround, names

DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    "no result": ("result", lambda data: None),
    "a result that is cut": ("result", lambda data: data[:40]),
    "a result that is no JSON": ("result", lambda data: b"\xff\x00"),
    "a result that is a list": ("result", lambda data: b"[1]"),
    "a result with another compression": ("result", lambda data: data.replace(b'"Int8"', b'"Int4"')),
    # Python's JSON reader gives such a text up with an error of its own.
    "a result in 100,000 lists": ("result", lambda data: b"[" * 100_000),
    "no manifest": ("manifest", lambda data: None),
    "a manifest of nobody": ("manifest", lambda data: b"{}"),
    "no key": ("dataKey", lambda data: None),
}


def damage(hub: LoneHub, name: str) -> None:
    """Damages the Secret of the version that is delivered."""
    key, change = DAMAGES[name]
    [version] = hub.server.select("ModelVersion", FEDERATION)
    place = Place("Secret", NAMESPACE, names.model_secret(version["spec"]["roundUID"]))
    [data] = [each["data"] for each in hub.server.select("Secret", NAMESPACE) if each["metadata"]["name"] == place.name]
    changed = change(base64.b64decode(data[key]))
    hub.server.change(place, {"data": {key: base64.b64encode(changed).decode() if changed is not None else None}})


@pytest.mark.parametrize("name", DAMAGES)
def test_a_model_goes_on_though_the_result_that_it_delivers_is_damaged(name: str) -> None:
    """Hospital C joins, and nobody can say which compression the version has."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        async with hub.running():
            begin_series(hub, HOSPITALS)
            await complete_short_series(hub, {"deliver": {"to": "Participants"}}, "a card", "Int8")
            complete_delivery(hub, loop)
            await hub.settle()
            damage(hub, name)
            hub.enrol("site-c")
            joined = {"names": [*HOSPITALS, "site-c"]}
            hub.server.change(MODEL, {"spec": {"round": {"participants": joined}}})
            await hub.settle()
            delivery = model_status(hub)["delivery"]
            assert delivery["recipients"] == ["site-c"]
            made = federatedround.parse(hub.round(delivery["round"]))
            [failed] = [each for each in made.status.conditions if each.type == "Failed"]
            assert (failed.status, failed.reason) == ("True", "BaseLost")
            assert f"round {made.metadata.name} has failed (BaseLost)" in shown(hub, "Delivered")[2]

    play(main)
