"""RoundTask: one participant's part of one round, on the hub. Spec by the hub, status by the site."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api import codec
from wardround.api.conditions import Conditions
from wardround.api.meta import API_VERSION, Meta, RoundRef
from wardround.api.task import Failure, Update, Upload
from wardround.api.timeline import Timeline

KIND = "RoundTask"


@dataclass(frozen=True, kw_only=True)
class RoundTaskSpec:
    round_ref: RoundRef
    attempt: int
    assignment: str
    hub_key: str
    grants: str | None = None
    cancel: bool = False


@dataclass(frozen=True, kw_only=True)
class RoundTaskStatus:
    conditions: Conditions = ()
    failure: Failure | None = None
    upload: Upload | None = None
    update: Update | None = None
    timeline: Timeline = ()


@dataclass(frozen=True, kw_only=True)
class RoundTask:
    metadata: Meta
    spec: RoundTaskSpec
    status: RoundTaskStatus = field(default_factory=RoundTaskStatus)


def parse(value: Mapping[str, Any]) -> RoundTask:
    return codec.parse(RoundTask, value)


def manifest(name: str, namespace: str, labels: Mapping[str, str], spec: RoundTaskSpec) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": codec.dump(spec),
    }
