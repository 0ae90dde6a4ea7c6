"""The settings that the chart gives the hub operator (docs/contracts.md, section 8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wardround.plans.round.scratch import GIB, SCRATCH_LIMIT


class SettingMissing(Exception):
    """A setting is absent or unusable. The message names the variable."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`store_origin`: the store's address for sites. `store_internal`: its address for the hub and its Jobs.
    `scratch_limit`: the largest number of bytes of scratch that an aggregation Job may have. `early_seconds`: how long
    one may wait for its round to close; 0 if each begins at closing."""

    namespace: str
    image: str
    store_origin: str
    store_internal: str
    store_region: str
    store_bucket: str
    store_ca: str
    scratch_limit: int = SCRATCH_LIMIT
    early_seconds: int = 0


def read(environment: Mapping[str, str]) -> Settings:
    """Raises SettingMissing."""

    def required(name: str) -> str:
        value = environment.get(name, "")
        if not value:
            raise SettingMissing(
                f"The hub operator cannot start, because the variable {name} of its pod is not set. The hub chart "
                "sets this variable (docs/contracts.md, section 8). The hub's administrator has to run `helm "
                "upgrade` with the hub chart."
            )
        return value

    origin = required("WARDROUND_STORE_ENDPOINT")
    ca_file = environment.get("WARDROUND_STORE_CA_FILE", "")
    return Settings(
        namespace=required("WARDROUND_NAMESPACE"),
        image=required("WARDROUND_OPERATOR_IMAGE"),
        store_origin=origin,
        store_internal=environment.get("WARDROUND_STORE_INTERNAL_ENDPOINT") or origin,
        store_region=environment.get("WARDROUND_STORE_REGION") or "us-east-1",
        store_bucket=environment.get("WARDROUND_STORE_BUCKET") or "wardround",
        # Each byte as in the chart's values: an admission policy compares the published bundle with them.
        store_ca=Path(ca_file).read_bytes().decode() if ca_file else "",
        scratch_limit=_scratch_limit(environment.get("WARDROUND_AGGREGATION_SCRATCH_GIB", "")),
        early_seconds=_early_seconds(environment.get("WARDROUND_AGGREGATION_EARLY_SECONDS", "0")),
    )


def _scratch_limit(gibibytes: str) -> int:
    if not gibibytes:
        return SCRATCH_LIMIT
    if not gibibytes.isdecimal() or int(gibibytes) < 1:
        raise SettingMissing(
            "The hub operator cannot start: WARDROUND_AGGREGATION_SCRATCH_GIB is not a whole number above 0. The "
            "hub's administrator has to correct aggregation.scratchGiB in the values of the hub chart, which sets "
            "this variable."
        )
    return int(gibibytes) * GIB


def _early_seconds(seconds: str) -> int:
    if not seconds.isdecimal():
        raise SettingMissing(
            "The hub operator cannot start: WARDROUND_AGGREGATION_EARLY_SECONDS is not a whole number. The hub's "
            "administrator has to correct aggregation.earlySeconds in the values of the hub chart, which sets this "
            "variable."
        )
    return int(seconds)
