"""What ends a command of the command line. Knows no client: enrolling is also done where there is none."""


class CommandError(Exception):
    """Ends a command. The text says what happened, where, whose problem it is and what to do next."""


class MissingError(CommandError):
    """The object that was asked for is not there."""


class ForbiddenError(CommandError):
    """The person's account may not do this here."""
