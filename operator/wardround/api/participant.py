"""Participant: a hospital as the hub knows it. The site writes `status.site`, the hub writes the rest of the status."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.wire import codec

KIND = "Participant"


@dataclass(frozen=True, kw_only=True)
class Federation:
    namespace: str


# More patients than most hospitals have.


@dataclass(frozen=True, kw_only=True)
class ParticipantSpec:
    display_name: str = ""
    suspend: bool = False
    key_fingerprint: str | None = None
    allowed_federations: tuple[Federation, ...] = ()
    max_samples: int | None = None


@dataclass(frozen=True, kw_only=True)
class PublicKeys:
    """Base64 texts. `signing`: SPKI DER. `decryption`: the raw key, 1216 bytes."""

    signing: str
    decryption: str


@dataclass(frozen=True, kw_only=True)
class OfferedDataset:
    """`training_patients`: rounded down to a multiple of 11. None if the site does not tell it."""

    name: str
    schema_digest: str = ""
    columns_digest: str = ""
    training_patients: int | None = None


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    resource_name: str


@dataclass(frozen=True, kw_only=True)
class SiteReport:
    """The site's report on its keys, Datasets, accelerators, and the versions of assignments that it accepts.

    `assignment_versions` is any JSON, which `plans/versions.py` reads. So a site that publishes malformed JSON there
    stops no round of other sites. `name_on_cards`: whether cards of models may name the hospital. None if the site does
    not know cards with names.
    """

    keys: PublicKeys | None = None
    datasets: tuple[OfferedDataset, ...] | None = None
    accelerators: tuple[Accelerator, ...] | None = None
    assignment_versions: Any = None
    name_on_cards: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ParticipantStatus:
    observed_generation: int | None = None
    conditions: Conditions = ()
    fingerprint: str | None = None
    hub_fingerprint: str | None = None
    site: SiteReport | None = None


@dataclass(frozen=True, kw_only=True)
class Participant:
    metadata: Meta
    spec: ParticipantSpec = field(default_factory=ParticipantSpec)
    status: ParticipantStatus = field(default_factory=ParticipantStatus)


def parse(value: Mapping[str, Any]) -> Participant:
    return codec.parse(Participant, value)
