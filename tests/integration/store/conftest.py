"""A real S3 store with TLS on loopback, one for all tests here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab import toolchain
from wardround.store import admin
from wardround.store.presign import Credentials, Presigner
from wardround.store.transfer import Store


@dataclass(frozen=True)
class Server:
    """A running store: where it is, who signed it, and its folder."""

    origin: str
    ca: str
    presigner: Presigner
    folder: Path


def binary() -> Path:
    """versitygw as the lab builds it, or as `WARDROUND_VERSITYGW` names it."""
    named = os.environ.get("WARDROUND_VERSITYGW") or shutil.which("versitygw")
    return Path(named) if named else toolchain.tool("versitygw")


def certificates(folder: Path) -> str:
    """Write a fresh authority and a certificate for 127.0.0.1; return the authority's PEM."""
    now = datetime.now(UTC)
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    usage = {"content_commitment": False, "key_encipherment": False, "data_encipherment": False}
    usage |= {"key_agreement": False, "encipher_only": False, "decipher_only": False}

    def builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    ca = (
        builder(issuer, authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage),
            critical=True,
        )
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")]), server)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return ca.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start versitygw and stop it again."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "data").mkdir()
    (folder / "meta").mkdir()
    ca = certificates(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        tls = ["--cert", str(folder / "tls.crt"), "--key", str(folder / "tls.key")]
        process = subprocess.Popen(
            [
                *[str(binary()), "--port", f"127.0.0.1:{port}", *tls, "--keep-alive", "--quiet"],
                *["posix", "--sidecar", str(folder / "meta"), str(folder / "data")],
            ],
            env={"ROOT_ACCESS_KEY": "test-access", "ROOT_SECRET_KEY": "test-secret"},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(port, process, folder / "log")
            origin = f"https://127.0.0.1:{port}"
            credentials = Credentials("test-access", "test-secret")
            yield Server(origin, ca, Presigner(origin, "wardround", "us-east-1", credentials), folder / "data")
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the port answers. Raises AssertionError with the log when the process ended instead."""
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())


@pytest_asyncio.fixture
async def store(server: Server) -> AsyncIterator[Store]:
    """A client with the pinned authority, the bucket made."""
    async with Store(server.origin, server.ca, tries=2) as client:
        await admin.ensure_bucket(client, server.presigner, datetime.now(UTC))
        yield client
