"""What the Job of a Prediction depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.api.prediction import PredictionSpec
from wardround.api.site import AllowedParameter, LinkLocal
from wardround.manifests.closed import Workload
from wardround.wire.isolation import IsolationTarget


@dataclass(frozen=True, kw_only=True)
class PredictionJob:
    """All that the Job depends on. `dataset`, `schema`: the specs of the Dataset and of its DataSchema, as they stand
    in the API. `hub_fingerprint`: of the hub whose card the model has to have. `participant`: the hospital's name at
    the hub. `parameters`: what the Site allows."""

    namespace: str
    name: str
    uid: str
    spec: PredictionSpec
    dataset: Mapping[str, Any]
    schema: Mapping[str, Any]
    models_claim: str
    hub_fingerprint: str
    participant: str
    parameters: Sequence[AllowedParameter]
    operator_image: str
    isolation: Sequence[IsolationTarget]
    isolation_seconds: float
    link_local: LinkLocal
    workload: Workload
