"""The verb watch: follows a round or a model until it ends, as a live table or as lines."""

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterator
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
# Reads an object, and makes the screen that shows it.
Fetch = Callable[[], tuple[Object, Any]]


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    ends = "exit code 0: Complete, 1: Failed or deleted, 3: --timeout has passed"
    watching = parsers.add_parser(
        "watch",
        parents=[shared],
        help=f"follow a round or the series of a model while it runs; {ends}",
        description=f"Follows a round, or the rounds of a model: {ends}. A model that waits until a person acts counts "
        "as Failed, unless one of its rounds exists and waits: the round may go on, so the command goes on too.",
    )
    watching.add_argument("target", metavar="federatedround/NAME", help="the round, or federatedmodel/NAME for a model")
    watching.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="stop watching after this time; default: watch until the round or the series ends",
    )
    watching.set_defaults(run=run_watch)


def run_watch(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or hub.default_namespace
    view, fetch = _watched(hub, kind, name, namespace)
    until = math.inf if options.timeout is None else time.monotonic() + options.timeout
    with hint_of_namespace(hub, options, kind, name):
        item, screen = fetch()
    screens = _screens(view, fetch, item["metadata"]["uid"], screen, until)
    shown = _show(view, screens)
    if shown.exit_code is None:
        say(
            f"The command stops watching after {options.timeout:g} s (--timeout). The {view.subject} has not ended, "
            "and goes on."
        )
    if shown.exit_code in (None, watch.FAILED) and shown.footer != watch.GONE:
        say(f"To see why, and who acts: kubectl wardround explain {kind.lower()}/{name} -n {namespace}")
    return watch.TIMED_OUT if shown.exit_code is None else shown.exit_code


def _watched(hub: Cluster, kind: str, name: str, namespace: str) -> tuple[watch.View[Any], Fetch]:
    """How an object of this kind is shown, and what reads it. Raises CommandError for other kinds."""
    if kind == "FederatedRound":

        def fetch_round() -> tuple[Object, Any]:
            round_, tasks = verbs.round_with_tasks(hub, name, namespace)
            return round_, watch.view(round_, tasks, system_clock())

        return watch.VIEW, fetch_round
    if kind == "FederatedModel":

        def fetch_model() -> tuple[Object, Any]:
            model, versions, rounds = verbs.model_with_rounds(hub, name, namespace)
            return model, watch_model.view(model_objects.read(model, versions, rounds), system_clock())

        return watch_model.VIEW, fetch_model
    raise CommandError(
        "`watch` takes federatedround/NAME or federatedmodel/NAME. For other kinds, use kubectl wardround explain."
    )


def _screens(view: watch.View[Any], fetch: Fetch, uid: str, screen: Any, until: float) -> Iterator[Any]:
    """What is shown now, and then at each further look, until the object ends or the time is over. An object of another
    UID is another object: the watched one was deleted."""
    yield screen
    while screen.exit_code is None and (left := until - time.monotonic()) > 0:
        time.sleep(min(REFRESH_SECONDS, left))
        try:
            item, newer = fetch()
            screen = newer if item["metadata"]["uid"] == uid else view.deleted(screen)
        except MissingError:
            screen = view.deleted(screen)
        yield screen


def _show(view: watch.View[Any], screens: Iterator[Any]) -> Any:
    """Shows the screens as a live table, or as lines where no terminal is. Returns the last one."""
    console = Console()
    before, shown = None, next(screens)
    if console.is_terminal:
        with Live(view.table(shown), console=console, auto_refresh=False) as live:
            for shown in screens:
                live.update(view.table(shown), refresh=True)
        return shown
    for screen in itertools.chain((shown,), screens):
        for line in view.lines(before, screen):
            print(line, flush=True)
        before = shown = screen
    return shown
