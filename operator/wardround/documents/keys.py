"""The hub's signing key and its stored results, from which its documents are made. No I/O."""

from dataclasses import dataclass, field

from wardround.plans.round.types import StoredModel
from wardround.sealing.keys import SigningKey
from wardround.wire.models import ModelManifest


@dataclass(frozen=True)
class Identity:
    """The hub's signing key, its public half (SPKI DER), and the fingerprint that sites pin."""

    key: SigningKey = field(repr=False)
    public: bytes
    fingerprint: str


@dataclass(frozen=True)
class Model:
    """A stored result: its data key, its signed manifest as text, and parsed. `card`: its signed card as text, "" for a
    result that is no model."""

    data_key: bytes = field(repr=False)
    text: str
    manifest: ModelManifest
    stored: StoredModel
    card: str = ""
