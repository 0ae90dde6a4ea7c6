"""An aggregation that begins with the first update of a round, while another hospital's update is still missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from lab import install
from lab.topology import named
from tests.e2e.clusters import eventually
from tests.e2e.federation import Federation
from wardround.api import names

SECONDS = 600


@pytest.fixture
def early(federation: Federation) -> Iterator[None]:
    """The hub chart with `aggregation.earlySeconds`."""
    cluster, release = named("hub"), "wardround-hub"
    values = yaml.safe_load((install.WRITTEN / f"values-{cluster.name}-{release}.yaml").read_text())

    def upgrade(**more: object) -> None:
        install.helm(cluster, release, "hub", federation.hub_namespace, {**values, **more})
        install.rolled_out(cluster, federation.hub_namespace)

    upgrade(aggregation={"earlySeconds": SECONDS})
    try:
        yield
    finally:
        upgrade()


@pytest.mark.usefixtures("early")
def test_an_aggregation_begins_before_the_last_hospital_has_sent(federation: Federation) -> None:
    hub, slow = federation.kubectl("hub"), federation.kubectl(federation.sites[-1])
    courier = ("scale", "deployment/courier", "-n", federation.site_namespace)
    slow(*courier, "--replicas=0")
    try:
        made = federation.manifest("early", "Statistics")
        federation.apply(made)
        name = made["metadata"]["name"]
        uid = hub.get("fr", name, "-n", federation.namespace)["metadata"]["uid"]
        begun = names.aggregation_name(uid, 0)

        def waits() -> bool:
            job = hub.find("job", begun, "-n", federation.hub_namespace)
            return job is not None and job.get("status", {}).get("ready") == 1

        eventually(f"the pod of {begun} runs", waits)
    finally:
        slow(*courier, "--replicas=1")
    ended = federation.completed(name)
    assert ended.result["location"] == f"models/{uid}/0"
    assert ended.round["status"]["participants"]["aggregated"] == len(federation.sites)
    assert hub.find("job", names.aggregation_name(uid, 1), "-n", federation.hub_namespace) is None
