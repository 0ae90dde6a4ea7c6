"""Decides how large the update of a participant may be. Pure: uses only what the round says, and not what a site asks
for."""

from wardround.api.federatedround import FederatedRound
from wardround.api.task import Upload
from wardround.plans.round.types import StoredModel
from wardround.sealing.body import SEALED_SEGMENT, ciphertext_length
from wardround.wire import digests

# Plaintext of a first model, which only the sites know: what `check` lets pass there.
LARGEST_INITIAL = 8 << 30


def largest_upload(federated_round: FederatedRound, base: StoredModel | None) -> int:
    """Ciphertext bytes. `base`: what the round starts from, if it is known.

    Counts and sums are one segment: 2048 fields, the most of a Dataset, are 66 KB of statistics. A trained model has
    the length of its base. A Deliver round has no updates. Only for a first model, the hub accepts the length that the
    site names, up to a limit.
    """
    if federated_round.spec.task == "Deliver":
        return 0
    if federated_round.spec.task != "Train":
        return SEALED_SEGMENT
    if federated_round.spec.initial is None and base is not None:
        return ciphertext_length(base.result.bytes)
    return ciphertext_length(LARGEST_INITIAL)


def granted_text(upload: Upload | None) -> str:
    """For which ciphertext grants are, as the annotation `wardround.io/grants-bytes` notes it: "" for none.

    A site can seal its update anew, to another ciphertext of the same length. The old grants then fit no more.
    """
    if upload is None:
        return ""
    md5 = " ".join(upload.md5)
    return f"{upload.bytes} {digests.digest(md5.encode())}" if md5 else str(upload.bytes)
