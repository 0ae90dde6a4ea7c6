"""The outcome of a look at a Dataset or a Prediction. For these kinds, only our own image runs in a closed pod."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from wardround.manifests.pod import Manifest
from wardround.plans.pod import JOB_NOT_ADMITTED, Job

# After the API server refused the Job: just after a change it may still compare with the former objects.
ADMISSION_SECONDS = 10.0
# After the positive control has proven nothing.
UNPROVEN_SECONDS = 30.0

# For these reasons, there was no pod.
WITHOUT_A_POD = frozenset({JOB_NOT_ADMITTED, "IsolationUnproven"})

StatusT = TypeVar("StatusT")


@dataclass(frozen=True, kw_only=True)
class ClosedJobPlan(Generic[StatusT]):
    """`status` is written first. `delete`: a Job whose end the status tells. `create`: a Job that is due now, whole.

    `needs_control`: a Job is due, and the plan needs the positive control of the isolation gate. `requeue_after`:
    in seconds, None for the next event.
    """

    status: StatusT
    delete: Job | None = None
    needs_control: bool = False
    create: Manifest | None = None
    requeue_after: float | None = None
