"""The one error that the lab's commands end on."""


class LabError(Exception):
    """What went wrong, where, and what to do next, written for the person at the terminal."""
