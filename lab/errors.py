"""The error of the lab's commands."""


class LabError(Exception):
    """A command failed. The text tells the person what happened, where, and what to do next."""
