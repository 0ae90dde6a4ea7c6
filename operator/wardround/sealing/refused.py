"""The one error with which something signed or sealed is turned away; knows reasons, never contents."""

from __future__ import annotations


class Refused(Exception):
    """Something signed or sealed is not what it should be.

    `reason` is one of the enumerated words of docs/contracts.md. There is no further text on purpose: what was refused
    came from outside, and whatever of it we repeated would end up in a status or a log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
