"""Writes runs through MLflow's own client, each once: a further command changes only what differs.

MLflow is imported here alone, because it is an extra and slow to import.
"""

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wardround.api.times import parse_time
from wardround.cli import mlflow_runs
from wardround.cli.errors import CommandError
from wardround.cli.mlflow_runs import KEY, Run
from wardround.clock import system_clock

INSTALL = "pip install '.[mlflow]'"
# Points that MLflow's servers take at once.
AT_ONCE = 1000
# By default, MLflow's client reports its use to its makers, and tries for minutes to reach a server.
SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


@dataclass(frozen=True)
class RunCounts:
    """`made`: runs that were new. `points`: numbers that were new."""

    made: int
    points: int


def write(uri: str, experiment: str, runs: Sequence[Run]) -> RunCounts:
    """Writes the runs into the experiment. Raises CommandError."""
    where = mlflow_runs.place(uri)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        tracking = importlib.import_module("mlflow.tracking")
        exceptions = importlib.import_module("mlflow.exceptions")
    except ModuleNotFoundError as error:
        package = (error.name or "mlflow").partition(".")[0]
        raise CommandError(
            f"`results -o mlflow` needs {package}, which is not installed. Run, in a copy of Wardround's "
            f"repository: {INSTALL}"
        ) from None
    try:
        return _write(tracking.MlflowClient(tracking_uri=uri), experiment, runs)
    except (exceptions.MlflowException, ImportError, OSError) as error:
        cause = mlflow_runs.without_secrets(str(error), uri)
        raise CommandError(
            f"MLflow at {where} did not take the runs of the experiment {experiment}: {cause}. Check the address, and "
            "check in MLflow whether somebody has deleted the experiment. Then repeat the command, which writes no "
            "run twice."
        ) from None


def _write(client: Any, experiment: str, runs: Sequence[Run]) -> RunCounts:
    known = client.get_experiment_by_name(experiment)
    identifier = known.experiment_id if known else client.create_experiment(experiment)
    made = points = 0
    for each in runs:
        earlier = client.search_runs([identifier], f"tags.`{KEY}` = '{each.key}'", max_results=1)
        live = earlier[0] if earlier else client.create_run(identifier, _milliseconds(each), {KEY: each.key}, each.name)
        made += not earlier
        points += _complete(client, live, each)
    return RunCounts(made, points)


def _complete(client: Any, live: Any, wanted: Run) -> int:
    """Writes what the run lacks. Returns the number of new points."""
    entities = importlib.import_module("mlflow.entities")
    run_id = live.info.run_id
    latest = {
        (metric, point.step): point.value
        for metric in {each.metric for each in wanted.points} & live.data.metrics.keys()
        for point in sorted(client.get_metric_history(run_id, metric), key=lambda each: each.timestamp)
    }
    points, now = mlflow_runs.changed(wanted.points, latest), int(system_clock().timestamp() * 1000)
    params = [entities.Param(*each) for each in wanted.params.items() if each[0] not in live.data.params]
    tags = [entities.RunTag(*each) for each in wanted.tags.items() if live.data.tags.get(each[0]) != each[1]]
    client.log_batch(run_id, params=params, tags=tags)
    for start in range(0, len(points), AT_ONCE):
        client.log_batch(
            run_id, [entities.Metric(each.metric, each.value, now, each.step) for each in points[start:][:AT_ONCE]]
        )
    if live.info.status != "FINISHED":
        client.set_terminated(run_id)
    return len(points)


def _milliseconds(run: Run) -> int:
    started = parse_time(run.started) if run.started else system_clock()
    return int(started.timestamp() * 1000)
