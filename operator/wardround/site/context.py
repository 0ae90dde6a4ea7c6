"""What every reconcile of a task works with."""

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


@dataclass(frozen=True)
class Context:
    """`wake` asks for a look at another task. `participant`: this site at its hub, as last read. `hub_heard`: when the
    hub last heard of a task that runs, by name. A new process tells the hub at once."""

    own: Api
    reporter: Reporter
    link: HubLink
    held: HeldTasks
    controls: TakesControl
    operator_image: str
    participant: Callable[[], Participant | None]
    wake: Callable[[str], None]
    clock: Clock
    hub_heard: dict[str, datetime] = field(default_factory=dict)
