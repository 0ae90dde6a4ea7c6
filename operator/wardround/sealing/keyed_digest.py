"""The digest of an update in its manifest, keyed: people at the hub learn nothing from it. Knows no file.

Training code decides the bytes of its update, so it could choose the first bits of a plain digest and write a message
there. It cannot choose bits of a keyed one, because the courier draws the file key afterwards.
"""

from __future__ import annotations

import hmac

from wardround.sealing.body import derive, require_commitment
from wardround.wire.models import Header


def keyed_digest(file_key: bytes, header: Header, digest: str) -> str:
    """Return `hmac-sha256:<hex>`. `digest`: of the plaintext. Raises Refused("KeyUnusable") if the header does not
    commit to `file_key`."""
    require_commitment(file_key, header)
    key = derive(file_key, header.salt, b"wardround/v1/digest")
    return f"hmac-sha256:{hmac.digest(key, digest.encode('ascii'), 'sha256').hex()}"
