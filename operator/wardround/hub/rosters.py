"""Reads which participants a round asks, from the hub's own signed assignments."""

from collections.abc import Collection

from wardround.api.roundtask import RoundTask
from wardround.documents.keys import Identity
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_assignment
from wardround.sealing.refused import Refused


def roster(tasks: Collection[RoundTask], identity: Identity) -> tuple[str, ...]:
    """The participants that a round asks, as the hub has signed them in the newest of the first attempts."""
    first = [each for each in tasks if each.spec.attempt == 1]
    newest = max(first, key=lambda each: each.metadata.creation_timestamp, default=None)
    if newest is None:
        return ()
    try:
        return open_assignment(newest.spec.assignment, load_verification_key(identity.public)).roster
    except Refused:
        return ()  # signed by another key than the hub has now
