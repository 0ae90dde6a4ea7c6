"""ModelPush: a person brings pretrained weights as a ModelVersion. Of its spec, only `uploaded` can change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.wire import codec

KIND = "ModelPush"
# Of the description of the tensors in a pushed file, with the 8 bytes of its length. As objects, 8 MiB of it would take
# more memory than the hub operator has.
LARGEST_HEADER = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ModelPushSpec:
    """`digest`, `bytes`: of model.safetensors in canonical form. `tensors_digest`: of names, types and shapes of its
    tensors. `public_key`: base64. `seconds`: from its creation on. `uploaded`: the person's program has sent all."""

    schema_name: str
    digest: str
    bytes: int
    tensors_digest: str
    public_key: str
    requested_by: str
    seconds: int = 600
    uploaded: bool = False


@dataclass(frozen=True, kw_only=True)
class UploadOffer:
    """`hub_key`: base64. `offer`: a DSSE envelope with what is sealed for the public key."""

    hub_key: str
    offer: str


@dataclass(frozen=True, kw_only=True)
class ModelPushStatus:
    observed_generation: int | None = None
    conditions: Conditions = ()
    upload: UploadOffer | None = None


@dataclass(frozen=True, kw_only=True)
class ModelPush:
    metadata: Meta
    spec: ModelPushSpec
    status: ModelPushStatus = field(default_factory=ModelPushStatus)


def parse(value: Mapping[str, Any]) -> ModelPush:
    return codec.parse(ModelPush, value)
