"""Somebody deletes the Job of an aggregation, or a quota does not admit it: what the hub operator makes then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.conditions import condition
from tests.players.pods import ended, pod_of
from tests.simulation.apiserver import Place
from tests.simulation.client import Client
from tests.simulation.hub import NAMESPACE, LoneHub
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.hub.test_made import IN_THE_ROUND, aggregate, ask, enrolled, jobs, numbers, tasks_of, uid_of
from tests.unit.hub.test_round_tasks import send
from tests.unit.plans_hub.builders import combined
from wardround.api import names
from wardround.api.times import to_seconds
from wardround.kube.errors import Forbidden, Unavailable
from wardround.ports import Object


class FullClient(Client):
    """A quota admits no Job. `tried`: how often somebody has made one."""

    full = True
    tried = 0

    async def create(self, obj: Mapping[str, Any]) -> Object:
        if obj["kind"] == "Job" and type(self).full:
            type(self).tried += 1
            raise Forbidden("create Job", "exceeded quota")
        made: Object = await super().create(obj)
        return made


class AwayClient(Client):
    """The API server takes no Job, for example because an admission webhook is away."""

    away = False

    async def create(self, obj: Mapping[str, Any]) -> Object:
        if obj["kind"] == "Job" and type(self).away:
            raise Unavailable("create Job", "the webhook is away")
        made: Object = await super().create(obj)
        return made


def delete_job(hub: LoneHub, number: int) -> None:
    hub.server.remove(Place("Job", NAMESPACE, names.aggregation_name(uid_of(hub), number)))


def test_a_deleted_job_is_followed_by_one_with_another_number_and_the_round_says_so() -> None:
    """A Job of the same number would write to the same place, and would have URLs that may be over."""

    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            delete_job(hub, 1)
            await hub.settle()
            assert (jobs(hub), numbers(hub, "Secret")) == ([2], [1, 2])
            reconciling = condition(hub.round("train-1"), "Reconciling")
            assert reconciling is not None
            assert "This is try 2. Job" in reconciling.message
            assert (
                "is not there any more: a person has deleted it, or Kubernetes a day after its end."
                in reconciling.message
            )
            delete_job(hub, 2)
            await hub.settle()
            assert (jobs(hub), numbers(hub, "Secret")) == ([3], [2, 3])

    play(main)


def test_a_result_whose_key_somebody_has_deleted_is_made_again() -> None:
    """The Secret of the Job has the key. Without it, nobody can keep the result, and the round would wait for ever."""

    async def main(loop: VirtualLoop) -> None:
        hub = enrolled(loop)
        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            hub.server.remove(Place("Secret", NAMESPACE, names.aggregation_name(uid_of(hub), 1)))
            job = hub.server.read(Place("Job", NAMESPACE, names.aggregation_name(uid_of(hub), 1)))
            hub.server.create(pod_of(job))
            over = ended(combined(*IN_THE_ROUND), to_seconds(hub.server.clock()))
            place = Place("Pod", NAMESPACE, job["metadata"]["name"])
            hub.server.change(place, {"status": over}, subresource="status")
            await hub.settle()
            assert (jobs(hub), numbers(hub, "Secret")) == ([1, 2], [2])
            reconciling = condition(hub.round("train-1"), "Reconciling")
            assert reconciling is not None
            assert "This is try 2. Somebody has deleted Secret aggregate-" in reconciling.message

    play(main)


def test_a_job_that_a_quota_did_not_admit_keeps_its_number_and_leaves_no_plan() -> None:
    async def main(loop: VirtualLoop) -> None:
        FullClient.full, FullClient.tried = True, 0
        hub = enrolled(loop, FullClient)
        async with hub.running():
            await ask(hub)
            for task in tasks_of(hub):
                send(hub, task)
            await hub.settle()
            assert FullClient.tried > 1
            assert (jobs(hub), numbers(hub, "Secret")) == ([], [])
            FullClient.full = False
            await hub.settle()
            await hub.settle()
            assert (jobs(hub), numbers(hub, "Secret")) == ([1], [1])

    play(main)


def test_a_deleted_job_is_not_made_again_after_a_time_in_which_no_job_could_be_made() -> None:
    """The next one has a Secret by then, and no Job."""

    async def main(loop: VirtualLoop) -> None:
        AwayClient.away = False
        hub = enrolled(loop, AwayClient)
        async with hub.running():
            await ask(hub)
            await aggregate(hub)
            AwayClient.away = True
            delete_job(hub, 1)
            await hub.settle()
            assert (jobs(hub), numbers(hub, "Secret")) == ([], [1, 2])
            AwayClient.away = False
            await asyncio.sleep(300)
            await hub.settle()
            assert (jobs(hub), numbers(hub, "Secret")) == ([2], [1, 2])

    play(main)
