"""Counts what the gate decides about models of repeated rounds: `python -m bench.gate --case demo`. Asserts nothing.

`demo`: the demo with its split. A series of new cases, then one in which a hospital has flipped its labels. As in the
demo, the hospital's people accept the change of its columns (spec.columnsVersion of its Dataset). As in a
FederatedModel, the gate compares the models of this series with the current version, and with the best one so far.
`faults`: the demo's cases, dealt evenly to three hospitals with another split in each repeat. A series in which one
hospital has flipped its labels, and one in which it has other units.

The reference trainer trains. Each repeat has other seeds, other first weights and another order of rows.

A comparison fails if too few hospitals send numbers. Then nobody knows which model of the series is the candidate, and
nothing is promoted. The last lines count such repeats as "failed".

A hospital whose columns have changed refuses its file (ColumnsChanged), unless its people accept the change. Then the
rounds of the series go on without this hospital. With `--gate-alone`, hospitals forget their columns after each
reading, so the gate alone decides.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lab import demo_data, demo_gate, demo_rounds, trainer_python
from lab.demo_data import Table

IMAGE = "registry.example/trainer@sha256:" + "b" * 64
MIN_EVENTS = 20
# A further series goes on without a hospital that refuses its file.
LEAST_HOSPITALS = 2
# The images stay locked while a container runs, so a container does not play all repeats.
PER_CONTAINER = 25
FAILED, TRAINING = "failed:", "a Train round has failed"
AS_EXPORTED = "as-exported"
# Columns of a hospital that exports centimetres instead of the DataSchema's millimetres, by kind: the power of ten
# differs.
LENGTHS, AREAS = ("radius", "perimeter"), ("area",)

Object = dict[str, Any]


@dataclass
class Scenario:
    """Rounds in the order in which they are played. `files`: which file each hospital has in a round. `accepted`: by
    name of a round, `columnsVersion` of hospitals whose people have accepted a change of columns. `trainings`: by name
    of the series, its Train rounds. `series`: by name, the rounds in which the gate compares the models of this series
    with the version before. `with_best`: by name of a series, the rounds that compare its models also with `first`, the
    model of the first version. `second`: the series of the second version."""

    tables: Mapping[str, Mapping[str, Table]]
    fixed_split: bool
    rounds: list[Object] = field(default_factory=list)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    accepted: dict[str, dict[str, int]] = field(default_factory=dict)
    trainings: dict[str, list[str]] = field(default_factory=dict)
    series: dict[str, list[str]] = field(default_factory=dict)
    with_best: dict[str, list[str]] = field(default_factory=dict)
    first: str = ""
    second: str = ""

    def add(self, made: Object, files: Mapping[str, str]) -> str:
        self.rounds.append(made)
        name = str(made["metadata"]["name"])
        self.files[name] = dict(files)
        return name

    def first_series(self, files: Mapping[str, str]) -> str:
        """The demo's rounds. Returns the name of the last one."""
        chain = demo_rounds.federated(IMAGE)
        return [self.add(each, files) for each in chain.training][-1]

    def further_series(
        self,
        name: str,
        base: str,
        parameters: Mapping[str, str],
        files: Mapping[str, str],
        rounds: int = demo_rounds.FURTHER_ROUNDS,
        earlier: str = "",
    ) -> str:
        """Train rounds from `base`, each with the gate's comparison of its model with `base`. `earlier`: a version that
        may be the best one so far. Then a second comparison is with both. Returns the last Train round."""
        chain, last = demo_rounds.federated(IMAGE), base
        for number in range(1, rounds + 1):
            training = copy.deepcopy(chain.training[-1])
            training["metadata"]["name"] = f"{name}-r{number}"
            training["spec"] |= {"base": {"roundName": last}, "quorum": {"min": LEAST_HOSPITALS}}
            training["spec"]["parameters"] |= parameters
            last = self.add(training, files)
            self.trainings.setdefault(name, []).append(last)
            compared = self._evaluation(f"{name}-c{number}", last, [base])
            self.series.setdefault(name, []).append(self.add(compared, files))
            if earlier:
                compared = self._evaluation(f"{name}-b{number}", last, [base, earlier])
                self.with_best.setdefault(name, []).append(self.add(compared, files))
        return last

    def measure(self, model: str, files: Mapping[str, str]) -> None:
        """An Evaluate round of a version, without the gate."""
        self.add(self._evaluation(measured_by(model), model, []), files)

    def _evaluation(self, name: str, model: str, references: list[str]) -> Object:
        made = copy.deepcopy(demo_rounds.federated(IMAGE).evaluation)
        made["metadata"]["name"] = name
        made["spec"] |= {"base": {"roundName": model}, "rows": "Validation", "metrics": ["loss"]}
        if references:
            made["spec"] |= {"references": references, "gate": {"minEvents": MIN_EVENTS}}
        return made

    def comparisons(self, series: str, repeat: Object) -> Sequence[str]:
        """The comparisons of a series with the versions that the hub operator would take: the current one, and the
        best one if that is another (plans/model/versions.py)."""
        return (
            self.with_best[series] if series in self.with_best and self._first_is_best(repeat) else self.series[series]
        )

    def _first_is_best(self, repeat: Object) -> bool:
        """Whether the first version has the lowest loss of both, as the results show it. Of equals, the earlier."""
        first, second = repeat.get(measured_by(self.first)), self.series[self.second]
        if first is None or not first["loss"] or not all(each in repeat for each in second):
            return False
        return Decimal(first["loss"]) <= Decimal(chosen([repeat[each] for each in second])["loss"] or "Infinity")

    def write(self, folder: Path, *, gate_alone: bool) -> None:
        demo_data.write_folders(folder / "data")
        for variant, tables in self.tables.items():
            (folder / "variants" / variant).mkdir(parents=True)
            for name, table in tables.items():
                demo_data.write(table, folder / "variants" / variant / f"{name}.csv")
        scenario = {
            "rounds": self.rounds,
            "files": self.files,
            "accepted": self.accepted,
            "fixedSplit": self.fixed_split,
            "gateAlone": gate_alone,
        }
        (folder / "scenario.json").write_text(json.dumps(scenario), "utf-8")
        folder.chmod(0o755)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=sorted(CASES), required=True)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--gate-alone", action="store_true", help="hospitals forget their columns after each reading")
    options = parser.parse_args()
    scenario = CASES[options.case]()
    counts: dict[str, Counter[str]] = {name: Counter() for name in scenario.series}
    refusals: Counter[str] = Counter()
    with TemporaryDirectory() as name:
        folder = Path(name)
        scenario.write(folder, gate_alone=options.gate_alone)
        for first in range(0, options.repeats, PER_CONTAINER):
            last = min(first + PER_CONTAINER, options.repeats)
            for repeat in _play(folder, first, last):
                for series in scenario.series:
                    comparisons = scenario.comparisons(series, repeat)
                    refused = by_hospital(repeat["refused"], scenario.trainings[series])
                    refusals[series] += refused
                    end, differences = decision(repeat, comparisons, refused=refused)
                    counts[series][end] += 1
                    print(repeat["repeat"], series, end, differences, flush=True)
    for series, outcomes in counts.items():
        decisions = "; ".join(f"{outcome}: {count}" for outcome, count in outcomes.most_common())
        number = outcomes.total()
        failed = sum(count for end, count in outcomes.items() if end.startswith(FAILED))
        print(f"{options.case}, {series}: hospital refused: {refusals[series]} of {number}.", end=" ")
        print(f"Comparison failed: {failed} of {number}. Gate: {decisions}")


