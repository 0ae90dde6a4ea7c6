"""What a task under way waits for, whose problem that is, and the reason of its failure when it waited too long.

A table for both sides. The site ends a stage whose time is over; if it does not, the hub does, for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from wardround.api.task import FailureClass

# What does not pass by itself: somebody should look at it meanwhile, and it is the reason when time is over.
TROUBLE: Mapping[str, FailureClass] = {
    "Unschedulable": "Platform",
    "ImagePullFailed": "Platform",
    "WorkspaceUnusable": "Platform",
    "Evicted": "Platform",
    "StepFailed": "Platform",
    "TooManyTasks": "Platform",
    "IsolationUnproven": "Network",
    "StoreUnreachable": "Network",
    "StoreTooSlow": "Network",
    "StoreUntrusted": "Network",
    "StoreRefused": "Network",
    "StoreObjectMissing": "Network",
    "StoreObjectShort": "Network",
    "WaitingForApproval": "Site",
}
# What is as it should be, and the name of having lasted too long.
PROGRESS: Mapping[str, tuple[str, FailureClass]] = {
    "Fetching": ("FetchDeadline", "Network"),
    "Queued": ("QueueDeadline", "Platform"),
    "Starting": ("StartDeadline", "Platform"),
    "Sending": ("UploadDeadline", "Network"),
}
# Only of these that come before training: a pod that has lost its node waits for them again.
BEFORE_TRAINING = frozenset({"Queued", "Starting", "Unschedulable", "ImagePullFailed", "Evicted"})


def too_long(reason: str, otherwise: str) -> tuple[str, FailureClass]:
    """Reason and class of the failure of a task that waited for `reason` until its time was over.

    `otherwise`: a key of PROGRESS, for a reason that is no wait.
    """
    if reason in TROUBLE:
        return reason, TROUBLE[reason]
    return PROGRESS[reason if reason in PROGRESS else otherwise]
