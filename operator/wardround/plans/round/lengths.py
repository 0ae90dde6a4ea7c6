"""Decides which updates of an initial round cannot be combined with the others, because of their lengths.

All first weights of a round have the same tensors, so they have the same length. Only the hospitals know it. A hospital
claims it before it sends (`status.upload.bytes` of its RoundTask), which nobody signs, and then signs it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from wardround.api.roundtask import RoundTask
from wardround.plans.round.parts import Part, PartState
from wardround.plans.round.types import Observation
from wardround.sealing import untrusted
from wardround.sealing.keys import load_verification_key
from wardround.sealing.manifests import open_update
from wardround.sealing.refused import Refused
from wardround.wire import canonical, digests

# A round has at most so many updates, and each look asks for the lengths of all of them.
MOST_KNOWN = 1024
# What `_length` has answered, by the digest of its arguments: a manifest may have 16 KiB.
_known: dict[str, int | None] = {}


def claimed(part: Part) -> int:
    """Bytes of ciphertext that the hospital claims to have sent."""
    upload = part.task.status.upload
    return upload.bytes if upload else 0


def of_one_length(seen: Observation, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts of a round. In an initial round, an update is lost if its length is not the one that the hospital has
    claimed, or not the one of more than half of the hospitals that have sent or may still send: the first ones to send
    decide nothing about the others."""
    if seen.round.spec.initial is None:
        return parts
    checked = tuple(_lost(part) if _contradicts_itself(seen, part) else part for part in parts)
    return _with_common_length(checked, sum(part.state is not PartState.LOST for part in checked))


def at_closing(seen: Observation, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts of a round that closes: only those that have sent an update decide which length is common."""
    if seen.round.spec.initial is None:
        return parts
    return _with_common_length(parts, sum(part.state is PartState.SENT for part in parts))


def _with_common_length(parts: tuple[Part, ...], voters: int) -> tuple[Part, ...]:
    """The parts, without the updates of another length than more than half of the voters have."""
    counts = Counter(claimed(part) for part in parts if part.state is PartState.SENT)
    common = next((length for length, number in counts.items() if 2 * number > voters), None)
    return parts if common is None else tuple(part if claimed(part) == common else _lost(part) for part in parts)


def _contradicts_itself(seen: Observation, part: Part) -> bool:
    """Whether the hospital has sent an update of another length than it has claimed."""
    return part.state is PartState.SENT and _signed(seen, part.task) not in (None, claimed(part))


def _lost(part: Part) -> Part:
    """The part without its update, if there is one."""
    return replace(part, state=PartState.LOST, reason="UpdateLengthDiffers") if part.state is PartState.SENT else part


def _signed(seen: Observation, task: RoundTask) -> int | None:
    """Bytes of ciphertext that the hospital has signed; None if the aggregation will refuse the manifest."""
    participant = seen.participants.get(task.metadata.namespace)
    keys = participant.status.site.keys if participant and participant.status.site else None
    return _length(task.status.update.manifest, keys.signing) if keys and task.status.update else None


def _length(manifest: str, signing: str) -> int | None:
    arguments = digests.digest(canonical.dumps([manifest, signing]))
    if arguments not in _known:
        if len(_known) == MOST_KNOWN:
            del _known[next(iter(_known))]
        _known[arguments] = _opened_length(manifest, signing)
    return _known[arguments]


def _opened_length(manifest: str, signing: str) -> int | None:
    try:
        return open_update(manifest, load_verification_key(untrusted.decode(signing, "KeyUnusable"))).bytes
    except Refused:
        return None
