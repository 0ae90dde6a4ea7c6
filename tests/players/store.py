"""Starts a real S3 store with TLS, on loopback or at another address of this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import toolchain
from tests.certificates import certificates
from wardround.clock import system_draw
from wardround.presign import Credentials, Presigner
from wardround.store.transfer import TRIES, StoreClient


@dataclass(frozen=True)
class Server:
    """A running store: where it is, who signed it, and its folder."""

    origin: str
    ca: str
    presigner: Presigner
    folder: Path

    def client(self, tries: int = TRIES) -> StoreClient:
        return StoreClient(self.origin, self.ca, tries=tries, draw=system_draw)


def binary() -> Path:
    """versitygw as the lab builds it, or as `WARDROUND_VERSITYGW` names it."""
    named = os.environ.get("WARDROUND_VERSITYGW") or shutil.which("versitygw")
    return Path(named) if named else toolchain.tool("versitygw")


@contextmanager
def serving(
    folder: Path, address: str = "127.0.0.1", port: int | None = None, within: Sequence[str] = ()
) -> Iterator[Server]:
    """Start versitygw over a folder, and stop it at the end. `within`: a command that runs it in another network
    namespace. Such a store needs a `port`; by default, the store takes a free one."""
    (folder / "data").mkdir()
    (folder / "meta").mkdir()
    ca = certificates(folder, address)
    if port is None:
        with socket.create_server((address, 0)) as free:
            port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        tls = ["--cert", str(folder / "tls.crt"), "--key", str(folder / "tls.key")]
        process = subprocess.Popen(
            [
                *[*within, str(binary()), "--port", f"{address}:{port}", *tls, "--keep-alive", "--quiet"],
                *["posix", "--sidecar", str(folder / "meta"), str(folder / "data")],
            ],
            env={"ROOT_ACCESS_KEY": "test-access", "ROOT_SECRET_KEY": "test-secret"},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(port, process, folder / "log", address)
            origin = f"https://{address}:{port}"
            credentials = Credentials("test-access", "test-secret")
            yield Server(origin, ca, Presigner(origin, "wardround", "us-east-1", credentials), folder / "data")
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, address: str = "127.0.0.1") -> None:
    """Return when the port answers. Raises AssertionError with the log when the process ended instead."""
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection((address, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())
