"""Says which list of the site chart lacks a Dataset or its DataSchema, so that no pod may read the Dataset. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wardround.api.site import Policy


def is_listed(policy: Policy, dataset: str) -> bool:
    return any(each.name == dataset for each in policy.datasets)


def unlisted(policy: Policy, dataset: str, spec: Mapping[str, Any]) -> str:
    """Why the API server would admit no Job that reads a Dataset; empty if it may. `spec`: of the Dataset. The API
    server decides: it compares the same lists."""
    if not is_listed(policy, dataset):
        missing = f"policy.datasets in the values of the site chart does not list Dataset {dataset}"
    elif policy.data_schemas is not None and spec["schemaName"] not in policy.data_schemas:
        missing = (
            f"policy.dataSchemas in the values of the site chart does not list {spec['schemaName']}, the DataSchema of "
            f"Dataset {dataset}"
        )
    else:
        return ""
    return f"{missing}, so the API server admits no pod that reads this Dataset"
