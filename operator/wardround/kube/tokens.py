"""Reads what a service account's token says of itself. Verifies nothing: its holder asks, and knows whose it is."""

import base64
import json
from typing import Any


def claims(token: str) -> dict[str, Any]:
    """Of a JWT (RFC 7519); empty for any other token."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def audiences(token: str) -> list[str]:
    """For whom a token is. A pod's own is for its API server."""
    found = claims(token).get("aud", [])
    return [found] if isinstance(found, str) else [str(each) for each in found]
