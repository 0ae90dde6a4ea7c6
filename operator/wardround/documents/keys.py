"""The hub's signing key and its stored results, from which its documents are made. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from wardround.plans.round.types import StoredModel
from wardround.sealing.keys import SigningKey, dump_verification_key, generate_signing_key, hub_fingerprint
from wardround.wire.models import ModelManifest
from wardround.wire.server_state import StateManifest


@dataclass(frozen=True)
class Identity:
    """The hub's signing key, its public half (SPKI DER), and the fingerprint that sites pin."""

    key: SigningKey = field(repr=False)
    public: bytes
    fingerprint: str

    @classmethod
    def of_key(cls, key: SigningKey) -> Identity:
        public = dump_verification_key(key.public_key())
        return cls(key, public, hub_fingerprint(public))

    @classmethod
    def generate(cls) -> Identity:
        return cls.of_key(generate_signing_key())


@dataclass(frozen=True)
class ServerState:
    """The state of a server optimizer that lies beside a result: the key of each moment, and the signed manifest as
    text, and parsed. The keys leave the hub for no hospital and no reader of models."""

    data_keys: tuple[bytes, ...] = field(repr=False)
    text: str
    manifest: StateManifest


@dataclass(frozen=True)
class Model:
    """A stored result: its data key, its signed manifest as text, and parsed. `card`: its signed card as text, "" for a
    result that is no model. `state`: that of the server optimizer that made it. `state_damaged`: the hub has a state,
    but this hub did not sign it for this result."""

    data_key: bytes = field(repr=False)
    text: str
    manifest: ModelManifest
    stored: StoredModel
    card: str = ""
    state: ServerState | None = None
    state_damaged: bool = False
