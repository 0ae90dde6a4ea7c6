"""Reads the claims of a service account's token. Verifies nothing: only the token's holder asks."""

import base64
import json
from typing import Any


def claims(token: str) -> dict[str, Any]:
    """The claims of a JWT (RFC 7519); empty for any other token."""
    try:
        part = token.split(".")[1]
        payload = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}


def audiences(token: str) -> list[str]:
    """The audiences of a token. A pod's own token is for its API server."""
    audience = claims(token).get("aud", [])
    return [audience] if isinstance(audience, str) else [str(each) for each in audience]
