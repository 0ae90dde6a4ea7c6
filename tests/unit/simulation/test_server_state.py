"""Rounds with a server optimizer, with the real operators: the state goes on from round to round, and stays at the hub.

One federation plays all rounds. `wardround simulate` makes the same models.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import demo_data, demo_rounds
from tests.conditions import is_true
from tests.simulation.apiserver import Place, Server
from tests.simulation.federation import HUB_NAMESPACE, Federation
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.virtual import VirtualLoop, play
from wardround.hub import vault
from wardround.kube.resources import RESOURCES
from wardround.ports import Object
from wardround.simulate.play import Finished
from wardround.simulate.play import play as simulate
from wardround.simulate.prepared import prepared
from wardround.wire import canonical

ADAM = {
    "strategy": "FedAdam",
    "parameters": {"serverLearningRate": "0.1", "beta1": "0.9", "beta2": "0.99", "tau": "0.001"},
}
OTHER_TAU = {**ADAM, "parameters": {**ADAM["parameters"], "tau": "0.01"}}  # type: ignore[dict-item]
KEY_BYTES = 32


def rounds() -> list[Object]:
    """Statistics and FedAvg, then FedAdam twice, and FedAdam with another parameter."""
    statistics, *training = documents(OWN)[:5]
    for each, aggregation in zip(training[1:], (ADAM, ADAM, OTHER_TAU), strict=True):
        each["spec"]["aggregation"] = copy.deepcopy(aggregation)
    return [statistics, *training]


@dataclass
class Played:
    """`rounds` as the API server had them at the end. `objects`: of all API servers, as text, without the Secrets of
    results. `keys`: of all moments. `before`, `after`: what the store held before and after a round was deleted, with
    the UID of that round. `forged`: a round whose base had the state of another result."""

    rounds: dict[str, Object]
    objects: str
    keys: list[bytes]
    before: set[str]
    after: set[str]
    deleted: str
    kept_secret: bool
    forged: Object


def secret_of(server: Server, uid: str) -> Object:
    return server.read(Place("Secret", HUB_NAMESPACE, f"model-{uid}"))


def everything(federation: Federation) -> str:
    servers = (federation.hub, *federation.sites.values())
    items = (item for server in servers for kind in RESOURCES for item in server.select(kind, None))
    return "".join(map(str, (each for each in items if not each["metadata"]["name"].startswith("model-"))))


async def main(loop: VirtualLoop, folder: Path) -> Played:
    federation = Federation(loop, folder, OWN, 1)
    async with federation.running(demo_data.tables()):
        federation.apply(*rounds())
        ended = {each["metadata"]["name"]: await federation.over(each["metadata"]["name"]) for each in rounds()}
        store = federation.store.stored.keys
        await federation.until("no update is left", lambda: all(key.startswith("models/") for key in store()))
        uids = {name: each["metadata"]["uid"] for name, each in ended.items()}
        secrets = {name: secret_of(federation.hub, uids[name]) for name in ("train-2", "train-3", "train-4")}
        joined = b"".join(vault.value(each, "serverStateKeys") for each in secrets.values())
        keys = [joined[start : start + KEY_BYTES] for start in range(0, len(joined), KEY_BYTES)]
        objects, before = everything(federation), set(store())
        # The last round has no follower. Somebody deletes it.
        federation.hub.remove(Place("FederatedRound", demo_rounds.NAMESPACE, "train-4"))
        await federation.until("its result is gone", lambda: not any(uids["train-4"] in key for key in store()))
        left = [each["metadata"]["name"] for each in federation.hub.select("Secret", HUB_NAMESPACE)]
        after = set(store())
        # Somebody gives one result the state of another one, which this hub has signed too.
        data = {name: secrets["train-2"]["data"][name] for name in ("serverState", "serverStateKeys")}
        federation.hub.change(Place("Secret", HUB_NAMESPACE, f"model-{uids['train-3']}"), {"data": data})
        forged = copy.deepcopy(rounds()[-1])
        forged["metadata"]["name"] = "train-9"
        federation.apply(forged)
        return Played(
            ended,
            objects,
            keys,
            before,
            after,
            uids["train-4"],
            f"model-{uids['train-4']}" in left,
            await federation.over("train-9"),
        )


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with scratch() as folder:
        yield play(lambda loop: main(loop, Path(folder)))


def message(item: Object, kind: str) -> str:
    return next(str(each["message"]) for each in item["status"]["conditions"] if each["type"] == kind)


def test_each_round_says_whether_it_goes_on_from_the_state_of_its_base(played: Played) -> None:
    assert all(is_true(each, "Complete") for each in played.rounds.values())
    messages = {name: message(each, "Complete") for name, each in played.rounds.items()}
    assert "server state" not in messages["train-1"]
    assert "FedAdam begins with a new state, because round train-1 has no server state." in messages["train-2"]
    assert "FedAdam continues with the state that round train-2 has left." in messages["train-3"]
    assert "because round train-3 was made with other aggregation.parameters." in messages["train-4"]


def test_simulate_makes_the_same_models(played: Played, tmp_path: Path) -> None:
    demo_data.write_folders(tmp_path)
    ended = simulate(prepared(rounds(), tmp_path, trainer=OWN.program))
    simulated = {each.name: each.result.digest for each in ended if isinstance(each, Finished)}
    assert simulated == {name: each["status"]["result"]["digest"] for name, each in played.rounds.items()}
    assert len(set(simulated.values())) == 5


def test_no_key_of_a_state_is_in_any_object_but_the_secret_of_its_result(played: Played) -> None:
    assert len(set(played.keys)) == 6
    for key in played.keys:
        assert canonical.encode(key)[:24] not in played.objects
        assert repr(key)[2:-1] not in played.objects


def test_a_state_goes_with_the_result_of_its_round(played: Played) -> None:
    gone = {key for key in played.before if played.deleted in key}
    assert sum("/moment-" in key for key in gone) == 4, "part and list of segments of two moments"
    assert played.after == played.before - gone
    assert not played.kept_secret
    assert any("moment-0" in key for key in played.after), "the states of other rounds stay"


def test_a_state_of_another_result_fails_the_round_before_anybody_trains(played: Played) -> None:
    assert is_true(played.forged, "Failed")
    assert (
        "The round cannot continue with the server state (the state of the server optimizer) of the result of round "
        "train-3" in message(played.forged, "Failed")
    )
    assert played.forged["status"]["participants"].get("accepted", 0) == 0
