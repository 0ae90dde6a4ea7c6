"""Rounds whose aggregation begins while they collect, with the real operators: the models of `wardround simulate`.

The last hospital is slow, so the aggregation waits for it.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import demo_data
from tests.conditions import is_true
from tests.simulation.apiserver import Place, Server, Write
from tests.simulation.client import Client
from tests.simulation.federation import HUB_NAMESPACE, HUB_URL, Federation, Process
from tests.simulation.kubelet import Node
from tests.simulation.programs import Programs
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.store import Objects, Opener, SimulatedStore
from tests.simulation.virtual import VirtualLoop, play
from wardround.kube.errors import Unavailable
from wardround.ports import Object
from wardround.simulate.containers import Container
from wardround.simulate.play import Finished
from wardround.simulate.play import play as simulate
from wardround.simulate.prepared import prepared
from wardround.store.errors import UNREACHABLE, StoreError

SLOW, HOSTILE = demo_data.HOSPITALS[-1].name, demo_data.HOSPITALS[0].name
# More manifests than a Job that begins early takes from three hospitals.
REWRITES = 6
# Statistics, first weights, and training from them. The second one never begins early.
ROUNDS = documents(OWN)[:3]
NAMES = [each["metadata"]["name"] for each in ROUNDS]


class SlowPrograms(Programs):
    """Each container takes ten seconds more."""

    async def run(self, container: Container) -> int:
        await asyncio.sleep(10)
        return await super().run(container)


class DyingPrograms(Programs):
    """The pod of an aggregation that began early dies after five seconds, without an answer."""

    async def run(self, container: Container) -> int:
        if container.job["metadata"]["name"].endswith("-0"):
            await asyncio.sleep(5)
            return 137
        return await super().run(container)


class EarlyFederation(Federation):
    """`hub_programs` run in the pods of the hub. The last hospital is slow."""

    hub_programs: type[Programs] = Programs

    def _node(self, name: str, server: Server) -> Node:
        node = super()._node(name, server)
        kind = self.hub_programs if name == "hub" else SlowPrograms if name == SLOW else Programs
        programs = kind(node.programs.images, node.programs.open_store, node.programs.clock)
        return Node(node.server, node.claims, node.pods, programs, node.watched)


class DyingFederation(EarlyFederation):
    hub_programs = DyingPrograms


class StumblingClient(Client):
    """Loses the answer of each write, the first time that it is made. So the hub operator stops after it."""

    stumbled: set[str] = set()  # noqa: RUF012 - of one play

    async def _stumble(self, place: str, call: Awaitable[Any]) -> Any:
        answer = await call
        if place not in self.stumbled:
            self.stumbled.add(place)
            raise Unavailable(place, "the answer is lost")
        return answer

    async def create(self, obj: Mapping[str, Any]) -> Object:
        place = f"create {obj['kind']} {obj['metadata'].get('namespace')} {obj['metadata']['name']}"
        made: Object = await self._stumble(place, super().create(obj))
        return made

    async def patch(self, kind: str, name: str, body: Mapping[str, Any], namespace: str | None = None) -> Object:
        place = f"patch {kind} {namespace} {name} {body.get('metadata')}"
        made: Object = await self._stumble(place, super().patch(kind, name, body, namespace))
        return made


class StumblingObjects(Objects):
    """Loses the answer of each PUT of a page of a list that grows."""

    stumbled: set[str] = set()  # noqa: RUF012 - of one play

    def write(self, key: str, headers: Mapping[str, str], data: bytes) -> bool:
        stored = super().write(key, headers, data)
        if "/lists/0-" in key and stored and key not in self.stumbled:
            self.stumbled.add(key)
            raise StoreError(UNREACHABLE)
        return stored


class StumblingFederation(EarlyFederation):
    """Its hub operator stops after each write."""

    hub_client = StumblingClient

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.store = StumblingObjects(self._signer, self._clock)
        self._open_store = Opener(self.store, self._latency)


class RewritingFederation(EarlyFederation):
    """A hospital writes new manifests for the update of each of its tasks: each time the same one with a space more."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.written: dict[str, int] = {}

    def _install_hub(self) -> list[Process]:
        return [*super()._install_hub(), self._rewrite()]

    async def _rewrite(self) -> None:
        account = f"{HOSTILE}:site"
        while True:
            await asyncio.sleep(1)
            for task in self.hub.select("RoundTask", HOSTILE):
                name, update = task["metadata"]["name"], (task.get("status") or {}).get("update")
                if update and self.written.setdefault(name, 0) < REWRITES:
                    self.written[name] += 1
                    body = {"status": {"update": {**update, "manifest": update["manifest"] + " "}}}
                    place = Place("RoundTask", HOSTILE, name)
                    self.hub.change(place, body, subresource="status", account=account, manager="wardround-site")


