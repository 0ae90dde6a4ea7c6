"""Why a hospital is not asked in a round, and how its part in the round ends."""

from __future__ import annotations

from functools import partial

from wardround.reasons.places import Place
from wardround.reasons.reason import CORRECTED, HOSPITAL, HUB, NOBODY, ROUND, SUSPEND, Reason, Wait

_hub = partial(Reason, owner=HUB)
_round = partial(Reason, owner=ROUND)

_APPROVE = (
    "Run `kubectl wardround approve PARTICIPANT`: the command shows the fingerprint of the keys that the site "
    "publishes. Ask the hospital by telephone for its fingerprint (status.courier.fingerprint of its Site). Confirm "
    "only if the two fingerprints are equal."
)
_INSTALL = (
    "Ask the hub's administrator for the values that `kubectl wardround enrol PARTICIPANT --bootstrap FILE` printed on "
    "the hub. Check these values, and install the site chart with them (docs/join.md)."
)
_ENROL_AGAIN = (
    "To let the hospital in again, run `kubectl wardround enrol PARTICIPANT --apply --hub-server URL --bootstrap "
    "FILE`, with the URL under which the site reaches the hub. Give FILE to the hospital's administrator, who checks "
    "FILE with `kubectl wardround check-enrolment from-hub.yaml FILE` and then runs `kubectl apply -n SITE_NAMESPACE "
    "-f FILE` at the site."
)

