"""Decides how large the update of a participant may be. Pure: uses only what the round says, and not what a site asks
for."""

from wardround.api.federatedround import FederatedRound
from wardround.plans.round.types import StoredModel
from wardround.sealing.body import SEALED_SEGMENT, ciphertext_length

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
