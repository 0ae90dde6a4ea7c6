"""Waits for the hub operator's answer to a ModelTransfer or ModelPush."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from wardround.api import conditions
from wardround.cli.cluster import Cluster, Object
from wardround.cli.errors import CommandError
from wardround.plans.request import Request
from wardround.reasons.registry import reason_for
from wardround.wire.digests import DIGEST

INSTALL = "pip install '.[cli,models]'"
POLL_SECONDS = 0.5
RequestT = TypeVar("RequestT", bound=Request)


def check_fingerprint(text: str) -> None:
    """Raises CommandError if the person gave no fingerprint of a hub."""
    if not DIGEST.fullmatch(text):
        raise CommandError(
            "--hub-fingerprint takes the fingerprint of the hub's key: sha256: and 64 hexadecimal digits. Ask the "
            "hub's administrator for it."
        )


def is_complete(request: Request) -> bool:
    return conditions.is_true(request.status.conditions, "Complete")


def wait_for(
    hub: Cluster,
    made: Object,
    seconds: float,
    parse: Callable[[Object], RequestT],
    reached: Callable[[RequestT], bool],
    nothing: str,
    sleep: Callable[[float], Any] = time.sleep,
) -> RequestT:
    """The request once it has come so far. `nothing`: a sentence for a request that comes to nothing.

    Raises CommandError if it has failed, somebody has deleted it, or the time is over.
    """
    kind, name, namespace = made["kind"], made["metadata"]["name"], made["metadata"]["namespace"]
    until = time.monotonic() + seconds
    while True:
        item = hub.get(kind, name, namespace)
        if item is None:
            raise CommandError(
                f"{nothing} Somebody deleted {kind} {name} before the hub operator answered it. Run the command again."
            )
        live = parse(item)
        if reached(live):
            return live
        if failed := conditions.find_true(live.status.conditions, "Failed"):
            raise CommandError(f"{nothing} {failed.reason}: {reason_for(failed.reason).text}")
        if time.monotonic() > until:
            raise CommandError(
                f"The hub operator has not answered within {seconds:g} s. Ask the hub's administrator whether the hub "
                "operator runs, and run the command again."
            )
        sleep(POLL_SECONDS)