def decision(repeat: Object, comparisons: Sequence[str], *, refused: bool) -> tuple[str, list[Object]]:
    """How a series has ended in a repeat, in words to be counted, and the differences that the gate saw."""
    if not all(each in repeat for each in comparisons):
        # The Train round that failed ended the repeat, so the comparisons after it have no failure of their own.
        reason = next((repeat["failed"][each] for each in comparisons if each in repeat["failed"]), TRAINING)
        return f"{FAILED} {reason}", []
    choice = chosen([repeat[each] for each in comparisons])
    decided = "without the refused rows" if refused else "with all rows"
    return f"{choice['outcome']}, {choice['reason']}, of a model {decided}", choice["differences"]


def measured_by(model: str) -> str:
    return f"{model}-e"


def chosen(comparisons: list[Object]) -> Object:
    """The comparison of the series' candidate: the model with the lowest loss, and among equals the earlier one.

    A loss that the result may not show counts as the largest.
    """
    return min(comparisons, key=lambda each: Decimal(each["loss"] or "Infinity"))


def by_hospital(refused: Mapping[str, Mapping[str, str]], trainings: Sequence[str]) -> bool:
    """Whether a hospital refused its own file in all Train rounds, so that no model learned from it."""
    return all("ColumnsChanged" in refused.get(each, {}).values() for each in trainings)


