"""Which events show no more than a controller's own status write."""

from __future__ import annotations

import pytest

from wardround.kube.controller import Key
from wardround.kube.errors import Conflict
from wardround.kube.own_writes import OwnWrites
from wardround.ports import Object

KEY = Key("FederatedModel", "breast-cancer", "breast")


def item(version: int) -> Object:
    return {"metadata": {"namespace": KEY.namespace, "name": KEY.name, "resourceVersion": str(version)}}


class Controller:
    """`woken`: the keys that were to be looked at again. `during`: versions of events that arrive during a write."""

    def __init__(self) -> None:
        self.woken: list[Key] = []
        self.writes = OwnWrites(self.woken.append)

    async def write(self, answer: Object | Exception | None, *during: int) -> None:
        async def writing() -> Object | None:
            for version in during:
                assert self.writes.shown_by(KEY, item(version)), "it is judged after the write"
            if isinstance(answer, Exception):
                raise answer
            return answer

        await self.writes.write(KEY, writing())


async def test_the_event_of_an_own_write_is_known_and_others_are_not() -> None:
    controller = Controller()
    assert not controller.writes.shown_by(KEY, item(1))
    await controller.write(item(2))
    assert not controller.writes.shown_by(KEY, item(3)), "somebody else has changed it"
    assert controller.writes.shown_by(KEY, item(2))
    assert not controller.writes.shown_by(KEY, item(2)), "it is listed once more"
    assert controller.woken == []


async def test_the_late_event_of_an_earlier_own_write_is_known() -> None:
    controller = Controller()
    await controller.write(item(2))
    await controller.write(item(3), 2)
    assert controller.woken == []
    assert controller.writes.shown_by(KEY, item(3))


async def test_an_event_that_overtakes_the_answer_to_its_write_is_known() -> None:
    controller = Controller()
    await controller.write(item(2), 2)
    assert controller.woken == []
    assert not controller.writes.shown_by(KEY, item(2)), "it is listed once more"


async def test_a_write_that_was_not_needed_forgets_no_event_that_is_still_to_come() -> None:
    controller = Controller()
    await controller.write(item(2))
    await controller.write(None)
    assert controller.writes.shown_by(KEY, item(2))


@pytest.mark.parametrize("during", [(3,), (2, 3)])
async def test_a_change_by_others_during_a_write_wakes_the_controller(during: tuple[int, ...]) -> None:
    controller = Controller()
    await controller.write(item(2), *during)
    assert controller.woken == [KEY]


async def test_an_event_during_a_write_that_was_not_needed_or_failed_wakes_the_controller() -> None:
    controller = Controller()
    await controller.write(None, 5)
    with pytest.raises(Conflict):
        await controller.write(Conflict("patch", "409"), 6)
    assert controller.woken == [KEY, KEY]


async def test_nothing_is_kept_of_an_object_that_is_gone() -> None:
    controller = Controller()
    await controller.write(item(2))
    controller.writes.forget(KEY)
    assert not controller.writes.shown_by(KEY, item(2))
