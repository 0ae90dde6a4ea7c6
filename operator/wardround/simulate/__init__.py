"""Runs rounds on folders of this machine, without a cluster, with the code that runs on clusters.

Nothing else imports this package. docs/try.md shows its use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.api.site import LEAST_CELL, Policy
from wardround.simulate.errors import SimulationError

if TYPE_CHECKING:
    from pandas import DataFrame

    from wardround.simulate.trainers import Trainer

__all__ = ["SimulationError", "simulate"]


def simulate(
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
) -> DataFrame:
    """Simulate rounds. Return one row for each round, metric and repeat, and with `by_hospital` one for each hospital.

    `files`: one or several YAML files, or FederatedRounds as objects. `data`: a folder with one folder for each
    hospital. `trainer`: a command, a Python file, or a function that gets a verb; the reference trainer if it is empty.
    The other arguments are those of the command line. Raises SimulationError, whose `results` has the rows of the
    rounds before a failure.
    """
    import warnings

    from wardround.simulate import play, table
    from wardround.simulate.prepared import prepared

    simulation = prepared(
        files,
        data,
        repeats=repeats,
        holdout=holdout,
        seed=seed,
        min_cell=min_cell,
        max_left_out=max_left_out,
        by_hospital=by_hospital,
        trainer=trainer,
    )
    table.frame(())  # fails without pandas before a round has begun
    for caution in simulation.cautions:
        warnings.warn(caution, stacklevel=2)
    ended: list[play.Finished | play.Skipped] = []
    try:
        for each in play.play(simulation):
            ended.append(each)  # one by one: the rounds before a failure are kept
        if never := table.never_finished(ended):
            raise SimulationError("\n".join(never))
    except SimulationError as error:
        error.results = table.frame(table.rows(ended))
        raise
    return table.frame(table.rows(ended))
