"""The verb begin: asks the hub operator for the next series of a model."""

import argparse

from wardround.api import conditions, federatedmodel, names
from wardround.api.federatedmodel import FederatedModel
from wardround.api.times import to_microseconds
from wardround.cli import objects, verbs
from wardround.cli.arguments import Parsers, hint_of_namespace, target
from wardround.cli.cluster import Cluster
from wardround.cli.errors import CommandError
from wardround.clock import system_clock


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    beginning = parsers.add_parser(
        "begin",
        parents=[shared],
        help="begin the next series of a model now",
        description="Asks the hub operator to begin the next series of a FederatedModel now, before the time of its "
        "trigger. If a series runs, the next one begins after it. The command does not wait for the series.",
    )
    beginning.add_argument("target", metavar="federatedmodel/NAME")
    beginning.set_defaults(run=run_begin)


def run_begin(hub: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    if kind != federatedmodel.KIND:
        raise CommandError("`begin` takes federatedmodel/NAME, and begins its next series.")
    namespace = options.namespace or hub.default_namespace
    with hint_of_namespace(hub, options, kind, name):
        verbs.needed(hub, kind, name, namespace)
    annotations = {names.BEGIN: to_microseconds(system_clock())}
    changed = hub.patch(kind, name, namespace, {"metadata": {"annotations": annotations}})
    print(answer(objects.read(federatedmodel.parse, changed)))
    return 0


def answer(model: FederatedModel) -> str:
    """What the hub operator does about the request."""
    series, meta = model.status.series, model.metadata
    where = f"federatedmodel/{meta.name} -n {meta.namespace}"
    if series is None:
        begins = "when somebody sets spec.suspend to false" if model.spec.suspend else "now"
        return f"The first series of {where} begins {begins}."
    following = series.number + 1
    waits_for = []
    if series.stage != "Ended":
        waits_for.append(f"series {series.number} has ended")
    if model.spec.suspend:
        waits_for.append("somebody sets spec.suspend to false")
    stalled, lacking = conditions.find_true(model.status.conditions, "Stalled"), _lacking(model)
    if not waits_for and stalled is not None:
        return (
            f"Series {following} of {where} begins as soon as nothing holds it up. The FederatedModel is Stalled "
            f"({stalled.reason}): {stalled.message}"
        )
    if not waits_for:
        begins = f"Series {following} of {where} begins now. To follow it: kubectl wardround watch {where}"
        return "\n".join(filter(None, (begins, lacking)))
    why = (
        f" Series {series.number} waits for people ({stalled.reason}): kubectl wardround explain {where}"
        if stalled is not None and series.stage != "Ended"
        else ""
    )
    begins = f"Series {following} of {where} begins when {' and '.join(waits_for)}.{why}"
    return "\n".join(filter(None, (begins, lacking)))


def _lacking(model: FederatedModel) -> str:
    """Why the model has no current version, and so what the next series starts from; empty if it has one."""
    ready = conditions.find(model.status.conditions, "Ready")
    if ready is None or ready.status == "True" or not ready.message:
        return ""
    return f"The FederatedModel is not Ready ({ready.reason}): {ready.message}"
