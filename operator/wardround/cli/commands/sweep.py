"""The verbs sweep and compare: make models or a round with the person's rights, and show what was measured."""

import argparse
import time
from pathlib import Path

from rich.console import Console

from wardround.api import conditions, federatedmodel, federatedround, modelversion, names
from wardround.cli import comparison, model_objects, results, sweeps, verbs, watch
from wardround.cli.arguments import Parsers, add_timeout, hint_of_namespace, target
from wardround.cli.cluster import Cluster, Object
from wardround.cli.commands.results import WIDE_PIPE
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects
from wardround.cli.terminal import say
from wardround.clock import system_clock

POLL_SECONDS = 1.0


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    sweeping = parsers.add_parser(
        "sweep",
        parents=[shared],
        help="train one model for each combination of parameters, and rank the models",
        description="Makes one FederatedModel for each combination of values. Each of them has one series, no "
        "delivery and no automatic promotion, and reads no test rows. Run the same command again to see the models "
        "ranked by their loss on validation rows. Each model uses up a part of the hospitals' evaluation budgets "
        "(policy.maxEvaluations).",
    )
    sweeping.add_argument("file", type=Path, metavar="FILE", help="a file with one FederatedModel")
    sweeping.add_argument(
        "--set",
        action="append",
        required=True,
        dest="values",
        metavar="PARAMETER=VALUE,VALUE",
        help="the values of a parameter that spec.series.parameters of FILE names. Repeat the option for further "
        f"parameters: at most {sweeps.MOST_MODELS} combinations",
    )
    sweeping.set_defaults(run=run_sweep)
    comparing = parsers.add_parser(
        "compare",
        parents=[shared],
        help="compare two models or versions in pairs",
        description="Compares two models: makes one Evaluate round that measures both on the validation rows of the "
        "same patients, waits for it, and shows the difference between their losses. While the command waits, it says "
        "on stderr what the round and each hospital do. Of each model, it takes the version that you name, or else the "
        "current version, or the newest one if none is current. Each comparison uses up a part of the hospitals' "
        "evaluation budgets (policy.maxEvaluations).",
    )
    comparing.add_argument("one", metavar="federatedmodel/NAME[@VERSION]")
    comparing.add_argument("other", metavar="federatedmodel/NAME[@VERSION]")
    add_timeout(comparing, 3600.0, "the round")
    comparing.set_defaults(run=run_compare)


def run_sweep(hub: Cluster, options: argparse.Namespace) -> int:
    model = sweeps.from_file(options.file)
    namespace = options.namespace or model["metadata"].get("namespace") or hub.default_namespace
    planned = sweeps.members(model, sweeps.values(options.values), namespace)
    known = {each["metadata"]["name"]: each for each in hub.list(federatedmodel.KIND, namespace)}
    for each in sweeps.missing(planned, known):
        known[each.name] = hub.create(each.item)
        say(f"Created federatedmodel/{each.name}")
    ranked = sweeps.ranking(planned, known, hub.list(modelversion.KIND, namespace, names.MODEL_UID))
    console = Console()
    console = console if console.is_terminal else Console(width=WIDE_PIPE)
    console.print(sweeps.table(model["metadata"]["name"], ranked))
    print("\n".join(sweeps.lines(ranked, namespace)))
    return 0


def run_compare(hub: Cluster, options: argparse.Namespace) -> int:
    namespace = options.namespace or hub.default_namespace
    (one, first), (other, second) = (_model(hub, options, text, namespace) for text in (options.one, options.other))
    planned = comparison.federated_round(one, other, (first, second))
    name = planned["metadata"]["name"]
    live = hub.get(federatedround.KIND, name, namespace)
    if live is None:
        live = hub.create(planned)
        say(f"Created federatedround/{name}")
    comparison.check(live, planned)
    ended = _ended(hub, live, options.timeout)
    console = Console()
    console = console if console.is_terminal else Console(width=WIDE_PIPE)
    console.print(results.table(results.results(ended, [])))
    return 0


def _model(hub: Cluster, options: argparse.Namespace, text: str, namespace: str) -> tuple[ModelObjects, str]:
    """A model and the number of its version that the person names; empty without one. Raises CommandError."""
    kind, name = target(text)
    if kind != federatedmodel.KIND:
        raise CommandError(
            "`compare` takes two models: federatedmodel/NAME federatedmodel/NAME. To name a version: "
            "federatedmodel/NAME@VERSION."
        )
    name, _, number = name.partition("@")
    with hint_of_namespace(hub, options, kind, name):
        return model_objects.read(*verbs.model_with_rounds(hub, name, namespace)), number


def _ended(hub: Cluster, live: Object, timeout: float) -> Object:
    """The round once it is Complete. Until then, each change of the round or of a hospital is said. Raises CommandError
    if the round has failed, is gone, or the time is over."""
    name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
    until = time.monotonic() + timeout
    why = f"kubectl wardround explain federatedround/{name} -n {namespace}"
    before: watch.Screen | None = None
    while True:
        known = federatedround.parse(live).status.conditions
        if conditions.is_true(known, "Complete"):
            return live
        if conditions.is_true(known, "Failed"):
            raise CommandError(
                f"Round {name} has failed. To see why: {why}. To compare again, delete the round: kubectl delete "
                f"federatedround {name} -n {namespace}"
            )
        shown = watch.view(live, verbs.tasks_of(hub, [live]) or [], system_clock())
        for line in watch.lines(before, shown):
            say(line)
        before = shown
        if time.monotonic() > until:
            raise CommandError(
                f"Round {name} has not ended within {timeout:g} s. Run the command again. To see why: {why}"
            )
        time.sleep(POLL_SECONDS)
        live = verbs.needed(hub, federatedround.KIND, name, namespace)
