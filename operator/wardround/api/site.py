"""Site: a hospital's own settings, one object named `site`. Only the courier writes `status.courier`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from wardround.api.conditions import Conditions
from wardround.api.federatedround import DEFAULT_COMMAND, Release
from wardround.api.meta import Meta
from wardround.api.participant import PublicKeys
from wardround.wire import codec

KIND = "Site"
Approval = Literal["Manual", "Policy", "Deny"]
LinkLocal = Literal["Warn", "Refuse"]


@dataclass(frozen=True, kw_only=True)
class Hub:
    participant_namespace: str
    fingerprint: str
    enrolment_secret_name: str = "hub-credentials"  # noqa: S105 - a Secret's name


@dataclass(frozen=True, kw_only=True)
class PinnedStore:
    origin: str
    ca_bundle: str = ""
    proxy_url: str = ""


@dataclass(frozen=True, kw_only=True)
class AllowedDataset:
    """`federations`: the hub's namespaces whose rounds may use the Dataset."""

    name: str
    federations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AllowedParameter:
    """Bounds of a parameter. Without minimum, maximum and enum, every value is allowed.

    `required`: the site refuses a Train round that does not set the parameter to a value with a visible character,
    because the training code would then choose the value.
    """

    name: str
    minimum: str | None = None
    maximum: str | None = None
    enum: tuple[str, ...] | None = None
    required: bool | None = None


# The US Centers for Medicare & Medicaid Services suppress cells of 1 to 10 people (cell size suppression policy).
LEAST_CELL = 11
_SHARE = re.compile(r"0(\.[0-9]{1,6})?|1", re.ASCII)

# The largest `maxEvaluations` of a policy.
MOST_EVALUATIONS = 10_000

# The built-in trainer's parameters, for sites that list none. `steps` is not listed: an update of one step on a small
# batch reveals the rows of that batch. `weightDecay` is small: with weight decay and learning rate 1, only the last
# step's batch remains in the update. `epochs` and `learningRate` are above 0, so that a round trains.
DEFAULT_PARAMETERS = (
    AllowedParameter(name="model", enum=("logistic", "mlp")),
    AllowedParameter(name="hidden"),
    AllowedParameter(name="epochs", minimum="1", maximum="1000"),
    AllowedParameter(name="batchSize", minimum="16"),
    AllowedParameter(name="learningRate", minimum="0.000001", maximum="1"),
    AllowedParameter(name="optimizer", enum=("Adam", "SGD")),
    AllowedParameter(name="optimizerState", enum=("reset", "keep")),
    AllowedParameter(name="weightDecay", minimum="0", maximum="0.1"),
    AllowedParameter(name="momentum", minimum="0", maximum="1"),
    AllowedParameter(name="device", enum=("auto", "cpu", "cuda")),
)


def share(text: str) -> Decimal:
    """A share from 0 to 1, such as `max_left_out`. Raises ValueError."""
    if not _SHARE.fullmatch(text):
        raise ValueError("not a share from 0 to 1 with at most six decimals, such as 0.1")
    return Decimal(text)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`data_schemas`: DataSchemas that Datasets may have; None if the Site does not say. The admission policy decides.

    `max_left_out`: the largest share of a file's rows that may break the Dataset's schema.

    `max_evaluations`: of each Dataset and side of its split, in 30 days.
    """

    approval: Approval = "Manual"
    tasks: tuple[str, ...] = ("Train", "Statistics", "Evaluate")
    images: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = (DEFAULT_COMMAND,)
    datasets: tuple[AllowedDataset, ...] = ()
    data_schemas: tuple[str, ...] | None = None
    parameters: tuple[AllowedParameter, ...] = DEFAULT_PARAMETERS
    local_sockets: bool = False
    min_quorum: int = 2
    release: Release = "Participants"
    pushed_models: bool = False
    lowest_assignment_version: int = 4
    min_samples: int = LEAST_CELL
    min_cell: int = LEAST_CELL
    max_left_out: str = "0.1"
    tell_own_metrics: bool = False
    tell_new_patients: bool = False
    tell_verdicts: bool = False
    name_on_cards: bool = False
    max_evaluations: int = 20
    link_local: LinkLocal = "Warn"


@dataclass(frozen=True, kw_only=True)
class SiteAccelerator:
    resource_name: str = "nvidia.com/gpu"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """`models_claim_name`: empty if the hospital takes no models."""

    workspace_claim_name: str = "workspace"
    state_claim_name: str = "state"
    models_claim_name: str = ""
    queue_name: str = ""
    runtime_class_name: str = ""
    max_concurrent_tasks: int = 1
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    supplemental_groups_policy: str = ""
    limits: Mapping[str, str] = field(default_factory=lambda: {"cpu": "1", "memory": "2Gi"})
    accelerator: SiteAccelerator = field(default_factory=SiteAccelerator)


@dataclass(frozen=True, kw_only=True)
class PredictionVolumeClaims:
    """The claims from which Predictions may read rows, and onto which they may write answers."""

    rows_claim_names: tuple[str, ...] = ()
    answers_claim_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SiteSpec:
    hub: Hub
    store: PinnedStore
    policy: Policy = field(default_factory=Policy)
    workload: Workload = field(default_factory=Workload)
    predictions: PredictionVolumeClaims = field(default_factory=PredictionVolumeClaims)


@dataclass(frozen=True, kw_only=True)
class CourierIdentity:
    keys: PublicKeys | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    observed_generation: int | None = None
    conditions: Conditions = ()
    courier: CourierIdentity | None = None


@dataclass(frozen=True, kw_only=True)
class Site:
    metadata: Meta
    spec: SiteSpec
    status: SiteStatus = field(default_factory=SiteStatus)


def parse(value: Mapping[str, Any]) -> Site:
    return codec.parse(Site, value)
