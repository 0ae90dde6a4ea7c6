"""The verb watch: follows a round or a model until it ends, as a live table or as lines."""

import argparse
import math
import time
from typing import Any

from rich.console import Console
from rich.live import Live

from wardround.cli import model_objects, verbs, watch, watch_model
from wardround.cli.arguments import Parsers, hint_of_namespace, seconds, target
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError, MissingError
from wardround.cli.terminal import say
from wardround.clock import system_clock

REFRESH_SECONDS = 1.0


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    ends = "exit code 0: Complete, 1: Failed or deleted, 3: --timeout has passed"
    watching = parsers.add_parser(
        "watch",
        parents=[shared],
        help=f"follow a round or the series of a model while it runs; {ends}",
        description=f"Follows a round, or the rounds of a model: {ends}. A model that waits until a person acts counts "
        "as Failed.",
    )
    watching.add_argument("target", metavar="federatedround/NAME", help="the round, or federatedmodel/NAME for a model")
    watching.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="stop watching after this time; default: at the end"
    )
    watching.set_defaults(run=run_watch)


def run_watch(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or hub.default_namespace
    view: watch.View[Any]
    if kind == "FederatedRound":
        view = watch.VIEW

        def fetch() -> tuple[Object, Any]:
            round_, tasks = verbs.round_with_tasks(hub, name, namespace)
            return round_, watch.view(round_, tasks, system_clock())
    elif kind == "FederatedModel":
        view = watch_model.VIEW

        def fetch() -> tuple[Object, Any]:
            model, versions, rounds = verbs.model_with_rounds(hub, name, namespace)
            return model, watch_model.view(model_objects.read(model, versions, rounds), system_clock())
    else:
        raise CommandError(
            "`watch` follows federatedround/NAME or federatedmodel/NAME. For other kinds, use kubectl wardround "
            "explain."
        )

    until = math.inf if options.timeout is None else time.monotonic() + options.timeout
    with hint_of_namespace(hub, options, kind, name):
        item, shown = fetch()
    uid = item["metadata"]["uid"]

    def look() -> Any:
        try:
            newer, newest = fetch()
        except MissingError:
            return view.deleted(shown)
        return newest if newer["metadata"]["uid"] == uid else view.deleted(shown)

    def wait() -> bool:
        """Pauses before the next look. Returns False if there is none: the round or the time is over."""
        left = until - time.monotonic()
        if shown.exit_code is not None or left <= 0:
            return False
        time.sleep(min(REFRESH_SECONDS, left))
        return True

    console = Console()
    if console.is_terminal:
        with Live(view.table(shown), console=console, auto_refresh=False) as live:
            while wait():
                shown = look()
                live.update(view.table(shown), refresh=True)
    else:
        before = None
        while True:
            for line in view.lines(before, shown):
                print(line, flush=True)
            if not wait():
                break
            before, shown = shown, look()
    if shown.exit_code is None:
        say(f"After {options.timeout:g} s the {view.subject} has not ended.")
    if shown.exit_code in (None, watch.FAILED) and shown.footer != watch.GONE:
        say(f"To see why, and who acts: kubectl wardround explain {kind.lower()}/{name} -n {namespace}")
    return watch.TIMED_OUT if shown.exit_code is None else shown.exit_code
