"""Decides whether a Participant may be in a round, and its status. It recomputes facts and trusts no condition.

One fact is read from a condition: that a hospital was revoked. No other field of a Participant has this fact, and it
only shuts hospitals out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from wardround.api import conditions
from wardround.api.participant import OfferedDataset, Participant, ParticipantStatus, PublicKeys
from wardround.plans import versions
from wardround.reasons.registry import REASONS
from wardround.sealing import untrusted
from wardround.sealing.keys import RecipientKey, load_verification_key, participant_fingerprint
from wardround.sealing.refused import Refused
from wardround.wire.card import HOSPITAL_NAME, MOST_NAMES


def fingerprint(keys: PublicKeys | None) -> str | None:
    """The fingerprint of published keys; None if there are none, or none that can be used."""
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


def revoked(participant: Participant) -> bool:
    """Whether the hub operator has found that the hospital's account is gone. Nobody else may write conditions of a
    Participant."""
    ready = conditions.find(participant.status.conditions, "Ready")
    return ready is not None and ready.reason == REVOKED


def distrust(participant: Participant, *, has_account: bool) -> str | None:
    """The first reason why the hub may exchange nothing with this participant, or None.

    A hospital without keys may be one whose account does not exist yet. A hospital that has published keys had one.
    """
    reasons = (
        suspended(participant),
        no_keys(participant),
        None if has_account else REVOKED,
        not_approved(participant),
        mismatch(participant),
    )
    return next((reason for reason in reasons if reason), None)


def barred(participant: Participant | None, federation: str) -> str | None:
    """The reason why a participant may not take part in a federation's rounds, or None."""
    if participant is None:
        return "ParticipantUnknown"
    reason = distrust(participant, has_account=not revoked(participant))
    if reason:
        return REASONS[reason].in_round or reason
    if not takes_part(participant, federation):
        return "FederationNotAllowed"
    return None


def takes_part(participant: Participant, federation: str) -> bool:
    """Whether the hospital takes part in the rounds of that namespace."""
    return any(each.namespace == federation for each in participant.spec.allowed_federations)


def names_on_card(participants: Mapping[str, Participant], trained: Iterable[str]) -> tuple[str, ...]:
    """The names for people of the hospitals among `trained` that agree to be named on a card, in alphabetical order."""
    known = (participants[name] for name in trained if name in participants)
    return tuple(sorted(_shown_name(each) for each in known if _agrees(each)))[:MOST_NAMES]


def reads_names(participant: Participant) -> bool:
    """Whether the site knows cards with names. It would refuse the delivery of another card."""
    site = participant.status.site
    return site is not None and site.name_on_cards is not None


def _agrees(participant: Participant) -> bool:
    site = participant.status.site
    return site is not None and site.name_on_cards is True


def _shown_name(participant: Participant) -> str:
    shown = participant.spec.display_name
    return shown if shown and HOSPITAL_NAME.matches(shown) else participant.metadata.name


def offers(participant: Participant, dataset: str) -> bool:
    """Whether the site offers a dataset. A site that has published no list is asked, and may refuse."""
    site = participant.status.site
    return site is None or site.datasets is None or dataset in offered(participant)


def offered(participant: Participant) -> dict[str, OfferedDataset]:
    """The datasets that the site has published, by name."""
    site = participant.status.site
    return {each.name: each for each in (site.datasets if site else None) or ()}


@dataclass(frozen=True)
class Readiness:
    """Whether a participant is ready, and the reason."""

    ready: bool
    reason: str


def _message(reason: str, participant: Participant, published: str | None) -> str:
    """A message for the hub's administrator, with the fingerprints to compare."""
    name = participant.metadata.name
    text = REASONS[reason].about(name).text
    if reason == "NotApproved":
        return f"{text} The site publishes keys with the fingerprint {published}."
    if reason == "FingerprintMismatch":
        return (
            f"{text} The site publishes keys with the fingerprint {published}, and the hub has pinned the fingerprint "
            f"{participant.spec.key_fingerprint}."
        )
    if reason == "Suspended":
        return (
            f"{text} The hospital's tokens stay valid: to end them too, the hub's administrator runs `kubectl "
            f"wardround revoke {name}`."
        )
    return text


def judge(participant: Participant, *, has_account: bool) -> Readiness:
    if participant.metadata.name != participant.metadata.namespace:
        return Readiness(False, "NamespaceDiffers")
    reason = distrust(participant, has_account=has_account) or versions.none_in_common(participant)
    return Readiness(reason is None, reason or "Approved")


def status(
    participant: Participant, hub_fingerprint: str, now: datetime, *, has_account: bool = True
) -> ParticipantStatus:
    """The status that should be. `site` stays as it is, because only the site writes it. `has_account`: whether the
    hospital's service account exists. Without it none of the hospital's tokens is valid."""
    readiness = judge(participant, has_account=has_account)
    published = _published(participant)
    message = _message(readiness.reason, participant, published)
    generation = participant.metadata.generation
    result = participant.status.conditions
    suspended = readiness.reason == "Suspended"
    if suspended:
        # kstatus reads a Ready that is not True as work under way, so Flux would wait for ever.
        result = tuple(each for each in result if each.type != "Ready")
    else:
        result = conditions.set_condition(
            result, "Ready", readiness.ready, readiness.reason, message, now=now, generation=generation
        )
    if suspended or conditions.find(result, "Suspended") is not None:
        reason, shown = ("Suspended", message) if suspended else ("Resumed", "")
        result = conditions.set_condition(result, "Suspended", suspended, reason, shown, now=now, generation=generation)
    if readiness.ready or suspended:
        result = conditions.settled(result, readiness.reason, now=now, generation=generation)
    elif readiness.reason == "NoKeys":
        result = conditions.progressing(result, readiness.reason, message, now=now, generation=generation)
    else:
        result = conditions.stalled(result, readiness.reason, message, now=now, generation=generation)
    return replace(
        participant.status,
        observed_generation=generation,
        conditions=result,
        fingerprint=published,
        hub_fingerprint=hub_fingerprint,
    )
