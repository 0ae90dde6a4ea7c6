"""Plays rounds with hospitals, repeat after repeat. Reports each finished round; reads no input and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wardround.api.conditions import find_true, is_true
from wardround.api.federatedround import Attention, FederatedRound, Participants, Quorum, Result
from wardround.api.site import LEAST_CELL, MOST_EVALUATIONS, Policy
from wardround.api.task import Update
from wardround.clock import system_random_bytes
from wardround.courier.keys import Identity as SiteIdentity
from wardround.documents.keys import Identity as HubIdentity
from wardround.simulate.errors import RoundFailed
from wardround.simulate.files import HOLDOUT, HospitalFiles
from wardround.simulate.hospital import Hospital
from wardround.simulate.pod import Watch
from wardround.simulate.repeats import Repeat
from wardround.simulate.rounds import Rounds
from wardround.simulate.store import MemoryStore
from wardround.simulate.trainers import Trainer
from wardround.simulate.work import Means, SimulatedTask, Workplace
from wardround.wire.outcome import Outcome

HOSPITALS = "hospitals"
TOO_FEW = "TooFewSamples"
# In memory where the machine has such a place: pods write and sync many small files.
MEMORY = Path("/dev/shm")  # noqa: S108 - each simulation makes a folder of its own in it


@dataclass(frozen=True)
class Finished:
    """A round that is Complete. `source`: HOSPITALS, or HOLDOUT for the rows of the holdout file. `reports`: of our own
    containers, by hospital and verb. `withheld`: the hospitals that sent no sums, because too few people are in their
    rows. `counted`: the other hospitals of the result. `declared`: the metrics that the round asks for."""

    repeat: int
    name: str
    task: str
    source: str
    result: Result
    aggregated: int
    attention: tuple[Attention, ...]
    reports: Mapping[str, Mapping[str, Outcome]]
    withheld: tuple[str, ...]
    counted: tuple[str, ...]
    declared: tuple[str, ...]


@dataclass(frozen=True)
class Skipped:
    """An Evaluate round that has failed, in one of several repeats or with `skips_evaluations`. No other round starts
    from it.

    `reason`: of its condition. `source`, `reports`: as of a Finished round.
    """

    repeat: int
    name: str
    source: str
    reason: str
    why: str
    reports: Mapping[str, Mapping[str, Outcome]]


@dataclass(frozen=True)
class Progress:
    """A hospital has done its part of a round."""

    repeat: int
    round: str
    hospital: str


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What is to be simulated. `rounds`: each after the round that it starts from. `by_hospital`: all Sites tell their
    own numbers. `skips_evaluations`: an Evaluate round that fails does not end the simulation. `cautions`: what a
    person should know of the input."""

    rounds: Sequence[FederatedRound]
    hospitals: Sequence[HospitalFiles]
    trainer: Trainer
    holdout: HospitalFiles | None = None
    repeats: int = 1
    seed: int = 0
    min_cell: int = LEAST_CELL
    max_left_out: str = Policy().max_left_out
    by_hospital: bool = False
    skips_evaluations: bool = False
    cautions: tuple[str, ...] = ()


def _ignore(_: object) -> None:
    """Sees nothing."""


def play(
    simulation: Simulation, *, on_progress: Callable[[Progress], None] = _ignore, watch: Watch = _ignore
) -> Iterator[Finished | Skipped]:
    """Yield each round at its end. `watch` sees each container at its end. Raises SimulationError.

    A round that fails ends the simulation, but for an Evaluate round in one of several repeats or with
    `skips_evaluations`: with another split, too few people may be in a class.
    """
    identities = {each.name: SiteIdentity.generate() for each in _everyone(simulation)}
    hub = HubIdentity.generate()
    for number in range(1, simulation.repeats + 1):
        repeat = Repeat(number, simulation.seed)
        with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="wardround-") as name:
            claims = Path(name)
            for files in _everyone(simulation):
                repeat.make_claims(files, claims / files.name)
            workplaces = {
                files.name: Workplace(
                    Hospital(
                        name=files.name,
                        hub_fingerprint=hub.fingerprint,
                        identity=identities[files.name],
                        datasets=repeat.datasets(files),
                        schemas=files.schemas,
                        policy=policy(simulation, tells=simulation.by_hospital or files.name == HOLDOUT),
                        labels=_labels(simulation.rounds),
                        federations=_federations(simulation.rounds),
                    ),
                    data=files.folder,
                    claims=claims / files.name,
                )
                for files in _everyone(simulation)
            }
            least_cell = min(simulation.min_cell, LEAST_CELL)
            means = Means(MemoryStore(), simulation.trainer, watch, least_cell, system_random_bytes)
            yield from _play_repeat(simulation, repeat, Rounds(hub, means), workplaces, on_progress)


