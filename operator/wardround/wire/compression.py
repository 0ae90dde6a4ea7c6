"""The compressions that a round can name, and the rounds that can have one. Pure; compresses nothing.

The hub's plan, the assignment and the aggregation Job read this module. The rules of the CRD repeat it
(tests/integration/api).
"""

from __future__ import annotations

from typing import Literal

Compression = Literal["None", "BFloat16", "Int8"]
NONE: Compression = "None"


def used(compression: Compression, *, task: str, initial: bool) -> Compression:
    """The compression of the updates of one round of a series whose Train rounds name this compression."""
    return compression if task == "Train" and not initial else NONE


def impossible(compression: Compression, *, task: str, initial: bool) -> str:
    """A sentence that says why a round cannot have this compression; empty if it can."""
    if used(compression, task=task, initial=initial) == compression:
        return ""
    if task != "Train":
        return f"A {task} round cannot have the compression {compression}: only Train rounds compress their updates."
    return (
        f"An initial round cannot have the compression {compression}: its hospitals send weights, and {compression} "
        "rounds only differences from a base."
    )
