"""The errors that a trainer ends on, each with the code that error.json holds and an exit status. Does no I/O."""

from __future__ import annotations

PARAMETERS = 64
DATA = 65
TRY_AGAIN = 75
CODE = 1


class Failure(Exception):
    """`code` may leave the site, so it is one word; `message` is for the site's log and never quotes a data value."""

    status = CODE

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ParametersFailure(Failure):
    """The round asks for what this trainer does not do, or not with this model: another round has to be made."""

    status = PARAMETERS

    def __init__(self, code: str, message: str, parameter: str = "") -> None:
        """`parameter`: the name of the parameter at fault, as the round writes it, for the round's author."""
        super().__init__(code, message)
        self.parameter = parameter


class DataFailure(Failure):
    """The prepared view is not what the task says: another run will not help, other data will."""

    status = DATA


class Interrupted(Failure):
    """Stopped from outside, with a checkpoint written: a next run goes on from there."""

    status = TRY_AGAIN
