"""What the reconciles of the site operator work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from wardround.api.participant import Participant
from wardround.clock import Clock
from wardround.kube.events import Reporter
from wardround.ports import Api
from wardround.site.control import TakesControl
from wardround.site.held import HeldTasks
from wardround.site.link import HubLink


@dataclass(frozen=True, kw_only=True)
class PodContext:
    """What a reconcile needs that may make a Job. `operator_image`: the image of our own containers."""

    own: Api
    reporter: Reporter
    link: HubLink
    controls: TakesControl
    operator_image: str
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class TaskContext(PodContext):
    """`wake` asks for a look at another task. `participant`: this site at its hub, as last read. `hub_heard`: when the
    hub last heard of a task that runs, by name. A new process tells the hub at once."""

    held: HeldTasks
    participant: Callable[[], Participant | None]
    wake: Callable[[str], None]
    hub_heard: dict[str, datetime] = field(default_factory=dict)
