"""SiteTask: the site's mirror of a RoundTask and owner of its Job. `status.courier` is the courier's alone to write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api import codec
from wardround.api.conditions import Conditions
from wardround.api.meta import API_VERSION, Meta, RoundRef
from wardround.api.task import Failure, Update, Upload
from wardround.api.timeline import Timeline

KIND = "SiteTask"


@dataclass(frozen=True, kw_only=True)
class SiteTaskSpec:
    round_ref: RoundRef
    round_task_uid: str
    attempt: int
    assignment: str
    hub_key: str
    grants: str | None = None
    cancel: bool = False
    approved: bool = False


@dataclass(frozen=True, kw_only=True)
class CourierReport:
    """`input` is `Ready` when the base lies in the workspace; `reason` says why the courier failed."""

    input: str | None = None
    upload: Upload | None = None
    update: Update | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class SiteTaskStatus:
    conditions: Conditions = ()
    failure: Failure | None = None
    timeline: Timeline = ()
    courier: CourierReport | None = None


@dataclass(frozen=True, kw_only=True)
class SiteTask:
    metadata: Meta
    spec: SiteTaskSpec
    status: SiteTaskStatus = field(default_factory=SiteTaskStatus)


def parse(value: Mapping[str, Any]) -> SiteTask:
    return codec.parse(SiteTask, value)


def manifest(name: str, namespace: str, labels: Mapping[str, str], spec: SiteTaskSpec) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": codec.dump(spec),
    }