def demo() -> Scenario:
    made = demo_data.tables()
    flipped = {name: demo_data.flipped(table) for name, table in made.items()}
    tables = {AS_EXPORTED: made, "flipped": flipped, "start": demo_data.at_start(made)}
    scenario = Scenario(tables, fixed_split=True)
    start = dict.fromkeys(made, "start")
    grown = {**start, demo_data.GROWING: AS_EXPORTED}
    first = scenario.first_series(start)
    scenario.measure(first, start)
    second = scenario.further_series("new-cases", first, demo_rounds.FURTHER_PARAMETERS, grown)
    scenario.first, scenario.second = first, "new-cases"
    wrong = {**grown, demo_gate.HOSPITAL: "flipped"}
    rounds = demo_rounds.FLIPPED_ROUNDS
    name = "flipped-labels"
    scenario.further_series(name, second, demo_rounds.FURTHER_PARAMETERS, wrong, rounds, earlier=first)
    accepted = [*scenario.trainings[name], *scenario.series[name], *scenario.with_best[name]]
    scenario.accepted = {name: {demo_gate.HOSPITAL: 1} for name in accepted}
    return scenario


def faults() -> Scenario:
    made = evenly(demo_data.tables())
    tables = {
        AS_EXPORTED: made,
        "flipped": {name: demo_data.flipped(table) for name, table in made.items()},
        "centimetres": {name: centimetres(table) for name, table in made.items()},
    }
    scenario = Scenario(tables, fixed_split=False)
    everybody = dict.fromkeys(made, AS_EXPORTED)
    first = scenario.first_series(everybody)
    for series, variant in (("flipped-labels", "flipped"), ("wrong-units", "centimetres")):
        scenario.further_series(series, first, {}, {**everybody, demo_gate.HOSPITAL: variant})
    return scenario


def evenly(made: Mapping[str, Table]) -> dict[str, Table]:
    """All rows without faults, dealt evenly to the hospitals."""
    faulty = {(name, row) for name, faults in demo_data.BLEMISHES.items() for row, *_ in faults}
    header = made[min(made)][0]
    rows = [row for name in sorted(made) for place, row in enumerate(made[name][1]) if (name, place) not in faulty]
    order = np.random.default_rng(demo_data.SEED).permutation(len(rows))
    dealt: dict[str, Table] = {name: (header, []) for name in sorted(made)}
    names = list(dealt)
    for place, chosen_row in enumerate(order):
        dealt[names[place % len(names)]][1].append(rows[int(chosen_row)])
    return dealt


def centimetres(table: Table) -> Table:
    """The table of a hospital that exports lengths in centimetres and areas in square centimetres."""
    header, rows = table
    powers = {
        place: 10 if any(kind in name for kind in LENGTHS) else 100
        for place, name in enumerate(header)
        if any(kind in name for kind in (*LENGTHS, *AREAS))
    }
    return header, [
        [f"{float(value) / powers[place]:g}" if place in powers else value for place, value in enumerate(row)]
        for row in rows
    ]


CASES: Mapping[str, Callable[[], Scenario]] = {"demo": demo, "faults": faults}


def _play(folder: Path, first: int, last: int) -> list[Object]:
    arguments = [trainer_python.GIVEN, str(first), str(last)]
    output = trainer_python.run("bench.gate_inside", arguments, folder, ("lab", "bench"), _say)
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
