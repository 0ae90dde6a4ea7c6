"""`wardround simulate`: parses arguments, shows progress, prints a table. The modules beside it decide."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wardround.api.site import LEAST_CELL, Policy
from wardround.simulate import table
from wardround.simulate.errors import RoundFailed, SimulationError
from wardround.simulate.play import Finished, Progress, Simulation, Skipped, play
from wardround.simulate.pod import Ended
from wardround.simulate.prepared import prepared

if TYPE_CHECKING:
    from rich.table import Table

FAILED, INTERRUPTED = 1, 130
PIPE_WIDTH = 200
Ends = Sequence[Finished | Skipped]


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 all rounds are Complete, 1 a round has failed or the input is wrong, 2 the arguments are wrong."""
    options = parser().parse_args(argv)
    try:
        simulation = prepared(
            options.files,
            options.data,
            repeats=options.repeats,
            holdout=options.holdout,
            seed=options.seed,
            min_cell=options.min_cell,
            max_left_out=options.max_left_out,
            by_hospital=options.by_hospital,
            trainer=options.trainer,
        )
        for caution in simulation.cautions:
            print(f"warning: {caution}", file=sys.stderr)
        ended, failure = run(simulation, verbose=options.verbose)
    except SimulationError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    for remark in table.remarks(ended, simulation.min_cell):
        print(remark, file=sys.stderr)
    {"table": print_table, "csv": print_csv, "json": print_json}[options.output](simulation, ended, failure)
    # The error comes last, where a person looks first.
    sys.stdout.flush()
    errors = [*table.never_finished(ended), *([str(failure)] if failure else [])]
    for text in errors:
        print(f"error: {text}", file=sys.stderr)
    return FAILED if errors else 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="wardround simulate",
        description="Runs rounds on folders of this computer, without a cluster, with the same code that runs on "
        "clusters.",
    )
    result.add_argument("files", nargs="+", type=Path, metavar="FILE", help="YAML file with FederatedRounds")
    result.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="folder with one folder for each hospital, which has dataset.yaml and the data file at the Dataset's path",
    )
    _add_chance(result)
    _add_policy(result)
    result.add_argument(
        "--sealed",
        action="store_true",
        help="seal, sign and verify models and updates as clusters do. This is the default, and no option changes it",
    )
    result.add_argument(
        "--trainer",
        default="",
        metavar="COMMAND",
        help="the training code, without its verb. A file that ends with .py runs in this process. Anything else is a "
        "command, which starts one process for each verb. Default: the reference trainer, which needs torch",
    )
    result.add_argument("-o", "--output", choices=("table", "csv", "json"), default="table")
    result.add_argument("-v", "--verbose", action="store_true", help="also show what each container prints")
    return result


def _add_chance(result: argparse.ArgumentParser) -> None:
    """The options by which runs and their rows differ."""
    result.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="run all rounds N times. The first run uses the split and the seed that the files give. The other runs "
        "use other splits and seeds, which the command derives from --seed",
    )
    result.add_argument(
        "--holdout",
        type=Path,
        metavar="FILE",
        help="a file with rows on which no hospital trains. Each Evaluate round also measures its model on all rows "
        "of this file. The Datasets of the first hospital describe the file",
    )
    result.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of all random choices that the files do not fix, such as keys of splits",
    )


def _add_policy(result: argparse.ArgumentParser) -> None:
    """The options in place of the policy of each hospital's Site."""
    result.add_argument(
        "--min-cell",
        type=int,
        default=LEAST_CELL,
        metavar="N",
        help=f"show no number over fewer patients; default {LEAST_CELL}. Set a lower number only for data that is your "
        "own",
    )
    result.add_argument(
        "--max-left-out",
        default=Policy().max_left_out,
        metavar="SHARE",
        help="the largest share of a file's rows that may break the Dataset's schema; default %(default)s",
    )
    result.add_argument(
        "--by-hospital",
        action="store_true",
        help="also show each hospital's own numbers, as if policy.tellOwnMetrics of its Site were true",
    )


