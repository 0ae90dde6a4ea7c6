"""Decides whether a Participant may be in a round, and its status. Recomputes facts; trusts nobody by a condition.

One fact is read from a condition: that a hospital was revoked. It stands in no Participant, and by it nobody is let in.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api import conditions
from wardround.api.participant import OfferedDataset, Participant, ParticipantStatus, PublicKeys
from wardround.plans import versions
from wardround.reasons.registry import REASONS
from wardround.sealing import untrusted
from wardround.sealing.keys import RecipientKey, load_verification_key, participant_fingerprint
from wardround.sealing.refused import Refused


def fingerprint(keys: PublicKeys | None) -> str | None:
    """Of the published keys; None if there are none, or none that can be used."""
    if keys is None:
        return None
    try:
        signing = untrusted.decode(keys.signing, "KeyUnusable")
        decryption = untrusted.decode(keys.decryption, "KeyUnusable")
        load_verification_key(signing)
        RecipientKey.load(decryption)
        return participant_fingerprint(signing, decryption)
    except Refused:
        return None


def _published(participant: Participant) -> str | None:
    return fingerprint(participant.status.site.keys if participant.status.site else None)


def suspended(participant: Participant) -> str | None:
    return "Suspended" if participant.spec.suspend else None


def no_keys(participant: Participant) -> str | None:
    return "NoKeys" if _published(participant) is None else None


def not_approved(participant: Participant) -> str | None:
    return "NotApproved" if participant.spec.key_fingerprint is None else None


def mismatch(participant: Participant) -> str | None:
    return "FingerprintMismatch" if participant.spec.key_fingerprint != _published(participant) else None


REVOKED = "Revoked"
IN_A_ROUND = {
    "Suspended": "ParticipantSuspended",
    "NoKeys": "ParticipantNoKeys",
    REVOKED: "ParticipantRevoked",
    "NotApproved": "ParticipantNotApproved",
}


def revoked(participant: Participant) -> bool:
    """Whether the hub operator has said so. Only the hub operator may write conditions of a Participant."""
    ready = conditions.find(participant.status.conditions, "Ready")
    return ready is not None and ready.reason == REVOKED


def distrust(participant: Participant, *, has_account: bool) -> str | None:
    """The first reason why nothing may be sent to or taken from this participant, or None. A hospital that has not
    published keys may be one whose account is not made yet; one that has published keys has had an account."""
    reasons = (
        suspended(participant),
        no_keys(participant),
        None if has_account else REVOKED,
        not_approved(participant),
        mismatch(participant),
    )
    return next((reason for reason in reasons if reason), None)


def barred(participant: Participant | None, federation: str) -> str | None:
    """Why it may not take part in a federation's rounds, or None."""
    if participant is None:
        return "ParticipantUnknown"
    reason = distrust(participant, has_account=not revoked(participant))
    if reason:
        return IN_A_ROUND.get(reason, reason)
    if not takes_part(participant, federation):
        return "FederationNotAllowed"
    return None


def takes_part(participant: Participant, federation: str) -> bool:
    """Whether the hospital takes part in the rounds of that namespace."""
    return any(each.namespace == federation for each in participant.spec.allowed_federations)


def offers(participant: Participant, dataset: str) -> bool:
    """Whether the site offers a dataset; a site that has not said which it has is asked, and refuses itself."""
    site = participant.status.site
    return site is None or site.datasets is None or dataset in offered(participant)


def offered(participant: Participant) -> dict[str, OfferedDataset]:
    """The datasets that the site has said it offers, by name."""
    site = participant.status.site
    return {each.name: each for each in (site.datasets if site else None) or ()}


@dataclass(frozen=True)
class Said:
    """Whether a participant is ready, and why not."""

    ready: bool
    reason: str


def _message(reason: str, participant: Participant, published: str | None) -> str:
    """For the hub's administrator, with the fingerprints to compare."""
    name = participant.metadata.name
    text = REASONS[reason].about(name).text
    if reason == "NotApproved":
        return f"{text} The site publishes {published}."
    if reason == "FingerprintMismatch":
        return f"{text} The site publishes {published}. The approved fingerprint is {participant.spec.key_fingerprint}."
    if reason == "Suspended":
        return f"{text} The hospital's tokens stay valid: `kubectl wardround revoke {name}` ends them."
    return text


def judge(participant: Participant, *, has_account: bool) -> Said:
    if participant.metadata.name != participant.metadata.namespace:
        return Said(False, "NamespaceDiffers")
    reason = distrust(participant, has_account=has_account) or versions.none_in_common(participant)
    return Said(reason is None, reason or "Approved")


def status(
    participant: Participant, hub_fingerprint: str, now: datetime, *, has_account: bool = True
) -> ParticipantStatus:
    """The status that should be; `site` is passed through: it is not the hub's to write. `has_account`: whether the
    hospital's service account is there, without which none of its tokens is good."""
    said = judge(participant, has_account=has_account)
    published = _published(participant)
    message = _message(said.reason, participant, published)
    generation = participant.metadata.generation
    result = participant.status.conditions
    suspended = said.reason == "Suspended"
    if suspended:
        # kstatus takes a Ready that is not True for work under way, and Flux would wait for it for ever.
        result = tuple(each for each in result if each.type != "Ready")
    else:
        result = conditions.set_condition(
            result, "Ready", said.ready, said.reason, message, now=now, generation=generation
        )
    if suspended or conditions.find(result, "Suspended") is not None:
        reason, told = ("Suspended", message) if suspended else ("Resumed", "")
        result = conditions.set_condition(result, "Suspended", suspended, reason, told, now=now, generation=generation)
    if said.ready or suspended:
        result = conditions.settled(result, said.reason, now=now, generation=generation)
    elif said.reason == "NoKeys":
        result = conditions.progressing(result, said.reason, message, now=now, generation=generation)
    else:
        result = conditions.stalled(result, said.reason, message, now=now, generation=generation)
    return replace(
        participant.status,
        observed_generation=generation,
        conditions=result,
        fingerprint=published,
        hub_fingerprint=hub_fingerprint,
    )
