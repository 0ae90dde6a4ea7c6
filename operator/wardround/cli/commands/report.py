"""The verb report: writes the report of a model into one HTML file."""

import argparse
from pathlib import Path

from wardround.cli import verbs
from wardround.cli.arguments import Parsers, hint_of_namespace, target
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.cli.report import build, page, seen
from wardround.clock import system_clock


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    reporting = parsers.add_parser(
        "report",
        parents=[shared],
        help="write the report of a model into one HTML file that needs no network",
        description="Writes one HTML file about a FederatedModel. The file shows how the model improved, its versions "
        "with 95 % intervals, calibration and the card. It says which hospitals took part, which ones rounds left out "
        "and why, and what the hub knows about the quality of their data. It also shows how long each stage took. The "
        "file has no script, loads nothing from a network, and shows no number of a single hospital.",
    )
    reporting.add_argument("target", metavar="federatedmodel/NAME")
    reporting.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE.html",
        help="the file to write. The command replaces an existing file",
    )
    reporting.set_defaults(run=run_report)


def run_report(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    if kind != "FederatedModel":
        raise CommandError("`report` is about a FederatedModel: federatedmodel/NAME.")
    namespace = options.namespace or hub.default_namespace
    with hint_of_namespace(hub, options, kind, name):
        written = html(hub, name, namespace)
    try:
        options.output.write_text(written, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{options.output} cannot be written: {error.strerror}. Name another file.") from error
    print(f"Wrote {options.output}: the report of model {namespace}/{name}. Open it in a browser.")
    return 0


def html(hub: Cluster, name: str, namespace: str) -> str:
    """The report of a FederatedModel. What the caller may not read is missing in it, and the report says so."""
    model, versions, rounds = verbs.model_with_rounds(hub, name, namespace)
    schema = verbs.data_schema(hub, model["spec"]["round"]["schemaName"], namespace)
    fetched = (model, versions, rounds), verbs.tasks_of(hub, rounds), verbs.participants(hub), schema
    return page.page(build.document(seen.parse(*fetched, system_clock())))
