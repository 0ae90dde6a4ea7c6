"""The errors that end a trainer, each with a code for error.json and an exit status. Does no I/O."""

from __future__ import annotations

PARAMETERS = 64
DATA = 65
TRY_AGAIN = 75
CODE = 1


class TrainerError(Exception):
    """`code`: one word, which may leave the site. `message`: for the site's log; never quotes a value of the data."""

    status = CODE

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ParametersError(TrainerError):
    """This trainer, or this model, does not support the round's parameters. The author must make another round."""

    status = PARAMETERS

    def __init__(self, code: str, message: str, parameter: str = "") -> None:
        """`parameter`: the name of the parameter at fault, for the round's author."""
        super().__init__(code, message)
        self.parameter = parameter


class DataError(TrainerError):
    """The view does not match the task. Only other data can help."""

    status = DATA


class Interrupted(TrainerError):
    """The process was asked to stop, and has written a checkpoint. Another run continues from there."""

    status = TRY_AGAIN
