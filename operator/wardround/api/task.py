"""The common part of RoundTask (hub) and SiteTask (site): the request to one participant, and its progress."""

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
    """Why a task failed. `parameter`: the round's parameter that the site or the training code refuses. `bound`: the
    site's bound for it. `message`: for the site's own people; it never leaves the site."""

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
        """A failure with the reason's class from the registry. Raises KeyError if the reason has no class."""
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
    """The length of the sealed update in bytes, and the MD5 of each of its parts, as `Content-MD5` has it. The hub
    answers with PUT grants for exactly these parts. `md5` is empty at sites before it existed."""

    bytes: int
    md5: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of one hospital as text, with as many digits as its people allow."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Update:
    """An uploaded update: its signed manifest, and copies of two of its fields for people. `withheld`: the update has
    no sums, because too few people are in a class."""

    manifest: str
    samples: int = 0
    withheld: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """The hub's request. `assignment`: signed by the hub. `grants`: sealed to the courier; the hub renews them."""

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
    """The task as an object to create."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": codec.dump(spec),
    }
