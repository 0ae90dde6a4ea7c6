"""WARDROUND_ISOLATION: the targets that a training pod must not reach, from the site operator to gate and sidecar."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wardround.wire import canonical, codec

# Limits of a training pod's wait for answers. The site operator chooses the wait by its own control's slowest answer.
LEAST_SECONDS, MOST_SECONDS = 0.25, 1.0


@dataclass(frozen=True)
class IsolationTarget:
    """An address, and its name for the people at the site. `port`: 0 for ICMP."""

    name: str
    host: str
    port: int
    protocol: Literal["TCP", "UDP", "ICMP"]


def write(targets: Iterable[IsolationTarget]) -> str:
    """Return the variable's text."""
    return canonical.dumps([codec.dump_document(each) for each in targets]).decode()


def read(text: str) -> tuple[IsolationTarget, ...]:
    """Parse the variable's text. Raises Malformed."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        raise codec.Malformed("WARDROUND_ISOLATION", "not JSON") from None
    if not isinstance(items, list):
        raise codec.Malformed("WARDROUND_ISOLATION", "expected a list")
    return tuple(codec.parse_document(IsolationTarget, each, f"[{index}]") for index, each in enumerate(items))