def _play_repeat(
    simulation: Simulation,
    repeat: Repeat,
    rounds: Rounds,
    workplaces: Mapping[str, Workplace],
    on_progress: Callable[[Progress], None],
) -> Iterator[Finished | Skipped]:
    for federated_round in simulation.rounds:
        for part in _parts(repeat, federated_round, workplaces):
            try:
                yield _run(simulation, rounds, part, on_progress)
            except RoundFailed as failure:
                evaluate = federated_round.spec.task == "Evaluate"
                if not evaluate or (simulation.repeats == 1 and not simulation.skips_evaluations):
                    raise
                yield Skipped(repeat.number, failure.name, part.source, failure.reason, str(failure), failure.reports)


@dataclass(frozen=True)
class _Part:
    """A round of one repeat, for the hospitals or for the holdout alone. `source`: as of a Finished round."""

    repeat: int
    round: FederatedRound
    workplaces: Mapping[str, Workplace]
    source: str = HOSPITALS


def _parts(repeat: Repeat, federated_round: FederatedRound, workplaces: Mapping[str, Workplace]) -> Iterator[_Part]:
    """`workplaces`: with the holdout, if the simulation has one. It measures the model of each Evaluate round."""
    varied = repeat.round(federated_round)
    if not _names_holdout(varied):
        own = {name: each for name, each in workplaces.items() if name != HOLDOUT}
        yield _Part(repeat.number, varied, own)
    if HOLDOUT in workplaces and varied.spec.task == "Evaluate":
        yield _Part(repeat.number, _on_holdout(varied), {HOLDOUT: workplaces[HOLDOUT]}, HOLDOUT)


@dataclass(frozen=True)
class _Ended:
    """A round that is over, and what each hospital made of its last task."""

    round: FederatedRound
    worked: Mapping[str, SimulatedTask]

    @property
    def reports(self) -> dict[str, Mapping[str, Outcome]]:
        return {hospital: each.outcomes for hospital, each in self.worked.items()}

    @property
    def explanations(self) -> dict[str, str]:
        return {hospital: each.explanation for hospital, each in self.worked.items() if each.explanation}

    @property
    def updates(self) -> dict[str, Update]:
        return {hospital: each.status.update for hospital, each in self.worked.items() if each.status.update}

    @property
    def withheld(self) -> tuple[str, ...]:
        return tuple(sorted(hospital for hospital, update in self.updates.items() if update.withheld))

    @property
    def counted(self) -> tuple[str, ...]:
        result = self.round.status.result
        left_out = {each.participant for each in self.round.status.attention}
        left_out -= set(result.numbers_too_large if result else ())  # their updates count, and their other numbers
        return tuple(sorted(set(self.updates) - set(self.withheld) - left_out))

    @property
    def has_too_few(self) -> bool:
        """Whether a hospital has too few patients for the round."""
        failures = [each.status.failure for each in self.worked.values()]
        return bool(self.withheld) or any(each is not None and each.reason == TOO_FEW for each in failures)


def _run(simulation: Simulation, rounds: Rounds, part: _Part, on_progress: Callable[[Progress], None]) -> Finished:
    """Raises RoundFailed, and SimulationError for a round that waits for a person."""
    metadata, spec = part.round.metadata, part.round.spec

    def tell(hospital: str, _: SimulatedTask) -> None:
        on_progress(Progress(part.repeat, metadata.name, hospital))

    ended = _Ended(*rounds.run(part.round, part.workplaces, tell))
    status, explanations = ended.round.status, ended.explanations
    if is_true(status.conditions, "Failed") or status.result is None or status.participants is None:
        raise _failure(part, ended, simulation.min_cell)
    return Finished(
        part.repeat,
        metadata.name,
        spec.task,
        part.source,
        status.result,
        status.participants.aggregated,
        tuple(_explained(each, explanations) for each in status.attention),
        ended.reports,
        ended.withheld,
        ended.counted,
        () if spec.task == "Statistics" else spec.metrics,
    )


