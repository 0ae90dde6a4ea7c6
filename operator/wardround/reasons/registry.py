"""All reasons by name, and the texts that explain a reason, known to this version or not. Decides nothing else.

The hub and the command line use these texts. A site sends reasons, never text: a message could carry a patient's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wardround.reasons.approvals import APPROVALS
from wardround.reasons.deliveries import DELIVERIES
from wardround.reasons.models import MODELS, VERDICTS
from wardround.reasons.participants import PARTICIPANTS
from wardround.reasons.pods import PODS
from wardround.reasons.predictions import PREDICTIONS
from wardround.reasons.progress import PROGRESS
from wardround.reasons.pushes import PUSHES
from wardround.reasons.reason import CLUSTER, HOSPITAL, IMAGE, NETWORK, FailureClass, Reason
from wardround.reasons.refusals import REFUSALS
from wardround.reasons.rounds import ROUNDS
from wardround.reasons.sites import SITES
from wardround.reasons.training import TRAINING
from wardround.reasons.transfers import TRANSFERS

REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        each.name: each
        for each in (
            *REFUSALS,
            *APPROVALS,
            *TRAINING,
            *PODS,
            *TRANSFERS,
            *DELIVERIES,
            *PARTICIPANTS,
            *ROUNDS,
            *SITES,
            *MODELS,
            *VERDICTS,
            *PREDICTIONS,
            *PUSHES,
            *PROGRESS,
        )
    }
)
# A task fails for these reasons on the word of a container of our own image in its pod: its termination message is
# believed on these alone.
POD = frozenset(name for name, each in REASONS.items() if "Pod" in each.reporters)
# A task fails for these reasons on the courier's word. After every other reason the courier tries again, and the task
# waits.
COURIER = frozenset(name for name, each in REASONS.items() if "Courier" in each.reporters)
_BY_CLASS = {
    "Site": (HOSPITAL, "Run `kubectl wardround explain sitetask/TASK -n SITE_NAMESPACE` at the site."),
    "Code": (IMAGE, "Read the log of the training Job at the site."),
    "Platform": (CLUSTER, "Check the training pod and its node at the site."),
    "Network": (NETWORK, "Check that the site's network lets connections out to hub and store."),
}

_READ_LOGS = (
    "Read the condition's message, and the log of the operator: `kubectl logs deployment/site-operator -n "
    "SITE_NAMESPACE` at the site, or `kubectl logs deployment/hub-operator -n wardround-hub` on the hub."
)


def class_of(reason: str) -> FailureClass:
    """The failure class of a reason. Raises KeyError if no task fails for this reason."""
    failure_class = REASONS[reason].failure_class
    if failure_class is None:
        raise KeyError(reason)
    return failure_class


def is_lasting(reason: str) -> bool:
    """Whether each further round that asks for the same fails for this reason too."""
    return reason in REASONS and REASONS[reason].lasting


def ends_series(reason: str) -> bool:
    """Whether a series ends when its Train round fails for this reason."""
    return reason in REASONS and REASONS[reason].ends_series


def is_retried(reason: str, failure_class: str) -> bool:
    """Whether the hub makes another attempt after a site's failure. The site's `failure_class` counts only for a
    reason that this version does not know."""
    known = REASONS.get(reason)
    if known is None or known.failure_class is None:
        return failure_class in ("Platform", "Network")
    return known.retried


def reason_for(name: str, failure_class: str = "") -> Reason:
    """The reason with this name. For an unknown name, a text that says so; its class then decides the owner."""
    if name in REASONS:
        return REASONS[name]
    meaning = f"This version of Wardround does not know the reason {name}." if name else "There is no reason."
    owner, action = _BY_CLASS.get(failure_class, (CLUSTER, _READ_LOGS))
    return Reason(name=name, owner=owner, meaning=meaning, action=action)


def advise(
    reason: str,
    name: str,
    *,
    federation: str = "",
    dataset: str = "",
    task: str = "",
    failure_class: str = "Site",
    parameter: str = "",
    guess: str = "",
) -> str:
    """Sentences that explain `reason` at participant `name`. `guess`: the name that the author probably meant."""
    about = reason_for(reason, failure_class).about(name, federation, dataset, task=task, parameter=parameter)
    return f"{name}: {about.meaning}{meant(guess)} {about.advice}"


def meant(guess: str) -> str:
    """A sentence that offers the guess, or nothing."""
    return f" Was {guess} meant?" if guess else ""
