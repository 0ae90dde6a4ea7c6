"""What RoundTask (hub) and SiteTask (site) share: what is asked of one participant, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.conditions import Conditions
from wardround.api.meta import API_VERSION, RoundRef
from wardround.api.timeline import Timeline
from wardround.reasons import registry
from wardround.reasons.reason import FailureClass
from wardround.wire import codec


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a task failed. `parameter`: of the round's own, the one that site or training code refuses. `bound`: what the
    site allows for it. `message` is for the site's own people and never leaves the site."""

    failure_class: FailureClass = field(metadata={"json": "class"})
    reason: str
    exit_code: int | None = None
    parameter: str | None = None
    bound: str | None = None
    message: str | None = None

    @classmethod
    def by(
        cls,
        reason: str,
        message: str | None = None,
        *,
        exit_code: int | None = None,
        parameter: str | None = None,
        bound: str | None = None,
    ) -> Failure:
        """A failure for a reason, of the class that the registry gives it. Raises KeyError where it gives none."""
        return cls(
            failure_class=registry.class_of(reason),
            reason=reason,
            exit_code=exit_code,
            parameter=parameter,
            bound=bound,
            message=message,
        )


@dataclass(frozen=True, kw_only=True)
class Upload:
    """Ciphertext bytes of the update: the hub answers with PUT grants."""

    bytes: int


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Update:
    """What was sent: the signed manifest, and copies of three of its fields for people."""

    manifest: str
    samples: int = 0
    metrics: tuple[Metric, ...] = ()
    suppressed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """What the hub asks. `assignment` is signed; `grants` are sealed for the courier and renewed."""

    round_ref: RoundRef
    attempt: int
    assignment: str
    hub_key: str
    grants: str | None = None
    cancel: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskStatus:
    observed_generation: int | None = None
    conditions: Conditions = ()
    failure: Failure | None = None
    timeline: Timeline = ()


def manifest(kind: str, name: str, namespace: str, labels: Mapping[str, str], spec: TaskSpec) -> dict[str, Any]:
    """The object to create."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": codec.dump(spec),
    }