def run(simulation: Simulation, *, verbose: bool) -> tuple[Ends, SimulationError | None]:
    """The rounds that ended, and what ended the simulation before its last round."""
    ended: list[Finished | Skipped] = []

    def show(ended: Ended) -> None:
        if verbose and ended.output:
            print(ended.output, end="", file=sys.stderr, flush=True)

    with _progress(simulation, shown=not verbose and sys.stderr.isatty()) as on_progress:
        try:
            for each in play(simulation, on_progress=on_progress, watch=show):
                ended.append(each)  # one by one: the rounds before a failure are kept
        except SimulationError as error:
            return ended, error
    return ended, None


@contextmanager
def _progress(simulation: Simulation, *, shown: bool) -> Iterator[Callable[[Progress], None]]:
    """A progress bar for people. rich is imported here: a program that reads the output needs none of it."""
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        bars = bar.add_task("", total=simulation.repeats * len(simulation.rounds))
        seen: set[tuple[int, str]] = set()

        def advance(progress: Progress) -> None:
            place = (progress.repeat, progress.round)
            bar.update(
                bars,
                completed=len(seen - {place}),
                description=f"repeat {progress.repeat}: {progress.round}, {progress.hospital}",
            )
            seen.add(place)

        yield advance


def print_table(simulation: Simulation, ended: Ends, failure: SimulationError | None) -> None:
    from rich.console import Console
    from rich.table import Table

    # A file or a pipe has no width: there, no cell is cut into lines.
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    data = Table(title="Data")
    for name, justify in (("hospital", "left"), ("rows", "right"), ("patients", "right"), ("rows left out", "left")):
        data.add_column(name, justify="right" if justify == "right" else "left")
    reads = table.reads(ended, failure.reports if isinstance(failure, RoundFailed) else table.NO_REPORTS)
    for read in reads:
        data.add_row(read.hospital, str(read.rows), str(read.patients), read.left_out or "none")
    for name in sorted({each.name for each in simulation.hospitals} - {read.hospital for read in reads}):
        data.add_row(name, "", "", "no round has read this file")
    console.print(data)
    if failure:
        kept = Table(title="Rounds before the failure")
        for name in ("repeat", "round", "source", "digest of the result"):
            kept.add_column(name)
        for each in ended:
            if isinstance(each, Finished):
                kept.add_row(str(each.repeat), each.name, each.source, each.result.digest)
        console.print(kept)
    console.print(_numbers(simulation, table.rows(ended), by_hospital=False))
    if simulation.by_hospital:
        console.print(_numbers(simulation, table.rows(ended), by_hospital=True))


def _numbers(simulation: Simulation, rows: Sequence[table.Row], *, by_hospital: bool) -> Table:
    """The numbers of the rounds, or those of each hospital."""
    from rich.table import Table

    title = "Results by hospital" if by_hospital else "Results"
    made = Table(title=title, caption=table.warning(simulation.min_cell) or None)
    chosen = [each for each in rows if bool(each.hospital) is by_hospital]
    repeated = simulation.repeats > 1
    numbers = ("mean", "sd", "n") if repeated else ("value",) if by_hospital else ("value", "95 % interval", "people")
    for name in (*(("hospital",) if by_hospital else ()), "round", "source", "rows", "metric"):
        made.add_column(name)
    for name in numbers:
        made.add_column(name, justify="right")
    made.add_column("model")
    for each in table.summaries(chosen) if repeated else chosen:
        own = (each.hospital,) if by_hospital else ()
        made.add_row(
            *own, each.round, each.source, each.rows, each.metric, *_cells(each)[: len(numbers)], _models(each)
        )
    return made


def _cells(line: table.Row | table.Summary) -> tuple[str, str, str]:
    if isinstance(line, table.Summary):
        return f"{line.mean:.4g}", _text(line.sd), str(line.n)
    return f"{line.value:.4g}", _interval(line), str(line.people)


def _models(each: table.Row | table.Summary) -> str:
    """The measured model; of a difference, both models."""
    return f"{each.model} minus {each.reference}" if each.reference else each.model


def _interval(row: table.Row) -> str:
    return "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}"


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"


def print_csv(simulation: Simulation, ended: Ends, _: SimulationError | None) -> None:
    _warn(simulation)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(table.Row)])
    writer.writerows(map(dataclasses.astuple, table.rows(ended)))


def print_json(simulation: Simulation, ended: Ends, _: SimulationError | None) -> None:
    _warn(simulation)
    print(json.dumps(table.as_json(ended)))


def _warn(simulation: Simulation) -> None:
    if text := table.warning(simulation.min_cell):
        print(text, file=sys.stderr)
