"""What a Site allows as parameters, as the one text that `prepare` is told; knows no Jobs and decides nothing.

The site chart (`site.allowedParameters`) writes the same text from its values, and its admission policy admits no Job
that tells another, so both have to agree to the letter: an object of bounds by parameter, as Go writes JSON for Helm
(1.22 and newer: \\b and \\f in their short form), keys and values of an enum sorted, in whatever order they are listed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from wardround.api.site import AllowedParameter
from wardround.wire import canonical, codec

# Which Go writes as escapes and Python as they are. None is ever outside of a string.
_ESCAPES = str.maketrans({each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"})


def dump(allowed: Iterable[AllowedParameter]) -> str:
    bounds = {each.name: _bounds(each) for each in allowed}
    return canonical.dumps(bounds).decode().translate(_ESCAPES)


def load(text: str) -> tuple[AllowedParameter, ...]:
    """What `dump` wrote and nothing else: what is misread here would be allowed. Raises ValueError."""
    value = json.loads(text)
    if not isinstance(value, dict) or not all(isinstance(bounds, dict) for bounds in value.values()):
        raise ValueError("not an object of objects")
    allowed = tuple(codec.parse(AllowedParameter, {**bounds, "name": name}) for name, bounds in value.items())
    if dump(allowed) != text:
        raise ValueError("not what a Site allows")
    return allowed


def _bounds(allowed: AllowedParameter) -> dict[str, object]:
    enum = None if allowed.enum is None else sorted(allowed.enum)
    told = {"minimum": allowed.minimum, "maximum": allowed.maximum, "enum": enum}
    return {key: value for key, value in told.items() if value is not None}
