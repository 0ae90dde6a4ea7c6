"""Writes the runs of a model into a real MLflow database, and prints as JSON what MLflow's own client reads there.

It runs in a process of its own, where MLflow can be imported. Arguments: the tracking URI, and a URI that fails.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from tests.unit.cli.test_results_model import LOSS, TRAINED, VERSIONS, objects, version
from wardround.cli import mlflow_runs, mlflow_store
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects

Object = dict[str, Any]


def write(uri: str, shown: ModelObjects) -> Object:
    return asdict(mlflow_store.write(uri, shown.name, mlflow_runs.runs(shown)))


def written(uri: str, experiment: str) -> list[Object]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    known = client.get_experiment_by_name(experiment)
    return [
        {
            "name": each.info.run_name,
            "status": each.info.status,
            "metrics": each.data.metrics,
            "params": each.data.params,
            "tags": each.data.tags,
            "losses": [point.value for point in client.get_metric_history(each.info.run_id, "validation.loss")],
            "course": {
                point.step: point.value
                for point in client.get_metric_history(each.info.run_id, "series.validation.loss")
            },
        }
        for each in client.search_runs([known.experiment_id], order_by=["attributes.start_time ASC"])
    ]


def main(uri: str, wrong: str) -> None:
    shown = objects()
    counted = [write(uri, shown), write(uri, shown)]
    before = written(uri, shown.name)
    # A later evaluation has measured the version again.
    again = objects(versions=[version(2, TRAINED, {**LOSS, "value": "0.30"}), VERSIONS[1]])
    counted += [write(uri, again), write(uri, again)]
    refusal = ""
    try:
        write(wrong, shown)
    except CommandError as error:
        refusal = str(error)
    from mlflow.telemetry import get_telemetry_client

    answer = {
        "counted": counted,
        "before": before,
        "after": written(uri, shown.name),
        "refusal": refusal,
        "telemetry": get_telemetry_client() is not None,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
