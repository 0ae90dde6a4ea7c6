"""A person's program obeys only the hub that the person named, and its messages show no address of the store."""

from __future__ import annotations

import socket
import ssl
import urllib.error
from email.message import Message
from urllib.parse import urlsplit

import pytest

from wardround.card.folder import FolderRefused
from wardround.card.own_request import OwnRequest, unreachable
from wardround.documents.keys import Identity
from wardround.sealing.keys import DecryptionKey
from wardround.sealing.refused import Refused
from wardround.wire import canonical

ADDRESS = "https://store.example/models/uid?X-Amz-Signature=abc"
EXPIRED = ssl.SSLCertVerificationError(f"for {ADDRESS}")
EXPIRED.verify_message = "certificate has expired"
HUB = Identity.generate()
PUBLIC = canonical.encode(HUB.public)


def own(fingerprint: str) -> OwnRequest:
    return OwnRequest(DecryptionKey.generate(), "uid", "ann", fingerprint)


def test_the_key_of_the_named_hub_is_taken() -> None:
    assert own(HUB.fingerprint).hub_key(PUBLIC, "do not push") == HUB.public


def test_the_key_of_another_hub_is_refused_with_both_fingerprints() -> None:
    named = "sha256:" + "0" * 64
    with pytest.raises(FolderRefused) as caught:
        own(named).hub_key(PUBLIC, "do not push")
    for words in (HUB.fingerprint, named, "do not push"):
        assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "no base64", canonical.encode(b"short")])
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises((Refused, FolderRefused)):
        own(HUB.fingerprint).hub_key(text, "do not push")


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (urllib.error.HTTPError(ADDRESS, 403, "no", Message(), None), "the store answered 403"),
        (urllib.error.URLError(ConnectionRefusedError(f"cannot reach {ADDRESS}")), "ConnectionRefusedError"),
        (urllib.error.URLError(EXPIRED), "not valid here (certificate has expired)"),
        (urllib.error.URLError(socket.gaierror(-2, ADDRESS)), "its name has no address here"),
        (TimeoutError(ADDRESS), "TimeoutError"),
    ],
)
def test_a_message_about_the_store_shows_its_host_and_nothing_else_of_the_address(failure: OSError, cause: str) -> None:
    text = unreachable(failure, ADDRESS, "push again")
    assert cause in text
    assert text.endswith(", and push again")
    assert "store.example:443" in text
    assert ADDRESS not in text
    assert urlsplit(ADDRESS).path not in text
    assert urlsplit(ADDRESS).query not in text
