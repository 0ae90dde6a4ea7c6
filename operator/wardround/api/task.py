"""What RoundTask (hub) and SiteTask (site) share: progress and failure of one participant's part of a round."""

from dataclasses import dataclass, field
from typing import Literal

FailureClass = Literal["Site", "Code", "Platform", "Network"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a task failed. `message` is for the site's own people and never leaves the site."""

    failure_class: FailureClass = field(metadata={"json": "class"})
    reason: str
    exit_code: int | None = None
    message: str | None = None


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
    """What was sent: the signed manifest, and copies of two of its fields for people."""

    manifest: str
    samples: int = 0
    metrics: tuple[Metric, ...] = ()
