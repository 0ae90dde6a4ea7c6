"""The settings that the courier reads only from files and its environment: pins that no API object can change."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pins:
    """`store_ca` and `proxy_url` may be empty: the system's trust store, no proxy. `approval` and
    `lowest_assignment_version`: of the chart's policy."""

    hub_fingerprint: str
    store_origin: str
    store_ca: str
    proxy_url: str
    approval: str
    lowest_assignment_version: int

    @classmethod
    def read(cls, folder: Path) -> Pins:
        """Raises OSError or ValueError: a courier without pins must not start."""

        def text(name: str) -> str:
            return (folder / name).read_text("utf-8").strip()

        return cls(
            hub_fingerprint=text("hub-fingerprint"),
            store_origin=text("store-origin"),
            store_ca=text("store-ca.pem"),
            proxy_url=text("proxy-url"),
            approval=text("approval"),
            lowest_assignment_version=int(text("lowest-assignment-version")),
        )


@dataclass(frozen=True)
class Settings:
    """`models`: the folder where the claim of models is mounted; None if the site takes no deliveries."""

    pins: Pins
    workspace: Path
    models: Path | None = None

    @classmethod
    def from_environment(cls) -> Settings:
        pins = Path(os.environ.get("WARDROUND_PINS_DIR", "/etc/wardround/pins"))
        models = os.environ.get("WARDROUND_MODELS", "")
        workspace = Path(os.environ.get("WARDROUND_WORKSPACE", "/workspace"))
        return cls(Pins.read(pins), workspace, Path(models) if models else None)
