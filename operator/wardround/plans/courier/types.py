"""What the courier's next step is decided from, and the steps. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from wardround.api.approval import Approval
from wardround.api.sitetask import CourierReport, SiteTask
from wardround.api.task import Update, Upload
from wardround.wire.assignment import Assignment
from wardround.wire.grants import Grants, Put
from wardround.wire.models import Get


@dataclass(frozen=True, kw_only=True)
class SealedUpdate:
    """A durable ciphertext. `bytes`: of all of it; `parts`: of each object that the store will have; `md5`: of each of
    them, as `Content-MD5` has it; `update`: what the hub hears once the store has them."""

    bytes: int
    parts: tuple[int, ...]
    md5: tuple[str, ...]
    update: Update

    @property
    def upload(self) -> Upload:
        """What the hub hears of it before it grants the upload."""
        return Upload(bytes=self.bytes, md5=self.md5)


@dataclass(frozen=True)
class FolderView:
    """The task's folder in the workspace. `inputs`: the files in its input folders, as `folder/name`; a file has its
    name only once it is verified and whole. `has_update`: training has left an update, or the courier has sealed
    one."""

    inputs: Collection[str] = ()
    has_update: bool = False


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the courier knows of one task.

    `task` as the watch last had it; `deleted`: there is no such SiteTask any more. `approval`, `hub_fingerprint`,
    `lowest_version` (of assignments), `site_fingerprint` and `takes_models` (whether the site has a claim of models)
    are the courier's own: no API object can change them. `read_approval`, `folder`, `grants`, `sealed`, `sent` and
    `delivered` are what the steps of this pass have come to, None where no step has looked.
    """

    task: SiteTask
    deleted: bool = False
    approval: str
    read_approval: ApprovalView | None = None
    hub_fingerprint: str
    lowest_version: int
    site_fingerprint: str
    takes_models: bool
    folder: FolderView | None = None
    grants: OpenedGrants | None = None
    sealed: SealedUpdate | None = None
    sent: bool = False
    delivered: bool = False
    now: datetime


@dataclass(frozen=True)
class Leave:
    """Remove the task's folder. The courier is done with the task."""


@dataclass(frozen=True, kw_only=True)
class LookAtApproval:
    """Read the Approval of this name, by which the site operator says that it has accepted the task."""

    name: str


@dataclass(frozen=True)
class ApprovalView:
    """What the courier has read under the Approval's name; `approval` None: there is none."""

    approval: Approval | None = None


@dataclass(frozen=True)
class OpenedGrants:
    """Grants of the hub, with the sealed text from which the courier has opened them."""

    text: str
    grants: Grants


@dataclass(frozen=True)
class Rest:
    """There is nothing to do until the SiteTask changes."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write into `status.courier` what is set in `change`, and the reason if there is one."""

    change: CourierReport
    reason: str = ""


@dataclass(frozen=True)
class LookAtFolder:
    """Make the task's folders, and see what is in them."""


@dataclass(frozen=True, kw_only=True)
class OpenGrants:
    """Open the sealed grants `text` with this site's key."""

    assignment: Assignment
    text: str


@dataclass(frozen=True, kw_only=True)
class Input:
    """A model that training reads: its signed manifest and its wrapped key. `path`: its file in the task's folder."""

    path: str
    manifest: str
    wrapped_key: bytes


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Fetch this model, verify it and open it into the task's folder."""

    assignment: Assignment
    grant: Get
    input: Input


@dataclass(frozen=True, kw_only=True)
class AwaitUpdate:
    """Look for an update in the workspace, until there is one or the SiteTask changes. `requeue_after`: seconds between
    two looks."""

    requeue_after: float


@dataclass(frozen=True, kw_only=True)
class Seal:
    """Seal the update for the round's key, unless it is sealed already. It must name this base."""

    assignment: Assignment
    base_digest: str


@dataclass(frozen=True, kw_only=True)
class Send:
    """Put the ciphertext into the store."""

    puts: tuple[Put, ...]


@dataclass(frozen=True, kw_only=True)
class Deliver:
    """Put the model, which is in the task's folder, onto the claim of models."""

    assignment: Assignment


@dataclass(frozen=True, kw_only=True)
class TryAgain:
    """After trouble: report the reason, if there is one, wait, and begin a new pass. `requeue_after` None: ever longer,
    by how many `failures` came in a row. The wait ends when the SiteTask changes."""

    reason: str
    failures: int
    requeue_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a step failed. `Refused`: signed or sealed data is not as expected. `Store`, `Api`, `Workspace`: who failed.
    `Models`: the claim of models is full or does not work. `Gone`: the API server has no such SiteTask."""

    kind: Literal["Refused", "Store", "Api", "Workspace", "Models", "Gone"]
    reason: str = ""


Work = Report | LookAtApproval | LookAtFolder | OpenGrants | Fetch | AwaitUpdate | Seal | Send | Deliver
Step = Leave | Rest | Work
