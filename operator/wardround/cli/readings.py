"""Asks a site to read a Dataset without a round, and says what the reading found; renders, and waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wardround.api import conditions, dataset, names
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import MissingError
from wardround.cli.objects import printable
from wardround.wire import codec


@dataclass(frozen=True)
class Answer:
    """`lines`: for people. `ready`: whether the Dataset is Ready."""

    lines: tuple[str, ...]
    ready: bool


def ask(site: Cluster, name: str, namespace: str, request: str) -> None:
    """Asks for a reading by a new value of the annotation. Raises CommandError."""
    if site.get("Dataset", name, namespace) is None:
        raise MissingError(
            f"There is no Dataset {name} in namespace {namespace} on {site.server}. To see the Datasets: kubectl get "
            f"datasets -n {namespace}."
        )
    site.patch("Dataset", name, namespace, {"metadata": {"annotations": {names.READ: request}}})


def answer(item: Object, request: str) -> Answer | None:
    """The answer to a request, once the site operator has written it."""
    status = codec.parse(dataset.DatasetStatus, item.get("status") or {})
    reading = status.reading
    if reading is None or reading.request != request:
        return None
    ready = conditions.find(status.conditions, "Ready")
    lines = [f"Dataset {item['metadata']['name']}, read at {reading.ended_at}: {reading.reason}"]
    if reading.message and not (ready and reading.message.rstrip(".") in ready.message):
        lines.append(f"  {reading.message}")
    if ready is not None:
        lines.append(f"Ready: {ready.status} {ready.reason}")
        lines.append(f"  {ready.message}")
    lines += _counts(status)
    is_read = reading.reason == "Read" and ready is not None and ready.status == "True"
    return Answer(tuple(printable(line) for line in lines), is_read)


def _counts(status: dataset.DatasetStatus) -> list[str]:
    if status.rows is None:
        return []
    left_out = status.left_out
    lines = [f"valid rows: {status.rows} of {status.patients} patients; features: {status.features}"]
    if left_out is not None and left_out.rows:
        lines.append(f"rows left out: {left_out.rows} (share {left_out.share})")
        lines += [f"  {each.field} {each.reason} {each.rows}" for each in left_out.fields]
    return lines


def waiting(item: Mapping[str, Any], seconds: float) -> str:
    """What to do if there is no answer in time."""
    name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
    pod = f"kubectl describe pod {names.reading_name(item['metadata']['uid'])} -n {namespace}"
    return (
        f"The command stops waiting after {seconds:.0f} s, and the reading of Dataset {name} goes on. To see what its "
        f"pod waits for: {pod}. If there is no such pod, read the log of the site operator: kubectl logs "
        f"deployment/site-operator -n {namespace}."
    )
