"""Says what happens by itself, or once a person resumes a suspended FederatedModel. Pure."""


def once_resumed(event: str, *, suspended: bool) -> str:
    """A sentence about an event that follows. `event`: a clause without a full stop."""
    if suspended:
        return f"The FederatedModel is suspended. Once somebody sets its spec.suspend to false, {event}."
    return f"Nobody has to act: {event}."
