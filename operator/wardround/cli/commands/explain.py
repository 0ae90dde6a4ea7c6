"""The verb explain: says why an object waits, and who acts."""

import argparse
from datetime import datetime

from wardround.cli import explain, explain_requests, verbs
from wardround.cli.arguments import Parsers, hint_of_namespace, target
from wardround.cli.cluster import Cluster
from wardround.cli.errors import ForbiddenError
from wardround.cli.objects import Object
from wardround.clock import system_clock


def add(parsers: Parsers, shared: argparse.ArgumentParser) -> None:
    explaining = parsers.add_parser(
        "explain", parents=[shared], help="say why an object waits or has failed, who has to act, and how"
    )
    explaining.add_argument("target", metavar="KIND/NAME")
    explaining.set_defaults(run=run_explain)


def run_explain(cluster: Cluster, options: argparse.Namespace) -> int:
    kind, name = target(options.target)
    namespace = options.namespace or (name if kind == "Participant" else cluster.default_namespace)
    with hint_of_namespace(cluster, options, kind, name):
        explained = explanation(cluster, kind, name, namespace)
    print(explain.text(explained))
    return 0


def explanation(cluster: Cluster, kind: str, name: str, namespace: str) -> explain.Explanation:
    item = verbs.needed(cluster, kind, name, namespace)
    return explain.with_change(item, _explained(cluster, item, namespace, system_clock()))


def _explained(cluster: Cluster, item: Object, namespace: str, now: datetime) -> explain.Explanation:
    kind = item["kind"]
    if kind == "FederatedRound":
        return _round(cluster, item, now)
    beat = verbs.lease(cluster, namespace) if kind in ("Participant", "RoundTask") else None
    if kind == "FederatedModel":
        return explain.explain_model(item, _under_way(cluster, item, namespace, now))
    if kind == "ModelVersion":
        return explain.explain_version(item, _model(cluster, item, namespace))
    if kind in ("RoundTask", "SiteTask"):
        return explain.explain_task(item, beat, now)
    if kind in explain_requests.KINDS:
        return explain_requests.explain_request(item, now)
    return explain.explain_long_lived(item, beat, now)


def _under_way(cluster: Cluster, model: Object, namespace: str, now: datetime) -> dict[str, explain.Explanation]:
    """The explanations of the model's rounds that say more than the model, by the condition of the model that is about
    each. None of a round if the person may not read what it needs."""
    explained = {}
    for condition, name in explain.rounds_to_explain(model).items():
        try:
            round_ = cluster.get("FederatedRound", name, namespace)
            # The hub operator writes the name first. A round of somebody else may have it.
            if round_ and explain.is_of(model, round_) and explain.is_explained(model, round_):
                explained[condition] = _round(cluster, round_, now)
        except ForbiddenError:
            continue
    return explained


def _model(cluster: Cluster, version: Object, namespace: str) -> Object | None:
    """The FederatedModel of a ModelVersion; None also if the person may not read it. A pushed version has none."""
    if version["spec"].get("pushed"):
        return None
    try:
        return cluster.get("FederatedModel", version["spec"]["modelName"], namespace)
    except ForbiddenError:
        return None


def _round(cluster: Cluster, round_: Object, now: datetime) -> explain.Explanation:
    tasks = verbs.tasks_of(cluster, [round_]) or []
    leases = {each: verbs.lease(cluster, each) for each in {task["metadata"]["namespace"] for task in tasks}}
    return explain.explain_round(round_, tasks, leases, now)
