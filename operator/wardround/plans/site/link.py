"""Decides how the site stands with its hub, by its enrolment Secret and the last renewal of its Lease there. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wardround.api.site import Hub
from wardround.plans.site.types import Link
from wardround.reasons.registry import REASONS

ENROL = (
    "Ask the hub's administrator to run `kubectl wardround enrol {name} --apply --hub-server URL --bootstrap FILE`, "
    "and to send you FILE. URL is the address at which this site reaches the hub's API server. Check FILE with "
    "`kubectl wardround check-enrolment from-hub.yaml FILE`. Then run `kubectl apply -n {here} -f FILE` in this "
    "cluster."
)


@dataclass(frozen=True)
class Credentials:
    """The site's credentials at the hub. `namespace`: of its Participant."""

    server: str
    ca: str
    token: str = field(repr=False)
    namespace: str


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """How a renewal of the Lease at the hub went. `words` of the failure, if it failed."""

    answer: Literal["Renewed", "Unauthorized", "Forbidden", "Unavailable"]
    words: str = ""


def enrolment(secret: Mapping[str, Any] | None, hub: Hub, here: str) -> Credentials | Link:
    """The credentials in the enrolment Secret, or why the site is not enrolled. `secret`: None if there is none.
    `here`: the namespace of the site. The message is for people and holds nothing of the Secret."""
    if secret is None:
        return _not_enrolled(f"There is no Secret {hub.enrolment_secret_name}.", hub, here)
    data, values = secret.get("data") or {}, {}
    for key in ("server", "ca.crt", "token", "namespace"):
        try:
            values[key] = base64.b64decode(data[key], validate=True).decode().strip()
        except (KeyError, binascii.Error, UnicodeDecodeError):
            words = (
                f"This Site cannot use its enrolment Secret: the key {key} is missing there, or is no text in base64."
            )
            return _not_enrolled(words, hub, here)
        if not values[key]:
            return _not_enrolled(f"This Site cannot use its enrolment Secret: the key {key} is empty there.", hub, here)
    if values["namespace"] != hub.participant_namespace:
        words = (
            f"This Site cannot use its enrolment Secret: the Secret is for the Participant {values['namespace']}, "
            f"and spec.hub.participantNamespace of the Site is {hub.participant_namespace}."
        )
        return _not_enrolled(words, hub, here)
    return Credentials(values["server"], values["ca.crt"], values["token"], values["namespace"])


def after_heartbeat(beat: Heartbeat, credentials: Credentials, here: str) -> Link:
    """A renewal proves that the site is connected. A silent watch does not. `here`: the namespace of the site."""
    match beat.answer:
        case "Renewed":
            return Link("Connected")
        case "Unauthorized":
            advice = ENROL.format(name=credentials.namespace, here=here)
            return Link("EnrolmentExpired", f"{REASONS['EnrolmentExpired'].meaning} {advice}")
        case "Forbidden":
            meaning = REASONS["HubForbids"].meaning
            return Link("HubForbids", f"{meaning} The hub's API server says: {beat.words}")
        case "Unavailable":
            return Link("HubUnreachable", f"{REASONS['HubUnreachable'].meaning} {beat.words}")


def _not_enrolled(words: str, hub: Hub, here: str) -> Link:
    return Link("NotEnrolled", f"{words} {ENROL.format(name=hub.participant_namespace, here=here)}")
