"""All reasons by name, and what to say of one, also of one that this version does not know. Decides nothing else.

Hub and command line speak from here. A site sends reasons, never text: a message could carry a patient's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wardround.reasons.progress import PROGRESS
from wardround.reasons.reason import CLUSTER, HOSPITAL, IMAGE, NETWORK, FailureClass, Reason
from wardround.reasons.refusals import REFUSALS
from wardround.reasons.rounds import ROUNDS
from wardround.reasons.sites import SITES
from wardround.reasons.training import TRAINING
from wardround.reasons.transfers import TRANSFERS

REASONS: Mapping[str, Reason] = MappingProxyType(
    {each.name: each for each in (*REFUSALS, *TRAINING, *TRANSFERS, *ROUNDS, *SITES, *PROGRESS)}
)
_BY_CLASS = {
    "Site": (HOSPITAL, "Run `kubectl wardround explain sitetask/TASK -n SITE_NAMESPACE` at the site."),
    "Code": (IMAGE, "Read the log of the training Job at the site."),
    "Platform": (CLUSTER, "Check the training pod and its node at the site."),
    "Network": (NETWORK, "Check that the site's network lets connections out to hub and store."),
}


def class_of(reason: str) -> FailureClass:
    """The class of a task's failure. Raises KeyError for what no task fails of."""
    found = REASONS[reason].failure_class
    if found is None:
        raise KeyError(reason)
    return found


def is_retried(reason: str, failure_class: str) -> bool:
    """Whether the hub asks for another attempt after a site's failure. The site's word for the class counts only
    for a reason that this version does not know."""
    known = REASONS.get(reason)
    if known is None or known.failure_class is None:
        return failure_class in ("Platform", "Network")
    return known.retried


def reason_for(name: str, failure_class: str = "") -> Reason:
    """The reason of this name. One that is unknown is called unknown, and its class says whose problem it is."""
    if name in REASONS:
        return REASONS[name]
    meaning = f"This version of Wardround does not know the reason {name}." if name else "There is no reason."
    owner, action = _BY_CLASS.get(failure_class, (CLUSTER, "Read the message beside it, and the log of the operator."))
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
    """What to tell of `reason` at participant `name`, in sentences. `guess`: the name that was probably meant."""
    about = reason_for(reason, failure_class).about(name, federation, dataset, task=task, parameter=parameter)
    return f"{name}: {about.meaning}{meant(guess)} {about.advice}"


def meant(guess: str) -> str:
    """A sentence after others, or nothing."""
    return f" Was {guess} meant?" if guess else ""
