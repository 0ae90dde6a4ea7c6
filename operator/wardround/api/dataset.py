"""Dataset: a file of patients' rows at a site. No field holds the key of the split, which only `prepare` reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wardround.api.conditions import Conditions
from wardround.api.meta import Meta
from wardround.wire import codec
from wardround.wire.outcome import EvaluationBudget, IgnoredColumn, LeftOutRows, Remark

KIND = "Dataset"
# The longest time of a reading without a round, from when a node begins with its pod.
READ_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Identifier:
    """The file's column that identifies the patient. `type`: string or integer."""

    column: str
    type: str


@dataclass(frozen=True, kw_only=True)
class LocalCategory:
    """A category of the DataSchema and its name in the file."""

    name: str
    local: str = field(metadata={"json": "from"})


@dataclass(frozen=True, kw_only=True)
class LocalField:
    """How the file writes a field of the DataSchema. `column`: of the file. `scale`, `offset`: a value in the
    DataSchema's unit is the number in the file x scale + offset."""

    name: str
    column: str | None = field(default=None, metadata={"json": "from"})
    scale: str | None = None
    offset: str | None = None
    missing_values: tuple[str, ...] | None = None
    categories: tuple[LocalCategory, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Split:
    """`key_file`: a file beside the data that holds the key. None: `prepare` makes and keeps the key."""

    key_file: str | None = None
    validation: str = "0.15"
    test: str = "0.2"


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """`fields`: what the file writes otherwise than the DataSchema `schema_name`. `columns_version`: with another
    number, what `prepare` remembers of the columns begins anew. `read_every`: seconds."""

    claim_name: str
    schema_name: str
    path: str
    identifier: Identifier
    split: Split
    format: Literal["CSV", "Parquet"] = "CSV"
    fields: tuple[LocalField, ...] | None = None
    missing_values: tuple[str, ...] = ("", "NA")
    columns_version: int | None = None
    read_every: int | None = None


@dataclass(frozen=True, kw_only=True)
class UnusedField:
    """A field of the schema that is no input of a model. `reason`: its type."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """What a model does not see. `column_count`: columns of the file that Wardround ignores. `columns`: those that a
    status may name (tabular/ignored_columns.py)."""

    fields: tuple[UnusedField, ...] = ()
    column_count: int | None = None
    columns: tuple[IgnoredColumn, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClassLeftOut:
    """`value`: of the target. `share`: of the rows of this class."""

    value: str
    rows: int
    share: str


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Rows that break the schema, each counted once. `patients`: those of whom no row counts. `share`: of all rows.

    `fields`: the most frequent faults first; a row with two faults counts twice.
    """

    rows: int
    patients: int
    share: str
    fields: tuple[LeftOutRows, ...] = ()
    classes: tuple[ClassLeftOut, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The newest reading by a pod that only reads.

    `generation`, `schema_digest`: of the Dataset that the pod was made for. `request`: the value of the annotation READ
    then. `reason`: `Read`, or why there was no reading; `message`: the same in words.
    """

    generation: int
    schema_digest: str | None = None
    request: str | None = None
    ended_at: str
    reason: str
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The fields of the Site's policy on which it depends whether a file that was read is good enough."""

    min_samples: int
    min_cell: int
    max_left_out: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """The number of training patients that the site tells the hub, rounded down, and since when."""

    training_patients: int
    at: str


@dataclass(frozen=True, kw_only=True)
class DatasetStatus:
    """This status stays in the hospital's cluster, but for `published`. `rows` and `patients`: of the valid rows.

    `limits`: those of the pod that counted the rows.
    `evaluations`: as the newest evaluation found them. `split_fingerprint`: of the key with which the Dataset was first
    read. `published`: what the hub may read.
    """

    observed_generation: int | None = None
    conditions: Conditions = ()
    read_at: str | None = None
    features: int | None = None
    rows: int | None = None
    patients: int | None = None
    training_patients: int | None = None
    ignored: Ignored | None = None
    left_out: LeftOut | None = None
    remarks: tuple[Remark, ...] | None = None
    limits: Limits | None = None
    evaluations: tuple[EvaluationBudget, ...] | None = None
    split_fingerprint: str | None = None
    reading: Reading | None = None
    published: Published | None = None
    schema_digest: str | None = None
    columns_digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    metadata: Meta
    spec: DatasetSpec
    status: DatasetStatus = field(default_factory=DatasetStatus)


def parse(value: Mapping[str, Any]) -> Dataset:
    return codec.parse(Dataset, value)
