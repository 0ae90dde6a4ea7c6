"""The types of the Site's plan: an observation goes in, actions come out. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from wardround.api.dataset import Dataset
from wardround.api.participant import Participant
from wardround.api.site import Site, SiteStatus
from wardround.plans.sitetask.held import HeldTask

# The hub does not let the site in. This lasts until a person acts.
ShutOut = Literal["NotEnrolled", "EnrolmentExpired", "HubForbids"]
LinkState = Literal["Connecting", "Connected", "HubUnreachable"] | ShutOut


@dataclass(frozen=True)
class Link:
    """How the site stands with its hub, by the last renewal of its Lease there."""

    state: LinkState
    message: str = ""

    @property
    def shut_out(self) -> bool:
        return self.state in get_args(ShutOut)


@dataclass(frozen=True)
class TokenLife:
    """When the token for the hub was issued and when it expires."""

    issued: datetime
    expires: datetime


@dataclass(frozen=True)
class OpenTask:
    """A RoundTask at the hub that has not ended. `created`: a time as text."""

    created: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that the plan of the Site may know.

    `link`: as it was when the site asked the hub. `hub_reached`: the hub has answered all that the site asked at this
    look. `participant`: this site at its hub, as last read. `open_tasks`: in any order; None if the site did
    not ask for them. `datasets`: those of this site. `held`: records of all its SiteTasks. `seen_generation`: the
    Site's generation at the last look of this process; None at the first. `token`: None if it does not say how long it
    lives.
    """

    site: Site
    link: Link
    hub_reached: bool = False
    participant: Participant | None = None
    open_tasks: Sequence[OpenTask] | None = None
    datasets: Sequence[Dataset] = ()
    held: Sequence[HeldTask] = ()
    seen_generation: int | None = None
    token: TokenLife | None = None
    now: datetime


@dataclass(frozen=True, kw_only=True)
class WakeTasks:
    """Look at these tasks in this order, and at those in `behind` after all others."""

    names: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RenewToken:
    """Get a new token from the hub, and keep it in the enrolment Secret."""


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Write this site's part of the Participant's status at the hub."""

    report: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resume:
    """After a time without the hub: look at the tasks again, without waiting for a watch to notice a change."""

    wake: WakeTasks


@dataclass(frozen=True, kw_only=True)
class WriteStatus:
    """Write the Site's status."""

    status: SiteStatus


# After one of these has failed, the others wait for the next look. The Site's own status does not depend on them.
AtHub = RenewToken | Publish | Resume
Action = WakeTasks | AtHub | WriteStatus


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Actions in order. `requeue_after`: in seconds."""

    actions: tuple[Action, ...]
    requeue_after: float
