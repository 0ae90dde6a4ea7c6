"""Errors of the store. No text holds a URL: a presigned URL is a key."""

from __future__ import annotations

# No answer, or 5xx. A later attempt may succeed.
UNREACHABLE = "StoreUnreachable"
# The transfer was slower than the least rate. A later attempt may succeed.
TOO_SLOW = "StoreTooSlow"
# The store refused the request: an expired or foreign URL, a redirect, a PUT that differs from the signed one.
REFUSED = "StoreRefused"
# The object does not exist, or is shorter than promised.
MISSING = "StoreObjectMissing"
SHORT = "StoreObjectShort"
# A URL outside the pinned origin. No later attempt can succeed.
NOT_PINNED = "StoreNotPinned"
# The pinned authority did not sign the certificate, or TLS failed otherwise. A later attempt may succeed: a gateway
# that is being set up fails like that, too.
UNTRUSTED = "StoreUntrusted"


class StoreError(Exception):
    """A transfer failed, after all retries."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason if status is None else f"{reason} (HTTP {status})")
        self.reason = reason
        self.status = status
