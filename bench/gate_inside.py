"""Plays the scenarios of bench/gate.py inside the trainer image. Prints one line of JSON for each repeat.

Needs no package of the tests: the trainer image has torch, and the operator's packages.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wardround.pod import columns_record
from wardround.pod.folders import Folders
from wardround.simulate.errors import RoundFailed
from wardround.simulate.play import Finished, Simulation, Skipped, play
from wardround.simulate.pod import Ended
from wardround.simulate.prepared import prepared
from wardround.simulate.trainers import Trainer, reference

FILE, ORDER_KEY = "cases.csv", "secrets/order/key"


def main() -> None:
    folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    scenario = json.loads((folder / "scenario.json").read_text("utf-8"))
    for number in range(first, last):
        print(json.dumps(repeat(folder, scenario, number, reference())), flush=True)


def repeat(folder: Path, scenario: Mapping[str, Any], number: int, trainer: Trainer) -> dict[str, Any]:
    """The verdicts and losses of the Evaluate rounds, by the name of the round. `refused`: by name of the round and of
    the hospital, why a hospital sent nothing. `failed`: by name of the round, the reason why the round has failed. The
    rounds after an Evaluate round that fails are played. A Train round that fails ends the repeat: later rounds start
    from it."""
    rounds = copy.deepcopy(scenario["rounds"])
    for each in rounds:
        if each["spec"]["task"] == "Train":
            each["spec"]["seed"] += number
    with TemporaryDirectory() as name:
        data = Path(name) / "data"
        shutil.copytree(folder / "data", data)
        for hospital in (each for each in data.iterdir() if each.is_dir()):
            _write_keys(hospital, scenario["fixedSplit"], number)
        simulation = prepared(rounds, data, seed=number, trainer=trainer)
        simulation = replace(simulation, skips_evaluations=True)
        names = [each.metadata.name for each in simulation.rounds]
        _place(folder, data, scenario["files"][names[0]])
        _accept(simulation, scenario["accepted"].get(names[0], {}))
        result: dict[str, Any] = {"repeat": number, "refused": {}, "failed": {}}
        played = play(simulation, watch=_forget if scenario["gateAlone"] else lambda _: None)
        try:
            for following, ended in zip([*names[1:], None], played, strict=True):
                _note(ended, result)
                if following is not None:
                    _place(folder, data, scenario["files"][following])
                    _accept(simulation, scenario["accepted"].get(following, {}))
        except RoundFailed as failure:
            result["failed"][failure.name] = failure.reason
        return result


def _note(ended: Finished | Skipped, result: dict[str, Any]) -> None:
    """Write down what a round has shown."""
    if isinstance(ended, Skipped):
        print(ended.why, file=sys.stderr, flush=True)
        result["failed"][ended.name] = ended.reason
        return
    result["refused"][ended.name] = {each.participant: each.reason for each in ended.attention}
    if ended.task == "Evaluate":
        result[ended.name] = _numbers(ended)


def _forget(ended: Ended) -> None:
    """Removes what `prepare` remembers of columns."""
    if ended.verb == "prepare":
        shutil.rmtree(Folders(ended.container.folder).secrets / columns_record.FOLDER, ignore_errors=True)


def _place(folder: Path, data: Path, variants: Mapping[str, str]) -> None:
    """Give each hospital its file of the next round."""
    for hospital, variant in variants.items():
        shutil.copyfile(folder / "variants" / variant / f"{hospital}.csv", data / hospital / FILE)


def _accept(simulation: Simulation, versions: Mapping[str, int]) -> None:
    """Give the Datasets of each hospital the `columnsVersion` of the next round. The simulation reads it again then."""
    for hospital in simulation.hospitals:
        for spec in hospital.datasets.values():
            assert isinstance(spec, dict)
            spec.pop("columnsVersion", None)
            spec.update({"columnsVersion": versions[hospital.name]} if hospital.name in versions else {})


def _write_keys(hospital: Path, fixed_split: bool, number: int) -> None:
    """Another order of the rows in each repeat, and another split unless it is fixed. The first repeat is the demo."""
    if not fixed_split:
        shutil.rmtree(hospital / "secrets", ignore_errors=True)
    elif number:
        (hospital / ORDER_KEY).write_bytes(hashlib.sha256(f"order {hospital.name} {number}".encode()).digest())


def _numbers(finished: Finished) -> dict[str, Any]:
    result = finished.result
    [loss] = [each.value for each in result.metrics if each.name == "loss"] or [""]
    verdict = result.verdict
    return {
        "loss": loss,
        "outcome": verdict.outcome if verdict else "",
        "reason": verdict.reason if verdict else "",
        "differences": [(each.reference, each.value, each.low, each.high, each.people) for each in result.differences],
        "withheld": list(finished.withheld),
    }


if __name__ == "__main__":
    main()
