"""The text that replaces PARAMETER in a reason. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping

LONGEST_SHOWN = 64
# Only names that the round itself has written leave the hospital.
UNNAMED = "not named here: ask the hospital's administrator which one it is"


def describe(name: str, given: Mapping[str, object], bound: str = "") -> str:
    """The parameter's name, its value if `given` (the round's parameters) has it, and the hospital's bound, if known.

    Without a name: UNNAMED.

    The round's author chose the value, so it is quoted as JSON, which cannot control a terminal.
    """
    text = name or UNNAMED
    if name in given:
        value = json.dumps(given[name])
        shown = value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "..."
        text = f"{text}. The round gives it the value {shown}"
    return f"{text}. The hospital allows: {bound}" if bound else text
