"""What a person's program knows of its ModelTransfer or ModelPush, and of the hub that answers. Asks no API server."""

from __future__ import annotations

from dataclasses import dataclass

from wardround.card.folder import FolderRefused
from wardround.sealing import untrusted
from wardround.sealing.keys import DecryptionKey, hub_fingerprint

# Seconds. A request to the store that is silent for longer ends.
SILENCE_SECONDS = 60


@dataclass(frozen=True)
class OwnRequest:
    """`uid`: of the ModelTransfer or ModelPush. `fingerprint`: of the hub, as the person named it."""

    key: DecryptionKey
    uid: str
    requested_by: str
    fingerprint: str

    def hub_key(self, text: str, warning: str) -> bytes:
        """The hub's key, if it has the fingerprint. `warning`: what the person must not do otherwise.

        Raises FolderRefused, and Refused("KeyUnusable").
        """
        key = untrusted.decode(text, "KeyUnusable")
        actual = hub_fingerprint(key)
        if actual != self.fingerprint:
            raise FolderRefused(
                f"the hub's key has the fingerprint {actual}, and not {self.fingerprint}. Ask the hub's administrator "
                f"for the right fingerprint. If it is not {actual}, {warning}"
            )
        return key


def unopened(reason: str, advice: str) -> FolderRefused:
    """For an answer of the hub that was refused for this reason."""
    return FolderRefused(
        f"this program cannot open the hub's answer ({reason}): the answer is for another request, or somebody has "
        f"changed it. {advice}"
    )


def unreachable(failure: OSError, advice: str) -> str:
    """Why the store did not answer. Names no address, because an address is a right."""
    code = getattr(failure, "code", None)
    cause = f"it answered {code}" if code else f"{type(getattr(failure, 'reason', failure)).__name__}"
    return (
        f"this computer cannot use the hub's store ({cause}). Check the network between this computer and the store, "
        f"and {advice}"
    )
