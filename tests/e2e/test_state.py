"""Training gets the state that it left at its hospital in the round before, unless that round left its update out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import volumes
from lab.topology import named
from tests.conditions import is_true
from tests.e2e import trail
from tests.e2e.carried import COMMAND, carried
from tests.e2e.clusters import eventually
from tests.e2e.federation import PARAMETERS, ROUND_SECONDS, Federation, Finished
from tests.e2e.played import Played, enrolled
from tests.e2e.troubles import change_a_byte, nothing_restarts
from tests.probes.findings import findings

Object = dict[str, Any]
# In the second round, the update of one of two real hospitals is changed in the store.
SOUND, TOUCHED = "site-b", "site-a"
BOTH = (SOUND, TOUCHED)
# The hospital where the built-in trainer works meanwhile.
BESIDE = "site-c"
OURS: Object = {"command": COMMAND, "parameters": carried(Path(trail.__file__).read_text("utf-8") + "\nmain()\n")}


@dataclass(frozen=True)
class Chain:
    """Three Train rounds, each from the round before, and an evaluation of the last model."""

    first: Finished
    second: Finished
    third: Finished
    evaluation: Finished


@pytest.fixture(scope="module", autouse=True)
def _steady(federation: Federation) -> Iterator[None]:
    with nothing_restarts(federation):
        yield


@pytest.fixture(scope="module")
def kept(federation: Federation) -> tuple[str, str]:
    """Names of two Train rounds, the second from the first, whose optimizer keeps what it has. Under way while other
    tests work."""
    keeps = {**PARAMETERS, "optimizer": "Adam", "optimizerState": "keep"}
    spec: Object = {"participants": {"names": [BESIDE]}, "parameters": keeps}
    first = federation.manifest("keeps-1", "Train", initial={}, **spec)
    second = federation.manifest("keeps-2", "Train", base={"roundName": first["metadata"]["name"]}, **spec)
    federation.apply(first, second)
    return first["metadata"]["name"], second["metadata"]["name"]


@pytest.fixture(scope="module")
def chain(federation: Federation, kept: tuple[str, str]) -> Chain:
    both = {"participants": {"names": list(BOTH)}}
    first = federation.run_round("state-1", "Train", initial={}, **OURS, **both)
    # A task without an answer keeps the round open until the sent update is changed.
    holds = federation.name("holds-open")
    with enrolled(federation, holds) as hospitals:
        everyone = {"participants": {"names": [*BOTH, holds]}, "quorum": {"min": 1, "graceSeconds": 600}}
        made = federation.manifest("state-2", "Train", base={"roundName": first.name}, **OURS, **everyone)
        federation.apply(made)
        name = made["metadata"]["name"]
        eventually("both have sent", lambda: _sent(federation, name, BOTH), ROUND_SECONDS)
        change_a_byte(federation, name, TOUCHED)
        _refuse(hospitals[holds], federation.tasks_of(name))
        second = federation.completed(name)
    third = federation.run_round("state-3", "Train", base={"roundName": second.name}, **OURS, **both)
    evaluation = federation.run_round("state-seen", "Evaluate", base={"roundName": third.name}, **OURS, **both)
    return Chain(first, second, third, evaluation)


def test_the_state_of_a_left_out_update_is_never_used(federation: Federation, chain: Chain) -> None:
    assert chain.second.attention(TOUCHED)["reason"] == "Altered"
    assert left(federation, TOUCHED, chain.second) == [chain.first.name, chain.second.name]
    assert left(federation, TOUCHED, chain.third) == [chain.first.name, chain.third.name]
    assert left(federation, SOUND, chain.third) == [chain.first.name, chain.second.name, chain.third.name]


def test_training_knows_the_round_of_its_state_and_cannot_change_the_state(
    federation: Federation, chain: Chain
) -> None:
    assert printed_state(federation, TOUCHED, chain.first) == {"stateRound": "", "trail": []}
    assert printed_state(federation, TOUCHED, chain.third)["stateRound"] == chain.first.uid
    assert printed_state(federation, SOUND, chain.third)["stateRound"] == chain.second.uid
    assert "NOT WRITTEN OSError" in log(federation, SOUND, chain.third)
    assert left(federation, SOUND, chain.second) == [chain.first.name, chain.second.name]


@pytest.mark.parametrize("site", BOTH)
def test_an_evaluation_reads_the_models_state_and_leaves_none(federation: Federation, chain: Chain, site: str) -> None:
    seen = printed_state(federation, site, chain.evaluation)
    assert seen == {"stateRound": chain.third.uid, "trail": left(federation, site, chain.third)}
    assert not (states(federation, site) / chain.evaluation.uid).exists()


def test_an_optimizer_continues_with_its_state(federation: Federation, kept: tuple[str, str]) -> None:
    first, second = map(federation.completed, kept)
    assert "state: no earlier round has left a state here" in log(federation, BESIDE, first)
    assert "state: Adam continues with its state of an earlier round" in log(federation, BESIDE, second)


def states(federation: Federation, site: str) -> Path:
    return volumes.folder_of(named(site), federation.site_namespace, "state") / "states"


def left(federation: Federation, site: str, round_: Finished) -> list[str]:
    """The trail that a round's training left at the site."""
    rounds: list[str] = json.loads((states(federation, site) / round_.uid / "trail.json").read_text())
    return rounds


def log(federation: Federation, site: str, round_: Finished) -> str:
    job = f"job/{round_.task(site)['metadata']['name']}"
    return federation.kubectl(site)("logs", "-n", federation.site_namespace, job, "-c", "train")


def printed_state(federation: Federation, site: str, round_: Finished) -> Object:
    """The state that a round's training printed."""
    answer: Object = findings(log(federation, site, round_))
    return answer


def _sent(federation: Federation, name: str, sites: Sequence[str]) -> bool:
    tasks = {task["metadata"]["namespace"]: task for task in federation.tasks_of(name)}
    return all(site in tasks and is_true(tasks[site], "Sent") for site in sites)


def _refuse(hospital: Played, tasks: list[Object]) -> None:
    [task] = [each for each in tasks if each["metadata"]["namespace"] == hospital.name]
    denial = {"status": "False", "reason": "Denied", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {"conditions": [{"type": "Accepted", **denial}]}
    hospital.api.patch_status("RoundTask", task["metadata"]["name"], status, hospital.name)
