"""The crash sweep of a FederatedModel: the hub operator stops after each write to the API server, and the end is equal.

Real operators train two series, compare the second version with the first one, deliver both, and measure both on test
rows.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import demo_data
from tests.conditions import condition, is_true
from tests.simulation.apiserver import Place, Server
from tests.simulation.client import Client
from tests.simulation.federation import HUB_NAMESPACE, Federation
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_model import ALL_TASKS, FEDERATION, model
from wardround.api.names import BEGIN, ROUND_UID
from wardround.kube.errors import Unavailable
from wardround.ports import Object

HOSPITALS = demo_data.HOSPITALS[:2]
NAMES = [each.name for each in HOSPITALS]
MODEL = Place("FederatedModel", FEDERATION, "breast")
# Each part of the writes is one play, in which the hub operator stops after each write of the part.
PARTS = 5
# Virtual seconds until the next process of the hub operator starts, and until it has nothing left to do.
AWAY_SECONDS, SETTLED_SECONDS = 2.0, 30.0


@dataclass
class Writes:
    """The writes of all processes of the hub operator, once `counts` is set. A process stops after each write of
    `last`. `digests`: all results that a round has had. `rounds`: names of rounds, by UID and by the digits of it that
    are in names of other objects."""

    last: Collection[str] = ()
    counts: bool = False
    done: list[str] = field(default_factory=list)
    digests: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    rounds: dict[str, str] = field(default_factory=dict)

    def add(self, verb: str, answer: Object) -> bool:
        """Whether the process stops."""
        name, status = answer["metadata"]["name"], answer.get("status") or {}
        if digest := (status.get("result") or {}).get("digest"):
            self.digests[name].add(digest)
        if not self.counts:
            return False
        if (verb, answer["kind"]) == ("create", "FederatedRound"):
            self.rounds[answer["metadata"]["uid"]] = name
        if (verb, answer["kind"]) == ("create", "RoundTask"):
            self.rounds[name.rsplit("-", 2)[1]] = answer["spec"]["roundRef"]["name"]
        write = described(verb, answer)
        for digits, federated_round in self.rounds.items():
            write = write.replace(digits, federated_round)
        self.done.append(f"{write}, time {sum(each.startswith(f'{write}, time') for each in self.done) + 1}")
        return self.done[-1] in self.last


def described(verb: str, answer: Object) -> str:
    """A write in words that are equal in each play, but for UIDs."""
    meta, status = answer["metadata"], answer.get("status") or {}
    words = [verb, answer["kind"], meta.get("namespace", ""), meta["name"]]
    if verb == "status":
        words += [each["reason"] for each in status.get("conditions", ()) if each["status"] == "True"]
        rounds = (status.get("series") or {}).get("rounds", ())
        words += [f"{each['name']}={each.get('outcome', '')}" for each in rounds]
    return " ".join(words)


class MortalClient(Client):
    """One process of the hub operator at the API server. Its last write is done, and nothing comes after it."""

    writes: Writes
    stopped: asyncio.Event

    async def arrive(self, doing: str) -> str:
        account = await super().arrive(doing)
        if self.stopped.is_set():
            raise Unavailable(doing, "this process has stopped")
        return account

    async def _done(self, verb: str, answer: Object) -> None:
        if self.writes.add(verb, answer):
            self.stopped.set()
            # Until the process is cancelled: no answer comes.
            await asyncio.Future[None]()

    async def create(self, obj: Mapping[str, Any]) -> Object:
        answer: Object = await super().create(obj)
        await self._done("create", answer)
        return answer

    async def patch(self, kind: str, name: str, body: Mapping[str, Any], namespace: str | None = None) -> Object:
        answer: Object = await super().patch(kind, name, body, namespace)
        await self._done("patch", answer)
        return answer

    async def apply_status(self, observed: Mapping[str, Any], before: object, after: object) -> Object | None:
        answer: Object | None = await super().apply_status(observed, before, after)
        if answer is not None:
            await self._done("status", answer)
        return answer

    async def delete(self, kind: str, name: str, namespace: str | None = None, **conditions: Any) -> None:
        await super().delete(kind, name, namespace, **conditions)
        await self._done("delete", {"kind": kind, "metadata": {"namespace": namespace or "", "name": name}})


class TwiceClient(MortalClient):
    """Loses the answer to each create of a round or a version, and tries again: the answer is 409."""

    async def create(self, obj: Mapping[str, Any]) -> Object:
        answer: Object = await super().create(obj)
        return await super().create(obj) if obj["kind"] in ("FederatedRound", "ModelVersion") else answer


class LateClient(MortalClient):
    """Somebody else makes an object of the name right before the hub operator does: once a name of `taken`."""

    taken: set[str]

    async def create(self, obj: Mapping[str, Any]) -> Object:
        meta = obj["metadata"]
        if meta["name"] in self.taken:
            self.taken.remove(meta["name"])
            spec = {**obj["spec"], **({"roundUID": "another"} if obj["kind"] == "ModelVersion" else {})}
            of_another = {"name": meta["name"], "namespace": meta["namespace"]}
            self.at.create({"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": of_another, "spec": spec})
        return await super().create(obj)


class MortalFederation(Federation):
    """Where a process of the hub operator stops, another one takes its place. `kind`: of their clients."""

    def __init__(self, loop: VirtualLoop, folder: Path, writes: Writes, kind: type[MortalClient]) -> None:
        super().__init__(loop, folder, ALL_TASKS, 1, hospitals=HOSPITALS)
        self.writes = writes
        self.hub_client = kind
        self._stopped = asyncio.Event()

    def _client(self, server: Server, account: str, namespace: str, *, field_manager: str = "") -> Client:
        client = super()._client(server, account, namespace, field_manager=field_manager)
        if isinstance(client, MortalClient):
            client.writes, client.stopped = self.writes, self._stopped
        return client

    async def _run_operator(self) -> None:
        while True:
            self._stopped = asyncio.Event()
            process = asyncio.create_task(self._hub_operator().run())
            stop = asyncio.create_task(self._stopped.wait())
            try:
                await asyncio.wait((process, stop), return_when=asyncio.FIRST_COMPLETED)
                if process.done():
                    process.result()
            finally:
                for task in (process, stop):
                    task.cancel()
                await asyncio.wait((process, stop))
            await asyncio.sleep(AWAY_SECONDS)

    @property
    def model(self) -> Object:
        return self.hub.read(MODEL)

    async def taken(self, kind: str, name: str) -> None:
        """Until the condition of this kind says that another object has the name."""

        def holds() -> bool:
            known = condition(self.model, kind)
            return known is not None and known.reason == "NameTaken" and name in known.message

        await self.until(f"{name} is taken", holds)

    async def delivered(self, number: int) -> None:
        """Until the series of this number has a version, and the hospitals have it and have measured it."""

        def holds() -> bool:
            status = self.model.get("status") or {}
            series, delivery = status.get("series") or {}, status.get("delivery") or {}
            current = series.get("version") if series.get("number") == number else None
            done = all(is_true(self.model, each) for each in ("Delivered", "Tested"))
            return bool(current and current == delivery.get("version") and done)

        await self.until(f"version {number} is delivered, and measured on test rows", holds)


@dataclass
class End:
    """`made`: how often the hub operator has made each round, version and RoundTask. `jobs`: Jobs of each hospital.
    `keys`: Secrets of the hub with the private key of a round. `orphans`: RoundTasks and Jobs of rounds that are gone,
    and their entries in the register without a Secret. `unlisted`: rounds with Secrets and without an entry."""

    status: Object
    versions: dict[str, Object]
    rounds: dict[str, str]
    digests: dict[str, list[str]]
    made: Counter[tuple[str, ...]]
    jobs: dict[str, int]
    keys: list[str]
    orphans: list[str]
    unlisted: set[str]


def end(federation: MortalFederation) -> End:
    hub, status = federation.hub, federation.model["status"]
    series = status["series"]
    # Times, and the generation of the spec that a round was made from, depend on how long the hub operator was away.
    rounds = [{key: each[key] for key in each if key != "generation"} for each in series["rounds"]]
    kept = {key: status[key] for key in ("current", "versions", "served", "delivery", "testing")}
    versions = {each["metadata"]["name"]: each for each in hub.select("ModelVersion", FEDERATION)}
    creates = [each.split(",")[0].split() for each in federation.writes.done if each.startswith("create ")]
    made = [tuple(each[1:]) for each in creates if each[1] in ("FederatedRound", "ModelVersion", "RoundTask")]
    return End(
        status={**kept, "series": {**series, "rounds": rounds, "started": ""}},
        versions={
            name: {
                "spec": {**each["spec"], "roundUID": ""},
                "measured": [each["status"][key] for key in ("metrics", "verdict", "test")],
                "card": each["status"]["card"]["revision"],
                "ready": is_true(each, "Ready"),
                "owners": [owner["name"] for owner in each["metadata"].get("ownerReferences", ())],
            }
            for name, each in versions.items()
        },
        rounds={each["metadata"]["name"]: each["spec"]["task"] for each in hub.select("FederatedRound", FEDERATION)},
        digests={name: sorted(each) for name, each in federation.writes.digests.items()},
        made=Counter(made),
        jobs={
            name: sum((each.verb, each.place.kind) == ("create", "Job") for each in server.writes)
            for name, server in federation.sites.items()
        },
        keys=[
            each["metadata"]["name"]
            for each in hub.select("Secret", HUB_NAMESPACE, ROUND_UID)
            if {"privateKey", "plan.json"} & (each.get("data") or {}).keys()
        ],
        orphans=orphans(hub),
        unlisted=uids_of(hub, "Secret") - uids_of(hub, "ConfigMap"),
    )


def orphans(hub: Server) -> list[str]:
    live = {each["metadata"]["uid"] for each in hub.select("FederatedRound", None)}
    made = [each for kind in ("RoundTask", "Job") for each in hub.select(kind, None, ROUND_UID)]
    empty = uids_of(hub, "ConfigMap") - uids_of(hub, "Secret") - live
    return [*(each["metadata"]["name"] for each in made if each["metadata"]["labels"][ROUND_UID] not in live), *empty]


def uids_of(hub: Server, kind: str) -> set[str]:
    """UIDs of the rounds of which the hub has an object of this kind."""
    return {each["metadata"]["labels"][ROUND_UID] for each in hub.select(kind, HUB_NAMESPACE, ROUND_UID)}


def two_series() -> Object:
    """The smallest training, at two hospitals. Each model is evaluated before the next Train round. A gate compares the
    versions, and all hospitals get them."""
    item = model()
    spec = item["spec"]
    spec["round"] |= {"participants": {"names": NAMES}, "quorum": {"min": 2}}
    spec["series"]["parameters"]["steps"] = "1"
    return {**item, "spec": {**spec, "evaluation": {"every": 1}, "deliver": {"to": "Participants"}}}


def played(last: Collection[str] = (), kind: type[MortalClient] = MortalClient) -> tuple[End, list[str]]:
    """The end of two series, and all writes of the hub operator."""

    async def main(loop: VirtualLoop, folder: Path) -> tuple[End, list[str]]:
        federation = MortalFederation(loop, folder, Writes(last), kind)
        async with federation.running(demo_data.tables()):
            federation.writes.counts = True
            federation.apply(two_series())
            await federation.delivered(1)
            federation.hub.change(MODEL, {"metadata": {"annotations": {BEGIN: "another series"}}})
            await federation.delivered(2)
            await asyncio.sleep(SETTLED_SECONDS)
            return end(federation), federation.writes.done

    with scratch() as folder:
        return play(lambda loop: main(loop, Path(folder)))


def test_the_smallest_training_changes_no_round_of_other_tests() -> None:
    before = documents(OWN)
    two_series()
    assert documents(OWN) == before


@pytest.fixture(scope="module")
def whole() -> tuple[End, list[str]]:
    """The hub operator never stops."""
    return played()


@pytest.mark.parametrize("part", range(PARTS))
def test_the_end_is_equal_whatever_write_the_hub_operator_stops_after(whole: tuple[End, list[str]], part: int) -> None:
    ended, writes = whole
    # Events are best effort.
    last = [each for each in writes if not each.startswith("create Event")][part::PARTS]
    assert set(ended.made.values()) == {1}
    assert ended.keys == ended.orphans == []
    assert ended.unlisted == set()
    while last:
        stopped, done = played(last)
        assert stopped == ended
        # After a stop, one write can do what two did before. A write that is not done so has a play of its own.
        missing = [each for each in last if each not in done]
        assert len(missing) < len(last), missing
        last = missing


def test_each_round_of_a_series_has_one_event_that_says_how_it_ended(whole: tuple[End, list[str]]) -> None:
    """A round of a series so costs no more writes than one that a person has made: it has the model's status and the
    round itself to write, and a person's round has an Event for each step."""
    ended, writes = whole
    events = Counter(each.split()[3].split(".")[0] for each in writes if each.startswith("create Event"))
    rounds = [name for kind, _, name in ended.made if kind == "FederatedRound"]
    assert len(rounds) > 10
    assert {name: events[name] for name in rounds} == dict.fromkeys(rounds, 1)


