"""Certificates are valid for their names and for their authority only."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from lab.pki import Authority, Names

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_serving_certificate_has_only_its_names(tmp_path: Path) -> None:
    ca = Authority(tmp_path, "ca", NOW)
    pair = ca.issue("server", "server", client=False, serving=Names(("hub.lab.internal",), ("198.18.0.1",)))
    certificate = _load(pair.certificate)
    certificate.verify_directly_issued_by(_load(ca.certificate))
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == ["hub.lab.internal"]
    assert [str(a) for a in alternatives.get_values_for_type(x509.IPAddress)] == ["198.18.0.1"]


def test_a_certificate_does_not_verify_with_another_authority(tmp_path: Path) -> None:
    ca, other = Authority(tmp_path / "a", "ca", NOW), Authority(tmp_path / "b", "ca", NOW)
    pair = ca.issue("client", "client")
    with pytest.raises(InvalidSignature):
        _load(pair.certificate).verify_directly_issued_by(_load(other.certificate))


def test_issuing_again_keeps_the_certificate(tmp_path: Path) -> None:
    first = Authority(tmp_path, "ca", NOW).issue("client", "client").certificate.read_bytes()
    assert Authority(tmp_path, "ca", NOW).issue("client", "client").certificate.read_bytes() == first


def test_only_the_owner_can_read_keys(tmp_path: Path) -> None:
    pair = Authority(tmp_path, "ca", NOW).issue("client", "client")
    assert pair.key.stat().st_mode & 0o077 == 0
    assert (tmp_path / "ca.key").stat().st_mode & 0o077 == 0
