"""What the hub's documents are made with: the key that it signs with, and a result that it has kept."""

from dataclasses import dataclass, field

from wardround.plans.round.types import StoredModel
from wardround.sealing.keys import SigningKey
from wardround.wire.models import ModelManifest


@dataclass(frozen=True)
class Identity:
    """The hub's signing key with what sites know of it."""

    key: SigningKey = field(repr=False)
    public: bytes
    fingerprint: str


@dataclass(frozen=True)
class Model:
    """A stored result: its key, its signed manifest as text and as read."""

    data_key: bytes = field(repr=False)
    text: str
    manifest: ModelManifest
    stored: StoredModel
