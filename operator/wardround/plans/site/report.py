"""Decides what the site tells its hub: keys, versions of assignments, Datasets, accelerators, and whether cards may
name the hospital; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wardround.api.dataset import Dataset
from wardround.api.site import Site
from wardround.plans import versions
from wardround.wire import codec


def report(site: Site, datasets: Sequence[Dataset]) -> dict[str, Any]:
    """`status.site` of the Participant on the hub: of Datasets those that some federation may use. How many
    accelerators a node has only the nodes know."""
    keys = site.status.courier.keys if site.status.courier else None
    listed = {each.name for each in site.spec.policy.datasets}
    offered = [
        {
            "name": each.metadata.name,
            "schemaDigest": each.status.schema_digest,
            **({"columnsDigest": each.status.columns_digest} if each.status.columns_digest else {}),
            **_published(site, each),
        }
        for each in sorted(datasets, key=lambda d: d.metadata.name)
        if each.status.schema_digest and each.metadata.name in listed
    ]
    return {
        **({"keys": codec.dump(keys)} if keys else {}),
        "assignmentVersions": list(versions.accepted(site.spec.policy.lowest_assignment_version)),
        "datasets": offered,
        "accelerators": [{"resourceName": site.spec.workload.accelerator.resource_name}],
        # Also if false: the field tells the hub that this site reads cards with names.
        "nameOnCards": site.spec.policy.name_on_cards,
    }


def _published(site: Site, each: Dataset) -> dict[str, int]:
    if not site.spec.policy.tell_new_patients or each.status.published is None:
        return {}
    return {"trainingPatients": each.status.published.training_patients}
