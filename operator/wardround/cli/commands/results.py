"""The verb results: prints the numbers of a round."""

import argparse

from rich.console import Console

from wardround.cli import results, verbs
from wardround.cli.arguments import Parsers, hint_of_namespace, target
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError

PIPE_WIDTH = 160


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    telling = parsers.add_parser(
        "results",
        parents=[shared],
        help="show the numbers of a complete round, with intervals",
        description="Shows each metric of a complete round: its value with a 95 % interval, the people and hospitals "
        "that it covers, the rows and the model that were measured, and whether a higher or a lower value is better.",
    )
    telling.add_argument("target", metavar="federatedround/NAME")
    telling.add_argument(
        "--by-hospital",
        action="store_true",
        help="also show each hospital's own numbers, if policy.tellOwnMetrics of its Site is true",
    )
    telling.add_argument("-o", dest="output", choices=("csv", "json"), help="default: a table")
    telling.set_defaults(run=run_results)


def run_results(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    if kind != "FederatedRound":
        raise CommandError("`results` shows the numbers of a FederatedRound: federatedround/NAME.")
    namespace = options.namespace or hub.default_namespace
    with hint_of_namespace(hub, options, kind, name):
        shown = results.results(*verbs.round_with_tasks(hub, name, namespace))
    if options.output:
        print(results.text(shown, options.output, by_hospital=options.by_hospital), end="")
        return 0
    console = Console()
    # A pipe has no width: nothing is cut there.
    console = console if console.is_terminal else Console(width=PIPE_WIDTH)
    console.print(results.table_by_hospital(shown) if options.by_hospital else results.table(shown))
    return 0
