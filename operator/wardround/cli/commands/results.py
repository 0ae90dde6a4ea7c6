"""The verb results: prints the numbers of a round, or of the versions and rounds of a model."""

import argparse
import os

from rich.console import Console
from rich.table import Table

from wardround.cli import mlflow_runs, mlflow_store, model_objects, results, results_model, verbs
from wardround.cli.arguments import Parsers, hint_of_namespace, target
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects
from wardround.cli.objects import Object, printable

PIPE_WIDTH = 160
# The rows of a model name an object too.
WIDE_PIPE = 240


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    telling = parsers.add_parser(
        "results",
        parents=[shared],
        help="show the numbers of a complete round or of a model, with intervals",
        description="Shows each metric of a complete round: its value with a 95 % interval, the people and hospitals "
        "that it covers, the rows and the model that were measured, and whether a higher or a lower value is better. "
        "Of a FederatedModel, the command shows the metrics of all its versions and rounds.",
    )
    telling.add_argument("target", metavar="federatedround/NAME", help="the round, or federatedmodel/NAME for a model")
    telling.add_argument(
        "--by-hospital",
        action="store_true",
        help="of a round: show each hospital's own numbers, if policy.tellOwnMetrics of its Site is true",
    )
    telling.add_argument(
        "-o",
        dest="output",
        choices=("csv", "json", "mlflow"),
        help="the format of the output; default: a table. mlflow: write the versions of a model into MLflow",
    )
    telling.add_argument(
        "--tracking-uri",
        metavar="URI",
        default=os.environ.get("MLFLOW_TRACKING_URI", ""),
        help="with -o mlflow: the MLflow server or database; default: the variable MLFLOW_TRACKING_URI",
    )
    telling.set_defaults(run=run_results)


def run_results(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or hub.default_namespace
    with hint_of_namespace(hub, options, kind, name):
        if kind == "FederatedRound":
            return _print_round(hub, name, namespace, options)
        if kind == "FederatedModel":
            return _print_model(hub, name, namespace, options)
        if kind == "ModelVersion":
            raise CommandError(_of_the_model(verbs.needed(hub, kind, name, namespace)))
    raise CommandError("`results` takes federatedround/NAME or federatedmodel/NAME, and shows its numbers.")


def _of_the_model(version: Object) -> str:
    """Where the numbers of a ModelVersion are."""
    spec, meta = printable(version["spec"]), printable(version["metadata"])
    if spec.get("pushed"):
        return (
            f"`results` takes federatedround/NAME or federatedmodel/NAME. A person has pushed ModelVersion "
            f"{meta['name']}, so it has no FederatedModel. Name a round that has measured it."
        )
    return (
        "`results` takes federatedround/NAME or federatedmodel/NAME. To see the numbers of all versions of the model: "
        f"kubectl wardround results federatedmodel/{spec['modelName']} -n {meta['namespace']}"
    )


def _print_round(hub: Cluster, name: str, namespace: str, options: argparse.Namespace) -> int:
    shown = results.results(*verbs.round_with_tasks(hub, name, namespace))
    if options.output == "mlflow":
        raise CommandError("`results -o mlflow` takes federatedmodel/NAME, because it writes the versions of a model.")
    if options.output:
        print(results.text(shown, options.output, by_hospital=options.by_hospital), end="")
    else:
        _print(results.table_by_hospital(shown) if options.by_hospital else results.table(shown), PIPE_WIDTH)
        for note in () if options.by_hospital else results.notes(shown):
            print(note)
    return 0


def _print_model(hub: Cluster, name: str, namespace: str, options: argparse.Namespace) -> int:
    if options.by_hospital:
        raise CommandError("--by-hospital takes federatedround/NAME, because it shows the hospitals of one round.")
    shown = model_objects.read(*verbs.model_with_rounds(hub, name, namespace))
    if options.output == "mlflow":
        return _write_runs(shown, options.tracking_uri)
    if options.output:
        print(results_model.text(shown, options.output), end="")
    else:
        _print(results_model.table(shown), WIDE_PIPE)
        print("\n".join(results_model.notes(shown)))
    return 0


def _write_runs(shown: ModelObjects, uri: str) -> int:
    where = mlflow_runs.place(uri)
    runs = mlflow_runs.runs(shown)
    written = mlflow_store.write(uri, shown.name, runs)
    print(
        f"The experiment {shown.name} in MLflow at {where} now has one run for each version of the model: "
        f"{len(runs)} runs. The command has written {written.made} new runs and {written.points} new numbers."
    )
    return 0


def _print(table: Table, pipe_width: int) -> None:
    console = Console()
    # A pipe has no width: nothing is cut there.
    console = console if console.is_terminal else Console(width=pipe_width)
    console.print(table)
