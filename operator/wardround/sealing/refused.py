"""The error of signed or sealed data that is refused; knows reasons, never contents."""

from __future__ import annotations


class Refused(Exception):
    """Signed or sealed data is not as expected.

    `reason`: one of the reasons of docs/contracts.md. There is no other text, because a status or log must not repeat
    data from outside. `field`: the place of the wrong value in a document, for the people at the site; "" if unknown.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(f"{reason} ({field})" if field else reason)
        self.reason = reason
        self.field = field
