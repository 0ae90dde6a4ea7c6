"""What can go wrong between us and the store, without any URL in its text: presigned URLs are keys."""

from __future__ import annotations

# Try again later: nobody answered, or 5xx.
UNREACHABLE = "StoreUnreachable"
# Try again later: bytes come or go below the least rate.
TOO_SLOW = "StoreTooSlow"
# The store answered and said no: an expired or foreign URL, a redirect, a PUT that is not the signed one.
REFUSED = "StoreRefused"
# There is no such object, or fewer bytes of it than were promised.
MISSING = "StoreObjectMissing"
SHORT = "StoreObjectShort"
# A URL that does not lead to the pinned origin: it never will.
NOT_PINNED = "StoreNotPinned"
# Try again later: a certificate that the pinned CA did not sign, or another failure of TLS, which a gateway that is
# being set up makes too.
UNTRUSTED = "StoreUntrusted"


class StoreError(Exception):
    """A transfer failed, after all tries."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason if status is None else f"{reason} (HTTP {status})")
        self.reason = reason
        self.status = status
