"""Makes a Simulation from what a person gives: paths, objects, a trainer's command. Checks the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wardround.api.site import LEAST_CELL, Policy, share
from wardround.simulate import files as inputs
from wardround.simulate import overlap
from wardround.simulate.errors import SimulationError
from wardround.simulate.play import Simulation
from wardround.simulate.trainers import Trainer, choose


def prepared(
    files: Path | str | Mapping[str, Any] | Iterable[Path | str | Mapping[str, Any]],
    data: Path | str,
    *,
    repeats: int = 1,
    holdout: Path | str | None = None,
    seed: int = 0,
    min_cell: int = LEAST_CELL,
    max_left_out: str | float = Policy().max_left_out,
    by_hospital: bool = False,
    trainer: Trainer | str = "",
) -> Simulation:
    """Raises SimulationError."""
    if repeats < 1 or min_cell < 1:
        raise SimulationError(
            f"--repeats and --min-cell have to be at least 1, and are {repeats} and {min_cell} (in Python: repeats "
            "and min_cell)."
        )
    try:
        share(str(max_left_out))
    except ValueError as error:
        raise SimulationError(f"--max-left-out {max_left_out}: {error}.") from None
    rounds = inputs.in_order(
        [
            federated_round
            for each in ([files] if isinstance(files, str | Path | Mapping) else files)
            for federated_round in (
                inputs.parse_rounds([each]) if isinstance(each, Mapping) else inputs.read_rounds(Path(each))
            )
        ]
    )
    hospitals = inputs.read_hospitals(Path(data))
    names = [each.name for each in hospitals]
    for federated_round in rounds:
        inputs.check_participants(federated_round, Path(data), names, has_holdout=holdout is not None)
    held_out = inputs.read_holdout(Path(holdout), hospitals[0]) if holdout is not None else None
    return Simulation(
        rounds=rounds,
        hospitals=hospitals,
        trainer=choose(trainer) if isinstance(trainer, str) else trainer,
        holdout=held_out,
        repeats=repeats,
        seed=seed,
        min_cell=min_cell,
        max_left_out=str(max_left_out),
        by_hospital=by_hospital,
        cautions=overlap.cautions(held_out, hospitals) if held_out else (),
    )
