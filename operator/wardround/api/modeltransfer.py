"""ModelTransfer: a person asks for a model with a one-time public key. Its spec is immutable, and it expires."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.wire import codec

KIND = "ModelTransfer"


@dataclass(frozen=True, kw_only=True)
class ModelTransferSpec:
    """Exactly one of `round_name` and `version_name`. `public_key`: base64. `seconds`: from its creation on."""

    public_key: str
    requested_by: str
    round_name: str | None = None
    version_name: str | None = None
    seconds: int = 600


@dataclass(frozen=True, kw_only=True)
class TransferredModel:
    """`hub_key`, `wrapped_key`, `grants`: base64. `manifest`, `card`: DSSE envelopes."""

    hub_key: str
    manifest: str
    card: str
    wrapped_key: str
    grants: str


@dataclass(frozen=True, kw_only=True)
class ModelTransferStatus:
    observed_generation: int | None = None
    conditions: Conditions = ()
    model: TransferredModel | None = None


@dataclass(frozen=True, kw_only=True)
class ModelTransfer:
    metadata: Meta
    spec: ModelTransferSpec
    status: ModelTransferStatus = field(default_factory=ModelTransferStatus)


def parse(value: Mapping[str, Any]) -> ModelTransfer:
    return codec.parse(ModelTransfer, value)
