"""A hospital's own numbers and verdicts in a whole federation: they lie at the hospital, and the hub never has them.

The termination messages of the pods are changed into numbers that are easy to find. Everything that the hub's API
server and the store ever held is searched for them.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from lab import demo_data
from tests.simulation.apiserver import Place, Server
from tests.simulation.federation import HUB_NAMESPACE, HUB_URL, SITE_NAMESPACE, Federation
from tests.simulation.rounds import OWN, documents, scratch
from tests.simulation.virtual import VirtualLoop, play
from tests.unit.simulation.test_gate import tables
from wardround.cli.hospital_report import build, seen
from wardround.cli.report import page
from wardround.hub import vault
from wardround.ports import Object
from wardround.sealing.cards import open_card
from wardround.sealing.keys import load_signing_key
from wardround.simulate.containers import Container
from wardround.wire import outcome
from wardround.wire.card import ModelCard
from wardround.wire.outcome import ToldOutcome

VALUE, ROWS = "0.77173177", 77173177
NOW = datetime(2027, 1, 1, tzinfo=UTC)
TELLING, SILENT = "site-a", ("site-b", "site-c")
SITE = Place("Site", SITE_NAMESPACE, "site")


class Remembering(Server):
    """It keeps every version of every object."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(HUB_URL, loop.clock)
        self.ever: list[bytes] = []

    def _keep(self, before: Object | None, place: Place, item: Object, doing: str) -> Object:
        kept = super()._keep(before, place, item, doing)
        self.ever.append(json.dumps(kept).encode())
        return kept


def mark(container: Container) -> None:
    """Numbers that are easy to find in place of the hospital's own, as the site operator is about to read them."""
    if not container.termination_log.is_file():
        return
    report = outcome.read(container.termination_log.read_text())
    if report is None:
        return
    if report.metrics:
        marked = (dataclasses.replace(each, value=VALUE, low=VALUE, high=VALUE, people=ROWS) for each in report.metrics)
        report = dataclasses.replace(report, metrics=tuple(marked))
    if report.rows is not None:
        report = dataclasses.replace(report, rows=ROWS, patients=ROWS)
    container.termination_log.write_bytes(outcome.write(report))


@dataclass
class Played:
    """`tasks`, `round_tasks`: of the comparison, by hospital. `cards`: of the models of both Train rounds. `sites`:
    what a report reads of each site."""

    comparison: Object
    tasks: dict[str, Object]
    round_tasks: dict[str, Object]
    hub: list[bytes]
    stored: list[bytes]
    cards: list[ModelCard]
    sites: dict[str, tuple[list[Object], list[Object]]] = field(default_factory=dict)


def rounds() -> list[Object]:
    """Statistics, two Train rounds, and a comparison of their models on validation rows."""
    statistics, first, second, *_, evaluation = documents(OWN)
    comparison = copy.deepcopy(evaluation)
    comparison["metadata"]["name"] = "compare"
    base, reference = second["metadata"]["name"], first["metadata"]["name"]
    comparison["spec"] |= {"base": {"roundName": base}, "references": [reference], "rows": "Validation"}
    return [statistics, first, second, comparison]


def card(hub: Server, federated_round: Object) -> ModelCard:
    """The card that the hub has signed."""
    stored = hub.read(Place("Secret", HUB_NAMESPACE, f"model-{federated_round['metadata']['uid']}"))
    key = load_signing_key(vault.value(hub.read(Place("Secret", HUB_NAMESPACE, "hub-signing-key")), "key"))
    return open_card(vault.value(stored, "card").decode(), key.public_key())


@pytest.fixture(scope="module")
def played() -> Played:
    async def main(loop: VirtualLoop) -> Played:
        hub = Remembering(loop)
        federation = Federation(loop, folder, OWN, 1, mark, hub=hub)
        async with federation.running(tables()):
            federation.sites[TELLING].change(SITE, {"spec": {"policy": {"tellVerdicts": True, "nameOnCards": True}}})
            federation.apply(*rounds())
            ended = [await federation.over(each["metadata"]["name"]) for each in rounds()]
            label = "wardround.io/round=compare"
            sites = {
                name: (server.select("SiteTask", None), server.select("Dataset", None))
                for name, server in federation.sites.items()
            }
            return Played(
                ended[-1],
                {name: server.select("SiteTask", None, label)[0] for name, server in federation.sites.items()},
                {each["metadata"]["namespace"]: each for each in hub.select("RoundTask", None, label)},
                hub.ever,
                list(federation.store.ever.values()),
                [card(hub, each) for each in ended if each["spec"]["task"] == "Train"],
                sites,
            )

    with scratch() as name:
        folder = Path(name)
        return play(main)


def test_each_hospital_has_its_own_verdict_and_numbers(played: Played) -> None:
    for task in played.tasks.values():
        [verdict] = task["status"]["verdicts"]
        assert verdict["reference"] == played.comparison["spec"]["references"][0]
        assert verdict["outcome"] in get_args(ToldOutcome)
        assert task["status"]["metrics"]


def test_the_hub_hears_the_verdict_of_the_hospital_that_tells_it_and_of_no_other(played: Played) -> None:
    own = played.tasks[TELLING]["status"]["verdicts"][0]["outcome"]
    assert played.round_tasks[TELLING]["status"]["verdicts"] == [own]
    for name in SILENT:
        assert "verdicts" not in played.round_tasks[name]["status"]
    [counted] = played.comparison["status"]["result"]["hospitalVerdicts"]
    counts = {"better": 0, "worse": 0, "undecided": 0, own.lower(): 1}
    assert counted == {"reference": played.comparison["spec"]["references"][0], "hospitals": 1, **counts}


def test_the_card_names_the_hospital_that_agreed_and_counts_all(played: Played) -> None:
    name = next(each.display_name for each in demo_data.HOSPITALS if each.name == TELLING)
    for each in played.cards:
        assert (each.hospital_names, each.hospitals) == ((name,), 3)


def test_nothing_that_the_hub_or_the_store_ever_held_has_a_hospitals_own_numbers(played: Played) -> None:
    at_sites = json.dumps([played.tasks, played.sites])
    assert VALUE in at_sites
    assert str(ROWS) in at_sites
    assert len(played.hub) > 100
    assert len(played.stored) > 10
    for each in (*played.hub, *played.stored):
        assert VALUE.encode() not in each
        assert str(ROWS).encode() not in each


def test_the_hospitals_own_report_has_these_numbers(played: Played) -> None:
    tasks, datasets = played.sites[SILENT[0]]
    text = page.page(build.document(seen.parse(SITE_NAMESPACE, None, tasks, datasets, NOW)))
    assert VALUE in text
    assert str(ROWS) in text
    verdict = played.tasks[SILENT[0]]["status"]["verdicts"][0]["outcome"]
    assert f">{verdict}<" in text