def test_a_create_whose_answer_is_lost_makes_no_other_object(whole: tuple[End, list[str]]) -> None:
    ended, _ = played(kind=TwiceClient)
    assert ended == whole[0]


def test_an_object_that_somebody_makes_right_before_the_hub_operator_is_not_taken_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the name of a round, of the version, and of the delivery. The series goes on when it is deleted."""
    names = {
        "breast-s1-r1-00000000": ("FederatedRound", "Stalled"),
        "breast-v1-00000000": ("ModelVersion", "Stalled"),
        "breast-d1-00000000": ("FederatedRound", "Delivered"),
        "breast-t1-00000000": ("FederatedRound", "Tested"),
    }

    monkeypatch.setattr(LateClient, "taken", set(names), raising=False)

    async def main(loop: VirtualLoop, folder: Path) -> Counter[tuple[str, ...]]:
        federation = MortalFederation(loop, folder, Writes(), LateClient)
        async with federation.running(demo_data.tables()):
            federation.writes.counts = True
            federation.apply(two_series())
            for name, (kind, stalled) in names.items():
                await federation.taken(stalled, name)
                federation.hub.remove(Place(kind, FEDERATION, name))
            await federation.delivered(1)
            return end(federation).made

    with scratch() as folder:
        made = play(lambda loop: main(loop, Path(folder)))
    assert [made[kind, FEDERATION, name] for name, (kind, _) in names.items()] == [1, 1, 1, 1]