class UpgradingClient(Client):
    """Reads the plans of aggregations as if another version of the hub operator had made them. `changed`: how."""

    changed: Callable[[dict[str, Any]], None]

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        item: Object = await super().get(kind, name, namespace)
        if kind == "Secret" and name.startswith("aggregate-"):
            plan = json.loads(base64.b64decode(item["data"]["plan.json"]))
            type(self).changed(plan)
            item["data"]["plan.json"] = base64.b64encode(json.dumps(plan).encode()).decode()
        return item


class UpgradingFederation(EarlyFederation):
    hub_client = UpgradingClient


class FullFederation(EarlyFederation):
    """A ResourceQuota of the hub's namespace admits no Job that begins early. `messages`: of the rounds meanwhile."""

    messages: set[str] = set()  # noqa: RUF012 - of one play

    def __init__(self, loop: VirtualLoop, *arguments: Any, **more: Any) -> None:
        super().__init__(loop, *arguments, hub=Server(HUB_URL, loop.clock, refuses=self._refuses), **more)

    def _refuses(self, write: Write) -> str:
        rounds = self.hub.select("FederatedRound", None) if write.place.kind == "FederatedRound" else []
        conditions = [each for item in rounds for each in item["status"]["conditions"]]
        self.messages.update(each["message"] for each in conditions if each["reason"] == "Collecting")
        full = (write.verb, write.place.kind, write.place.name[-2:]) == ("create", "Job", "-0")
        return "exceeded quota" if full else ""


@dataclass
class Played:
    """`digests` and `numbers` of the aggregation, by round. `pages`: how many pages each list had. `jobs`: names of the
    Jobs of the hub."""

    digests: dict[str, str]
    numbers: dict[str, int]
    pages: dict[str, int]
    jobs: list[str]
    left: list[str]


