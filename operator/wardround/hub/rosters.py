"""Reads which participants a round asks, and by which DataSchema, from the hub's own signed assignments."""

from collections.abc import Collection

from wardround.api.roundtask import RoundTask
from wardround.documents.keys import Identity
from wardround.sealing.assignments import open_assignment
from wardround.sealing.keys import load_verification_key
from wardround.sealing.refused import Refused
from wardround.wire.assignment import Assignment


def first_assignment(tasks: Collection[RoundTask], identity: Identity) -> Assignment | None:
    """The assignment that the hub signed in the newest of the first attempts.

    It says which participants a round asks, and by which DataSchema, even if people have changed the objects since.
    """
    first = [each for each in tasks if each.spec.attempt == 1 and each.spec.assignment]
    newest = max(first, key=lambda each: each.metadata.creation_timestamp, default=None)
    if newest is None:
        return None
    try:
        return open_assignment(newest.spec.assignment, load_verification_key(identity.public))
    except Refused:
        return None  # signed by another key than the hub has now
