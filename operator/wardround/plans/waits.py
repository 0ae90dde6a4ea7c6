"""Sets of the reasons with which a task waits, and the reason of its failure if it waits too long.

For both sides. The site ends a stage whose time is over; if it does not, the hub does, for the same reason. Each reason
says itself how a task waits with it (`Reason.wait`).
"""

from __future__ import annotations

from collections.abc import Mapping

from wardround.reasons.reason import Wait
from wardround.reasons.registry import REASONS

WAITS: Mapping[str, Wait] = {name: each.wait for name, each in REASONS.items() if each.wait is not None}
# Waits that a person should look at meanwhile.
TROUBLE = frozenset(name for name, wait in WAITS.items() if wait.deadline is None)
# Waits of a task that the site has not accepted yet.
UNACCEPTED = frozenset(name for name, wait in WAITS.items() if wait.stage == "Acceptance")
# Waits before training. A pod that replaces one that is gone has these waits again.
BEFORE_TRAINING = frozenset(name for name, wait in WAITS.items() if wait.stage == "Start")
# Waits for a decision of people.
STALLED = frozenset(name for name, wait in WAITS.items() if wait.stalls)


def too_long(reason: str, otherwise: str) -> str:
    """Reason of the failure of a task that waited for `reason` until its time was over.

    `otherwise`: the reason of the failure if `reason` is no wait.
    """
    wait = WAITS.get(reason)
    return otherwise if wait is None else wait.deadline or reason