def _failure(part: _Part, ended: _Ended, min_cell: int) -> RoundFailed:
    """The error of a round that has no result."""
    name, failure = part.round.metadata.name, find_true(ended.round.status.conditions, "Failed")
    place = " on the rows of the holdout file" if part.source == HOLDOUT else ""
    cause = f"{failure.reason}: {failure.message}" if failure else ""
    if ended.withheld == (HOLDOUT,):
        cause = _withheld_holdout(min_cell)
    return RoundFailed(
        name,
        failure.reason if failure else "",
        f"Round {name} has failed{place}. {cause}",
        ended.explanations,
        advice=_advice(min_cell, ended.withheld) if ended.has_too_few else "",
        reports=ended.reports,
    )


def _withheld_holdout(min_cell: int) -> str:
    return (
        f"The simulation shows no numbers over the holdout file, because it has fewer than {min_cell} usable "
        f"patients, or fewer than {min_cell} in one class."
    )


def _advice(min_cell: int, withheld: tuple[str, ...]) -> str:
    """What helps against too few patients. A hospital would not do this, so no plan of the hub says it."""
    names = f"The numbers of {', '.join(withheld)} are withheld. " if withheld else ""
    if min_cell == 1:
        return (
            f"{names}One part of the split has no patients, or none of one class. Give more rows, or a larger share "
            "to this part of the split."
        )
    return (
        f"{names}A number has to be over at least {min_cell} patients. Give more rows, or a larger share to this "
        "part of the split. With data of your own, you can lower the limit: --min-cell N (min_cell in Python)."
    )


def _explained(attention: Attention, explained: Mapping[str, str]) -> Attention:
    """The hospital's own words, where it has some. The hub has other advice: it does not get them."""
    return replace(attention, message=explained.get(attention.participant) or attention.message)


def _on_holdout(federated_round: FederatedRound) -> FederatedRound:
    """The same round for the holdout alone. All its rows are test rows."""
    alone = Participants(names=(HOLDOUT,))
    spec = replace(federated_round.spec, participants=alone, quorum=Quorum(min=1), rows="Test")
    return replace(federated_round, spec=spec)


def _names_holdout(federated_round: FederatedRound) -> bool:
    """Whether the round asks the holdout and no hospital."""
    return federated_round.spec.participants.names == (HOLDOUT,)


def policy(simulation: Simulation, *, tells: bool) -> dict[str, Any]:
    """The policy of a Site: it allows what the rounds ask, because the researcher decides about data of their own.

    `tells`: the Site tells its own numbers. The holdout does: it is alone in its rounds.
    """
    specs = [each.spec for each in simulation.rounds]
    federations = list(_federations(simulation.rounds))
    return {
        "approval": "Policy",
        "images": sorted({each.image for each in specs if each.image}),
        "commands": [list(each) for each in sorted({each.command for each in specs})],
        "datasets": [{"name": name, "federations": federations} for name in sorted({s.dataset_name for s in specs})],
        "parameters": [{"name": name} for name in sorted({name for each in specs for name in each.parameters})],
        "localSockets": True,
        "minQuorum": 1,
        "release": "Readers",
        "minSamples": min(simulation.min_cell, LEAST_CELL),
        "minCell": simulation.min_cell,
        "maxLeftOut": simulation.max_left_out,
        "tellOwnMetrics": tells,
        "maxEvaluations": MOST_EVALUATIONS,
    }


def _everyone(simulation: Simulation) -> list[HospitalFiles]:
    return [*simulation.hospitals, *([simulation.holdout] if simulation.holdout else [])]


def _federations(rounds: Sequence[FederatedRound]) -> tuple[str, ...]:
    return tuple(sorted({each.metadata.namespace for each in rounds}))


def _labels(rounds: Sequence[FederatedRound]) -> dict[str, str]:
    """Every hospital of the folder has the labels that the rounds select by."""
    selectors = [each.spec.participants.selector for each in rounds]
    return {name: value for each in selectors if each for name, value in each.match_labels.items()}
