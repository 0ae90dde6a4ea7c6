"""The one error with which something signed or sealed is turned away; knows reasons, never contents."""

from __future__ import annotations


class Refused(Exception):
    """Something signed or sealed is not what it should be.

    `reason` is one of the enumerated words of docs/contracts.md. There is no further text on purpose: what was refused
    came from outside, and whatever of it we repeated would end up in a status or a log. `field` is the place in a
    document whose value was wrong, for the people at the site; "" where none is known.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(f"{reason} ({field})" if field else reason)
        self.reason = reason
        self.field = field
