"""Keys and bytes of a round that is gone do not outlive a restart of the hub operator behind a live namesake."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from tests.simulation.apiserver import Place, Read
from tests.simulation.hub import FEDERATION as NAMESPACE_OF_ROUNDS
from tests.simulation.hub import NAMESPACE, LoneHub
from tests.simulation.store import Let
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.results import enter, entries, leave_result, result
from tests.unit.plans_hub.builders import UID
from wardround.api import names
from wardround.api.times import to_seconds
from wardround.hub import rounds
from wardround.hub.rounds import LATE_PUTS_SECONDS
from wardround.store.errors import MISSING, REFUSED, StoreError


def test_a_restarted_operator_deletes_the_result_of_a_gone_round_that_has_a_namesake() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        hub.enrol("site-a", suspend=True)
        leave_result(hub)  # was kept for a round that is over by now
        # The namesake has started, has asked nobody and so has left nothing of its own.
        hub.apply_round("train-0", ["site-a"], deadlines={"admissionSeconds": 86400, "totalSeconds": 604800})
        started = {"timeline": [{"stage": "Started", "time": to_seconds(loop.clock())}]}
        place = Place("FederatedRound", NAMESPACE_OF_ROUNDS, "train-0")
        hub.server.change(place, {"status": started}, subresource="status")
        async with hub.running():
            await asyncio.sleep(3 * 3600)  # three times LEFTOVERS_SECONDS
            assert result(hub) is None
            assert not hub.store.stored
            assert not entries(hub)

    play(main)


LATE = f"{names.updates_prefix(UID)}1/site-a"


def remember_puts(hub: LoneHub, until: datetime) -> None:
    """The emptied Secret of the key of a round that is gone, as the process before has left it: the updates are to be
    deleted once more."""
    annotations = {**names.round_ref(NAMESPACE_OF_ROUNDS, "train-0"), names.PUTS_UNTIL: to_seconds(until)}
    labels = names.round_labels("train-0", UID)
    metadata = {"name": names.round_secret(UID), "namespace": NAMESPACE, "labels": labels, "annotations": annotations}
    hub.server.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    enter(hub, "train-0")


def test_late_uploads_of_a_gone_round_go_within_a_minute_of_the_end_of_its_grants() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        until = loop.clock() + timedelta(minutes=30)
        remember_puts(hub, until)
        async with hub.running():
            await asyncio.sleep(300)
            hub.store.stored[LATE] = b"sent after the round was deleted"
            await asyncio.sleep((until - loop.clock()).total_seconds() - 1)
            assert hub.server.select("Secret", NAMESPACE, names.ROUND_UID), "a site can still send"
            await asyncio.sleep(LATE_PUTS_SECONDS + 10)
            assert not hub.store.stored
            assert not hub.server.select("Secret", NAMESPACE, names.ROUND_UID)
            assert not entries(hub)

    play(main)


def test_the_search_for_gone_rounds_reads_nothing_of_a_round_whose_sites_can_still_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds, "LEFTOVERS_SECONDS", 60)

    async def main(loop: VirtualLoop) -> list[Read]:
        hub = LoneHub(loop)
        remember_puts(hub, loop.clock() + timedelta(minutes=30))
        async with hub.running():
            hub.server.reads.clear()
            await asyncio.sleep(300)
            return hub.server.reads

    reads = play(main)
    assert sum(each.kind == "ConfigMap" for each in reads) >= 4, "it searches"
    assert {each.kind for each in reads} & {"Secret", "FederatedRound"} == {"FederatedRound"}
    assert sum(each.kind == "FederatedRound" for each in reads) == sum(each.kind == "ConfigMap" for each in reads)


def test_a_restarted_operator_deletes_the_late_uploads_of_a_gone_round_that_has_a_namesake() -> None:
    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        hub.enrol("site-a", suspend=True)
        remember_puts(hub, loop.clock())
        hub.store.stored[LATE] = b"sent after the round was deleted"
        hub.apply_round("train-0", ["site-a"], deadlines={"admissionSeconds": 86400, "totalSeconds": 604800})
        started = {"timeline": [{"stage": "Started", "time": to_seconds(loop.clock())}]}
        place = Place("FederatedRound", NAMESPACE_OF_ROUNDS, "train-0")
        hub.server.change(place, {"status": started}, subresource="status")
        async with hub.running():
            await asyncio.sleep(3 * 3600)
            assert not hub.store.stored

    play(main)


OLDER = "1b6b5a4e-9f5c-4a4e-8f0a-3a4d1c2b9e78"


def test_while_the_store_is_away_the_keys_of_all_results_of_a_name_go() -> None:
    """Both rounds train-0 were deleted while no operator ran."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        leave_result(hub)
        metadata = {
            "name": names.model_secret(OLDER),
            "namespace": NAMESPACE,
            "labels": names.round_labels("train-0", OLDER),
            "annotations": names.round_ref(NAMESPACE_OF_ROUNDS, "train-0"),
        }
        hub.server.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"dataKey": "AA=="}})
        enter(hub, "train-0", OLDER)

        def away(method: str, let: Let) -> bytes:
            raise StoreError(MISSING, 503)

        hub.store.answer = away  # type: ignore[method-assign]
        async with hub.running():
            await asyncio.sleep(600)
            secrets = hub.server.select("Secret", NAMESPACE, fields="")
            left = [each["metadata"]["name"] for each in secrets if (each.get("data") or {}).get("dataKey")]
            assert left == []

    play(main)


@pytest.mark.parametrize("refuses", ["the first", "all"])
def test_the_keys_of_all_gone_namesakes_go_while_the_store_refuses_the_list_of_one_round(refuses: str) -> None:
    """Two rounds train-0 were deleted while no operator ran. Each left its key, the newer one also a Job."""

    async def main(loop: VirtualLoop) -> None:
        hub = LoneHub(loop)
        for uid in (OLDER, UID):
            labels, annotations = names.round_labels("train-0", uid), names.round_ref(NAMESPACE_OF_ROUNDS, "train-0")
            metadata = {"namespace": NAMESPACE, "labels": labels, "annotations": annotations}
            secret = {"apiVersion": "v1", "kind": "Secret", "data": {"privateKey": "AA=="}}
            hub.server.create(secret | {"metadata": {**metadata, "name": names.round_secret(uid)}})
            enter(hub, "train-0", uid)
            job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {}}
            hub.server.create(job | {"metadata": {**metadata, "name": names.aggregation_name(uid, 0)}})
            hub.store.stored[f"{names.updates_prefix(uid)}1/site-a"] = b"an update"
        honest = hub.store.answer

        def answer(method: str, let: Let) -> bytes:
            if refuses == "all" or names.updates_prefix(OLDER) in str(let):
                raise StoreError(REFUSED, 403)
            return honest(method, let)

        hub.store.answer = answer  # type: ignore[method-assign]
        async with hub.running():
            await asyncio.sleep(600)
            secrets = hub.server.select("Secret", NAMESPACE, fields="")
            assert [each["metadata"]["name"] for each in secrets if (each.get("data") or {}).get("privateKey")] == []
            assert hub.server.select("Job", NAMESPACE, fields="") == []
            left = sorted(key.split("/")[1] for key in hub.store.stored)
            assert left == ([OLDER] if refuses == "the first" else sorted([OLDER, UID]))

    play(main)