def played(kind: type[Federation], early_seconds: int) -> Played:
    async def main(loop: VirtualLoop, folder: Path) -> Played:
        federation = kind(loop, folder, OWN, 1, early_seconds=early_seconds)
        async with federation.running(demo_data.tables()):
            federation.apply(*documents(OWN)[:3])
            ended = {name: await federation.over(name) for name in NAMES}
            assert all(is_true(each, "Complete") for each in ended.values()), ended
            keys = federation.store.stored.keys
            await federation.until("no update is left", lambda: all(key.startswith("models/") for key in keys()))
            results = {name: each["status"]["result"] for name, each in ended.items()}
            uids = {name: each["metadata"]["uid"] for name, each in ended.items()}
            secrets = federation.hub.select("Secret", HUB_NAMESPACE)
            return Played(
                digests={name: each["digest"] for name, each in results.items()},
                numbers={name: int(each["location"].rpartition("/")[2]) for name, each in results.items()},
                pages={
                    name: sum(key.startswith(f"updates/{uid}/lists/0-") for key in federation.store.ever)
                    for name, uid in uids.items()
                },
                jobs=[each["metadata"]["name"] for each in federation.hub.select("Job", HUB_NAMESPACE)],
                left=[
                    each["metadata"]["name"] for each in secrets if each["metadata"]["name"].startswith("aggregate-")
                ],
            )

    with scratch() as folder:
        return play(lambda loop: main(loop, Path(folder)))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of rounds whose updates are read at closing."""
    folder = tmp_path_factory.mktemp("folders")
    demo_data.write_folders(folder)
    ended = simulate(prepared(ROUNDS, folder, trainer=OWN.program))
    return {each.name: each.result.digest for each in ended if isinstance(each, Finished)}


def test_reading_early_makes_the_models_of_reading_at_closing(simulated: dict[str, str]) -> None:
    early = played(EarlyFederation, 3600)
    assert early.digests == simulated
    statistics, first, second = NAMES
    assert early.numbers == {statistics: 0, first: 1, second: 0}
    assert early.pages[first] == 0
    assert min(early.pages[statistics], early.pages[second]) >= 2
    assert early.left == []


@pytest.mark.parametrize(("kind", "early_seconds"), [(DyingFederation, 3600), (EarlyFederation, 4)])
def test_a_job_that_ends_before_closing_changes_no_model(
    simulated: dict[str, str], kind: type[Federation], early_seconds: int
) -> None:
    """Its pod dies, or the last hospital takes longer than the Job may wait."""
    early = played(kind, early_seconds)
    assert early.digests == simulated
    assert set(early.numbers.values()) == {1}
    assert sum(each.endswith("-0") for each in early.jobs) == 2
    assert sum(each.endswith("-1") for each in early.jobs) == 3
    assert early.left == []


def test_a_hub_operator_that_stops_after_each_write_makes_the_same_models(simulated: dict[str, str]) -> None:
    early = played(StumblingFederation, 3600)
    assert early.digests == simulated
    assert set(early.numbers.values()) <= {0, 1}
    assert early.left == []


def test_a_store_that_does_not_answer_while_a_round_collects_makes_no_look_fail(
    simulated: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not answer the first PUT of each list for a day, which is longer than a round has."""
    silent: set[str] = set()
    honest = SimulatedStore.put_bytes

    async def put_bytes(self: SimulatedStore, url: str, headers: Mapping[str, str], data: bytes) -> bool:
        round_of_page, is_page, _ = url.partition("/lists/0-")
        if is_page and round_of_page not in silent:
            silent.add(round_of_page)
            await asyncio.sleep(86400)
        return await honest(self, url, headers, data)

    monkeypatch.setattr(SimulatedStore, "put_bytes", put_bytes)
    early = played(EarlyFederation, 3600)
    assert len(silent) == 2
    assert caplog.text.count("could not list updates: StoreTooSlow") == 2
    assert "could not list updates for" not in caplog.text  # the words of a look that failed
    assert early.digests == simulated
    statistics, first, second = NAMES
    assert early.numbers == {statistics: 0, first: 1, second: 0}
    assert early.left == []


def _of_another_version(plan: dict[str, Any]) -> None:
    plan["later"] = 1
    plan["listed"]["later"] = plan["store"]["later"] = {}
    del plan["compression"]


def _with_another_list(plan: dict[str, Any]) -> None:
    plan["listed"].pop("collects")


@pytest.mark.parametrize(("changed", "number"), [(_of_another_version, 0), (_with_another_list, 1)])
def test_an_upgrade_of_the_hub_operator_while_a_round_collects_changes_no_model(
    simulated: dict[str, str], monkeypatch: pytest.MonkeyPatch, changed: Callable[[dict[str, Any]], None], number: int
) -> None:
    """The plan has other fields than this version knows. Without a list that this version can read, another Job
    combines the updates."""
    monkeypatch.setattr(UpgradingClient, "changed", staticmethod(changed), raising=False)
    early = played(UpgradingFederation, 3600)
    assert early.digests == simulated
    statistics, first, second = NAMES
    assert early.numbers == {statistics: number, first: 1, second: number}
    assert early.left == []


def test_a_quota_that_refuses_the_early_job_lets_the_round_go_on(
    simulated: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    FullFederation.messages.clear()
    full = played(FullFederation, 3600)
    assert full.digests == simulated
    assert set(full.numbers.values()) == {1}
    assert "could not start aggregation 0" not in caplog.text  # the words of a look that failed
    assert "no aggregation can begin early: post Job" in caplog.text
    assert any("The aggregation has not begun early" in each for each in FullFederation.messages)
    assert full.left == []


def test_a_hospital_that_writes_its_manifest_again_and_again_ends_the_early_job_and_changes_no_model(
    simulated: dict[str, str],
) -> None:
    """The aggregation at closing has one update of each hospital."""
    early = played(RewritingFederation, 3600)
    assert early.digests == simulated
    assert set(early.numbers.values()) == {1}
    assert sum(each.endswith("-0") for each in early.jobs) == 2
    assert early.left == []