_UNASKED = (
    _hub(
        name="NoKeys",
        owner=HOSPITAL,
        places=(Place.PARTICIPANT, Place.SITE),
        wait=Wait(stage="Acceptance", deadline="NotAnswered"),
        in_round="ParticipantNoKeys",
        meaning="The site has not published usable public keys, so the hospital cannot take part in rounds yet.",
        action=f"{_INSTALL} If the site chart is installed, run `kubectl logs deployment/courier -n SITE_NAMESPACE` at "
        "the site, and do what its last error says.",
    ),
    _hub(
        name="NotApproved",
        places=(Place.PARTICIPANT, Place.SITE),
        in_round="ParticipantNotApproved",
        meaning="The hub's administrator has not approved (pinned) the fingerprint of the hospital's keys, so rounds "
        "cannot ask the hospital yet.",
        action=_APPROVE,
    ),
    _hub(
        name="FingerprintMismatch",
        places=(Place.ROUND_STALLED, Place.ATTENTION, Place.PARTICIPANT, Place.SITE),
        meaning="The hub does not ask the hospital, because the site publishes keys with another fingerprint than "
        "the one that the hub's administrator has approved (pinned).",
        action="Ask the hospital by telephone whether it has renewed its keys. If it has, run `kubectl wardround "
        "approve PARTICIPANT`. Confirm only if the hospital reads out the fingerprint that the command shows. If the "
        f"hospital has not renewed its keys, {SUSPEND}.",
    ),
    _hub(
        name="Suspended",
        places=(Place.SUSPENDED, Place.SITE, Place.CANCELLED),
        in_round="ParticipantSuspended",
        meaning="Somebody has paused this object: spec.suspend of the FederatedRound, the FederatedModel or the "
        "Participant is true.",
        action="To continue, set spec.suspend of this object to false. For a Participant, the hub's administrator "
        "does this. For a FederatedRound or a FederatedModel, its author does it.",
    ),
    _hub(
        name="Revoked",
        places=(Place.PARTICIPANT,),
        in_round="ParticipantRevoked",
        meaning="The hub's administrator has ended all tokens of the hospital by deleting its service account "
        "`site` on the hub. Rounds leave the hospital out.",
        action=_ENROL_AGAIN,
    ),
    _hub(
        name="NamespaceDiffers",
        places=(Place.PARTICIPANT,),
        meaning="The hub does not use this Participant, because its name differs from the name of its namespace.",
        action="Delete the Participant. Then run `kubectl wardround enrol NAME --apply`, which makes a Participant "
        "NAME in the namespace NAME.",
    ),
    _round(
        name="ParticipantUnknown",
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED, Place.ATTENTION, Place.SITE),
        meaning="The hub has no Participant PARTICIPANT.",
        action=f"If the name is wrong, correct it {CORRECTED}. If "
        "the hospital is new, ask the hub's administrator to enrol it (`kubectl wardround enrol PARTICIPANT "
        "--federation FEDERATION --apply`).",
    ),
    _hub(
        name="ParticipantSuspended",
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED, Place.ATTENTION),
        meaning="The hub does not ask the hospital, because spec.suspend of its Participant is true.",
        action="If the hospital may take part again, set spec.suspend of Participant PARTICIPANT to false.",
    ),
    _hub(
        name="ParticipantRevoked",
        places=(Place.ROUND_STALLED, Place.ATTENTION),
        meaning="The hub does not ask the hospital, because the hub's administrator has ended all its tokens "
        "(kubectl wardround revoke).",
        action=_ENROL_AGAIN,
    ),
    _hub(
        name="ParticipantNoKeys",
        owner=HOSPITAL,
        places=(Place.ROUND_STALLED, Place.ATTENTION),
        meaning="The hub does not ask the hospital, because its site has not published usable public keys.",
        action=_INSTALL,
    ),
    _hub(
        name="ParticipantNotApproved",
        places=(Place.ROUND_FAILED, Place.ROUND_STALLED, Place.ATTENTION),
        meaning="The hub does not ask the hospital, because the hub's administrator has not approved (pinned) the "
        "fingerprint of the hospital's keys.",
        action=_APPROVE,
    ),
    _hub(
        name="FederationNotAllowed",
        places=(Place.ROUND_STALLED, Place.ATTENTION),
        meaning="The hub does not ask the hospital for rounds of namespace FEDERATION: spec.allowedFederations of "
        "its Participant does not list this namespace.",
        action="Ask the round's author whether namespace FEDERATION was meant: a round or a FederatedModel belongs "
        "in the namespace of its federation. If it was meant, ask the hospital whether it wants to take part in "
        "federation FEDERATION. If it wants to, run `kubectl wardround enrol PARTICIPANT --federation FEDERATION "
        "--apply`. If it does not, there is nothing to do.",
    ),
)
# Where it stands that hub and site have no version of assignments in common.
_UNEQUAL = (
    Place.ROUND_FAILED,
    Place.ROUND_STALLED,
    Place.ATTENTION,
    Place.PARTICIPANT,
    Place.SITE,
)
_VERSIONS = (
    _hub(
        name="SiteTooOld",
        owner=HOSPITAL,
        places=_UNEQUAL,
        meaning="The hub does not ask PARTICIPANT: its site accepts only older versions of assignments than the hub "
        "or this round needs, or has not published which versions it accepts.",
        action="Upgrade the charts wardround-crds and wardround-site at the site to the hub's version "
        "(docs/operations.md, Upgrade). If they already have this version, the site operator has not reported to "
        "the hub: read its log at the site.",
    ),
    _hub(
        name="HubTooOld",
        places=_UNEQUAL,
        meaning="The hub does not ask PARTICIPANT: its site accepts only newer versions of assignments than the hub "
        "can write.",
        action="Upgrade the hub (docs/operations.md, Upgrade). Or ask the hospital's administrator to lower "
        "policy.lowestAssignmentVersion in the values of the site chart.",
    ),
)
_PARTS = (
    Reason(
        name="NotAnswered",
        failure_class="Site",
        owner=HOSPITAL,
        meaning="The site did not answer the hub within deadlines.admissionSeconds of the round.",
        action="Check at the site that the site operator runs, and that the Site's condition HubConnected is True. "
        "This round does not ask the hospital again. The next round does.",
    ),
    Reason(
        name="NotSentInTime",
        owner=NOBODY,
        places=(Place.ATTENTION, Place.CANCELLED),
        meaning="The round closed before the site's update arrived, so the round's result does not contain the update.",
        action="Nothing to do: the next round asks the hospital again.",
    ),
    _round(
        name="RoundFailed",
        places=(Place.CANCELLED,),
        meaning="The round failed, so the hub ended this task.",
        action="Run `kubectl wardround explain federatedround/ROUND -n FEDERATION` on the hub: it says why the round "
        "failed, and who has to act. At the hospital, there is nothing to do.",
    ),
    Reason(
        name="Cancelled",
        owner=NOBODY,
        places=(Place.FAILED,),
        meaning="The hub operator ended this task: its round has ended, somebody has suspended the round, or the hub "
        "no longer needs the task.",
        action="Nothing to do at the hospital. To learn why, ask the round's author to run `kubectl wardround explain "
        "federatedround/ROUND -n FEDERATION` on the hub.",
    ),
)
PARTICIPANTS = (*_UNASKED, *_VERSIONS, *_PARTS)
