"""What a task that runs waits for, and the reason of its failure if it waits too long.

A table for both sides. The site ends a stage whose time is over; if it does not, the hub does, for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping

# Waits that a person should look at meanwhile. Each is the reason of the failure when time is over.
TROUBLE = frozenset(
    {
        "Unschedulable",
        "ImagePullFailed",
        "WorkspaceUnusable",
        "ModelsClaimFull",
        "ModelsClaimUnusable",
        "Evicted",
        "StepFailed",
        "JobNotAdmitted",
        "SiteTaskNotAdmitted",
        "TooManyTasks",
        "ClockSkew",
        "IsolationUnproven",
        "StoreUnreachable",
        "StoreTooSlow",
        "StoreUntrusted",
        "StoreRefused",
        "StoreObjectMissing",
        "StoreObjectShort",
        "WaitingForApproval",
    }
)
# Normal waits, each with the reason of the failure when it lasted too long.
PROGRESS: Mapping[str, str] = {
    "Fetching": "FetchDeadline",
    "Delivering": "DeliveryDeadline",
    "Queued": "QueueDeadline",
    "Starting": "StartDeadline",
    "Sending": "UploadDeadline",
}
# Waits of a task that the site has not accepted yet.
UNACCEPTED = frozenset({"WaitingForApproval", "TooManyTasks", "ClockSkew", "SiteTaskNotAdmitted"})
# Waits before training. A pod that replaces one that is gone has these waits again.
BEFORE_TRAINING = frozenset(
    {
        *("Queued", "Starting", "Unschedulable", "ImagePullFailed", "Evicted"),
        *("IsolationUnproven", "JobNotAdmitted", "StepFailed"),
    }
)


def too_long(reason: str, otherwise: str) -> str:
    """Reason of the failure of a task that waited for `reason` until its time was over.

    `otherwise`: a key of PROGRESS, for a reason that is no wait.
    """
    return reason if reason in TROUBLE else PROGRESS[reason if reason in PROGRESS else otherwise]
