"""The text of a Site's allowed parameters in WARDROUND_ALLOWED_PARAMETERS; knows no Jobs and decides nothing.

The site chart (`site.allowedParameters`) writes the same text from its values, and its admission policy rejects a Job
with another text, so both must write equal bytes. The text is a JSON object of bounds by parameter, as Go (1.22 and
newer: \\b and \\f in their short form) writes it for Helm. Keys and enum values are sorted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from wardround.api.site import AllowedParameter
from wardround.wire import canonical, codec

# Go escapes these characters and Python does not. They occur only inside strings.
_ESCAPES = str.maketrans({each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"})


def dump(allowed: Iterable[AllowedParameter]) -> str:
    bounds = {each.name: _bounds(each) for each in allowed}
    return canonical.dumps(bounds).decode().translate(_ESCAPES)


def load(text: str) -> tuple[AllowedParameter, ...]:
    """Reads the text of `dump`, and refuses every other text: a misread bound would allow too much.

    Raises ValueError.
    """
    value = json.loads(text)
    if not isinstance(value, dict) or not all(isinstance(bounds, dict) for bounds in value.values()):
        raise ValueError("not an object of objects")
    allowed = tuple(codec.parse(AllowedParameter, {**bounds, "name": name}) for name, bounds in value.items())
    if dump(allowed) != text:
        raise ValueError("not the canonical text of allowed parameters")
    return allowed


def _bounds(allowed: AllowedParameter) -> dict[str, object]:
    enum = None if allowed.enum is None else sorted(allowed.enum)
    required = allowed.required or None
    bounds = {"minimum": allowed.minimum, "maximum": allowed.maximum, "enum": enum, "required": required}
    return {key: value for key, value in bounds.items() if value is not None}
