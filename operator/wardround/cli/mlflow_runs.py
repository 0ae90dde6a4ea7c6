"""Describes the versions of a model as runs of MLflow. Pure: knows neither MLflow's client nor a network.

A run holds the numbers that `results -o json` prints of a version, but for those of single hospitals: people who read
MLflow need no right on the hub.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from wardround.api.federatedround import ResultMetric
from wardround.api.modelversion import ModelVersion
from wardround.cli.errors import CommandError
from wardround.cli.model_objects import ModelObjects
from wardround.cli.shared_numbers import without_single_hospitals

# The tag by which a later command finds the run of a version again.
KEY = "wardround.version_uid"
# Schemes of MLflow's tracking URIs. Others would be a folder of that name.
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
_NUMBER = re.compile(r"-?[0-9.]+([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Point:
    """A number of a run. `step`: number of the Train round whose model it is about, 0 for the version itself."""

    metric: str
    value: float
    step: int


@dataclass(frozen=True)
class Run:
    """A version as a run. `key`: UID of the version. `started`: when the round began that made it, None if unknown.

    MLflow never changes a parameter of a run. Tags may change.
    """

    key: str
    name: str
    started: str | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: tuple[Point, ...]


def runs(shown: ModelObjects) -> tuple[Run, ...]:
    """One run for each version. Raises CommandError if there is no version."""
    shown = without_single_hospitals(shown)
    if not shown.versions:
        meta = shown.model.metadata
        raise CommandError(
            f"Model {shown.name} has no version yet, so MLflow gets no run. To see how far it is, or why it waits: "
            f"kubectl wardround explain federatedmodel/{meta.name} -n {meta.namespace}"
        )
    return tuple(_run(shown, each) for each in shown.versions)


def _run(shown: ModelObjects, version: ModelVersion) -> Run:
    made_by = shown.round(version.spec.round_name)
    tested = version.status.test.metrics if version.status.test else ()
    metrics = (*version.status.metrics, *tested)
    points = [point for each in metrics for point in _points(each, _prefix(each), 0)]
    return Run(
        key=version.metadata.uid,
        name=version.metadata.name,
        started=made_by.metadata.creation_timestamp if made_by else None,
        params=_params(shown, version),
        tags=_tags(shown, version),
        points=(*points, *_course(shown, version)),
    )


def _prefix(metric: ResultMetric) -> str:
    return f"{metric.rows.lower()}.{metric.name}"


def _points(metric: ResultMetric, name: str, step: int) -> Iterable[Point]:
    texts = {"": metric.value, ".low": metric.low, ".high": metric.high}
    for suffix, text in texts.items():
        if text is not None and _NUMBER.fullmatch(text):
            yield Point(name + suffix, float(text), step)
    yield Point(f"{name}.people", float(metric.people), step)
    yield Point(f"{name}.hospitals", float(metric.hospitals), step)


def _course(shown: ModelObjects, version: ModelVersion) -> Iterable[Point]:
    """How the models of the Train rounds of this version's series were measured. Known of the newest series alone."""
    series = shown.model.status.series
    if series is None or series.number != version.spec.series:
        return
    measured = shown.measured()
    for entry in shown.series_rounds:
        if entry.task == "Train":
            for metric in measured.get(entry.name, {}).values():
                yield from _points(metric, f"series.{_prefix(metric)}", entry.number)


def _params(shown: ModelObjects, version: ModelVersion) -> dict[str, str]:
    spec = version.spec
    params = {
        "version": str(spec.version),
        "series": str(spec.series),
        "round": spec.round_name,
        "digest": spec.digest,
        "schemaName": shown.model.spec.schema_name,
    }
    made_by = shown.round(spec.round_name)
    if made_by is None:
        return params
    asked = made_by.spec
    return params | {
        **({"image": asked.image} if asked.image else {}),
        "command": json.dumps(asked.command),
        "aggregation.strategy": asked.aggregation.strategy,
        "aggregation.compression": asked.aggregation.compression,
        "quorum.min": str(asked.quorum.min),
        **{f"parameters.{name}": value for name, value in asked.parameters.items()},
    }


def _tags(shown: ModelObjects, version: ModelVersion) -> dict[str, str]:
    name, status, verdict = version.metadata.name, shown.model.status, version.status.verdict
    role = "current" if name == status.current else "candidate" if name == status.candidate else "earlier"
    judged = {"wardround.verdict": verdict.outcome, "wardround.verdict_reason": verdict.reason} if verdict else {}
    return {KEY: version.metadata.uid, "wardround.model": shown.name, "wardround.role": role, **judged}


def changed(points: Iterable[Point], latest: Mapping[tuple[str, int], float]) -> list[Point]:
    """The points that a run lacks. `latest`: its newest value by metric and step."""
    return [each for each in points if latest.get((each.metric, each.step)) != each.value]


def place(uri: str) -> str:
    """The tracking server for people, without user, password, path or query, which may hold secrets.

    Raises CommandError if the text is no tracking URI.
    """
    if not uri:
        raise CommandError(
            "`results -o mlflow` needs the address of an MLflow server or database. Give it after --tracking-uri, or "
            "set the variable MLFLOW_TRACKING_URI: for example https://mlflow.example or sqlite:////path/to/mlflow.db."
        )
    wrong = CommandError(
        "--tracking-uri takes the address of an MLflow server or database, such as https://mlflow.example or "
        "sqlite:////path/to/mlflow.db. In a user or password, write / as %2F, # as %23, ? as %3F, [ as %5B and @ as "
        "%40. Correct the address and repeat the command."
    )
    try:
        parts = urlsplit(uri)
        scheme, host, port = parts.scheme.partition("+")[0], parts.hostname, parts.port
    except ValueError:
        # The message of urlsplit quotes a part of the password.
        raise wrong from None
    # A password with a character that is not escaped ends the host early, and the rest of it becomes a path.
    if scheme not in SCHEMES or "@" in parts.path + parts.query + parts.fragment:
        raise wrong
    if scheme == "sqlite":
        return f"{parts.scheme}://{parts.path}"
    return f"{parts.scheme}://{host or '?'}" + (f":{port}" if port else "")


def without_secrets(text: str, uri: str) -> str:
    """A message of MLflow's client without the secrets of the tracking URI."""
    parts = urlsplit(uri)
    password = parts.password or ""
    user = parts.netloc.rpartition("@")[0]
    path = "" if parts.scheme.partition("+")[0] == "sqlite" else parts.path.strip("/")
    secrets = {uri, user, parts.query, password, unquote(password), path} - {""}
    for each in sorted(secrets, key=len, reverse=True):
        text = text.replace(each, "...")
    return text
