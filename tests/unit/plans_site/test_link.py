"""How the site stands with its hub: by what the enrolment Secret holds, and by how the last heartbeat went."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from wardround.api.site import Hub
from wardround.plans.site.link import Credentials, Heartbeat, after_heartbeat, enrolment
from wardround.plans.site.types import Link

HUB = Hub(participant_namespace="site-a", enrolment_secret_name="hub-credentials", fingerprint="sha256:pin")
CREDENTIALS = Credentials("https://hub", "PEM", "abc", "site-a")


def secret(**data: str) -> dict[str, Any]:
    whole = {"server": "https://hub", "ca.crt": "PEM", "token": "abc", "namespace": "site-a"} | data
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in whole.items()}}


def test_a_whole_enrolment_gives_credentials_that_print_no_token() -> None:
    assert enrolment(secret(token="abc\n"), HUB, "hospital-a") == CREDENTIALS
    assert "abc" not in repr(CREDENTIALS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no Secret hub-credentials."),
        ({"data": {}}, "the key server is missing there"),
        ({"data": {"server": "no base64"}}, "the key server is missing there, or is no text"),
        (secret(**{"ca.crt": ""}), "the key ca.crt is empty there."),
        (secret(namespace="site-b"), "for the Participant site-b, and spec.hub.participantNamespace of the Site is"),
    ],
)
def test_an_enrolment_that_is_not_usable_says_why_and_what_to_run(content: dict[str, Any] | None, words: str) -> None:
    link = enrolment(content, HUB, "hospital-a")
    assert isinstance(link, Link)
    assert link.state == "NotEnrolled"
    assert words in link.message
    assert "`kubectl wardround enrol site-a --apply --hub-server URL --bootstrap FILE`" in link.message
    assert "https://hub" not in link.message


def test_a_token_that_the_hub_does_not_take_is_expired_or_revoked_and_the_command_is_whole() -> None:
    link = after_heartbeat(Heartbeat(answer="Unauthorized", words="401"), CREDENTIALS, "hospital-a")
    assert link.state == "EnrolmentExpired"
    assert "the token has expired, or the hub's administrator has revoked it" in link.message
    assert "`kubectl wardround enrol site-a --apply --hub-server URL --bootstrap FILE`" in link.message
    assert "`kubectl apply -n hospital-a -f FILE`" in link.message


def test_a_renewal_connects_the_site_and_any_other_failure_names_its_words() -> None:
    assert after_heartbeat(Heartbeat(answer="Renewed"), CREDENTIALS, "hospital-a") == Link("Connected")
    forbidden, away = (
        after_heartbeat(Heartbeat(answer=answer, words="renew Lease site: no"), CREDENTIALS, "hospital-a")
        for answer in ("Forbidden", "Unavailable")
    )
    assert (forbidden.state, away.state) == ("HubForbids", "HubUnreachable")
    assert all(each.message.endswith("renew Lease site: no") for each in (forbidden, away))
