"""What the courier takes from files and environment alone: pins that no API object can change."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pins:
    """`store_ca` and `proxy_url` may be empty: the system's trust store, no proxy. `approval`: of the Site's policy."""

    hub_fingerprint: str
    store_origin: str
    store_ca: str
    proxy_url: str
    approval: str

    @classmethod
    def read(cls, folder: Path) -> Pins:
        """Raises OSError where a file is missing: a courier without pins must not start."""

        def text(name: str) -> str:
            return (folder / name).read_text("utf-8").strip()

        names = ("hub-fingerprint", "store-origin", "store-ca.pem", "proxy-url", "approval")
        return cls(*map(text, names))


@dataclass(frozen=True)
class Settings:
    pins: Pins
    workspace: Path

    @classmethod
    def from_environment(cls) -> Settings:
        pins = Path(os.environ.get("WARDROUND_PINS_DIR", "/etc/wardround/pins"))
        return cls(Pins.read(pins), Path(os.environ.get("WARDROUND_WORKSPACE", "/workspace")))
