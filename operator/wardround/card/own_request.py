"""What a person's program knows of its ModelTransfer or ModelPush, and of the hub that answers. Asks no API server."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from wardround.card.folder import FolderRefused
from wardround.sealing import untrusted
from wardround.sealing.keys import DecryptionKey, hub_fingerprint

# Seconds. A request to the store that is silent for longer ends.
SILENCE_SECONDS = 60
HTTPS = 443


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


def unreachable(failure: OSError, url: str, advice: str) -> str:
    """Why the store did not answer. Names its host and port, and nothing else of the address, which is a right."""
    store = f"{urlsplit(url).hostname}:{urlsplit(url).port or HTTPS}"
    return f"this computer cannot use the hub's store at {store}: {_cause(failure)}, and {advice}"


def _cause(failure: OSError) -> str:
    code, cause = getattr(failure, "code", None), getattr(failure, "reason", failure)
    if code:
        return f"the store answered {code}. Ask the hub's administrator to look into the log of the store"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the answer is not valid here ({cause.verify_message}). Ask your network's "
            "administrators whether a proxy between this computer and the store replaces certificates. If none does, "
            "tell the hub's administrator"
        )
    if isinstance(cause, socket.gaierror):
        return "its name has no address here. Use a computer from which the store can be reached"
    return f"{type(cause).__name__}. Check the network between this computer and the store"
