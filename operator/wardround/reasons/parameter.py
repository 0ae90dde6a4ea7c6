"""What the round's author is told of one of the round's parameters. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping

LONGEST_SHOWN = 64


def describe(name: str, given: Mapping[str, object], bound: str = "") -> str:
    """In place of PARAMETER in a reason's text: the name, its value if the round (`given`) is known, and what the
    hospital allows, if that is known. The round has written name and value. As JSON a value cannot steer a terminal."""
    text = name
    if name in given:
        value = json.dumps(given[name])
        shown = value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "..."
        text = f"{text}. The round gives it the value {shown}"
    return f"{text}. The hospital allows: {bound}" if bound else text
