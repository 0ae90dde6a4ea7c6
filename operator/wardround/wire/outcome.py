"""What a container of ours says when it ends: its termination message, read by the site operator.

It is written and read as an object: what there is none of is left out, and what is not known is ignored. Whoever reads
it believes it of our own containers alone, since the trainer may write anything there. docs/contracts.md, section 6.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

from wardround.wire import canonical, codec

Heard = Literal["Open", "Silent", "Absent"]


@dataclass(frozen=True)
class LeftOutRows:
    """Rows that break the Dataset's schema, by field and why. Field `*`: a row that is malformed as a whole."""

    field: str
    reason: str
    rows: int


@dataclass(frozen=True)
class LinkLocalHeard:
    """What looks at the pod's links showed. `answers`: who answered and how, without addresses."""

    heard: Heard
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`reason`, `failure_class` and `message`, for the site's people, of a failure; `field` of the Dataset's schema.

    `rows` and `patients` are of the valid dataset, `samples` what this task may claim; `link_local` is the sidecar's.
    `parameter` is the training code's: the parameter that it refuses. Only a name that the round has written counts.
    """

    reason: str | None = None
    failure_class: str | None = dataclasses.field(default=None, metadata={"json": "class"})
    message: str | None = None
    field: str | None = None
    rows: int | None = None
    patients: int | None = None
    samples: int | None = None
    schema_digest: str | None = None
    quality: tuple[LeftOutRows, ...] | None = None
    link_local: LinkLocalHeard | None = None
    parameter: str | None = None


def write(outcome: Outcome) -> bytes:
    """Return the termination message."""
    return canonical.dumps(codec.dump(outcome))


def read(text: str) -> Outcome | None:
    """Read a termination message. Return None for what is none of ours."""
    try:
        return codec.parse(Outcome, json.loads(text))
    except (ValueError, RecursionError):
        return None
