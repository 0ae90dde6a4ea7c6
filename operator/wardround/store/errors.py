"""What can go wrong between us and the store, without any URL in its text: presigned URLs are keys."""

from __future__ import annotations

from typing import Literal

# Try again later: nobody answered, or 5xx.
UNREACHABLE = "StoreUnreachable"
# The store answered and said no: an expired or foreign URL, a redirect, a PUT that is not the signed one.
REFUSED = "StoreRefused"
# There is no such object, or fewer bytes of it than were promised.
MISSING = "StoreObjectMissing"
SHORT = "StoreObjectShort"
# A URL that does not lead to the pinned origin, and a certificate that the pinned CA did not sign.
NOT_PINNED = "StoreNotPinned"
UNTRUSTED = "StoreUntrusted"

_CLASS_SITE = frozenset({NOT_PINNED, UNTRUSTED})


class StoreError(Exception):
    """A transfer failed for good. `failure_class` says whose problem it is."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason if status is None else f"{reason} (HTTP {status})")
        self.reason = reason
        self.status = status

    @property
    def failure_class(self) -> Literal["Network", "Site"]:
        """`Site` for what the site has pinned, `Network` for all else."""
        return "Site" if self.reason in _CLASS_SITE else "Network"
