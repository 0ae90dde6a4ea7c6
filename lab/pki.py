"""Certificate authorities and the certificates of one cluster. Knows nothing of processes or networks."""

import datetime
import ipaddress
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=365)
SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Names:
    """The names and addresses of a serving certificate."""

    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class Authority:
    """A CA in a folder: made on first use, loaded later."""

    def __init__(self, folder: Path, name: str, now: datetime.datetime) -> None:
        self._folder = folder
        self._now = now
        self.certificate = folder / f"{name}.crt"
        key_file = folder / f"{name}.key"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.certificate.exists():
            self._certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError(f"{key_file} is not an elliptic curve key")
            self._key = key
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self._certificate = (
            self._builder(subject, subject, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        # The certificate is written last. If it exists, the authority is complete.
        write_secret(key_file, _pem(self._key))
        self.certificate.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, file: str, common_name: str, organization: str = "", client: bool = True, serving: Names | None = None
    ) -> KeyPair:
        """A key and its certificate at `<folder>/<file>.key` and `.crt`. Existing files stay."""
        pair = KeyPair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        if pair.certificate.exists():
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] * client + [ExtendedKeyUsageOID.SERVER_AUTH] * (serving is not None)
        builder = (
            self._builder(x509.Name(names), self._certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            # Python 3.13 refuses a chain without both identifiers (RFC 5280, 4.2.1).
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if serving is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(serving)), critical=False)
        write_secret(pair.key, _pem(key))
        certificate = builder.sign(self._key, hashes.SHA256())
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return pair

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - SKEW)
            .not_valid_after(self._now + LIFETIME)
        )


def signing_key(folder: Path, name: str) -> KeyPair:
    """A key pair without certificate (`.pub`, `.key`), for signing service account tokens."""
    pair = KeyPair(folder / f"{name}.pub", folder / f"{name}.key")
    if not pair.certificate.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write_secret(pair.key, _pem(key))
        pair.certificate.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return pair


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, by a rename, because others may read the old file now."""
    handle, partial = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(partial).replace(path)


def _alternatives(names: Names) -> Iterable[x509.GeneralName]:
    yield from (x509.DNSName(name) for name in names.dns)
    yield from (x509.IPAddress(ipaddress.ip_address(address)) for address in names.addresses)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
