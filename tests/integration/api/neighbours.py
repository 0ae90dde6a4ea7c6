"""Two sites of one cluster, whose admission policies come from the same chart with other values."""

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.integration.api.admission import until_admitted
from tests.integration.api.apiserver import Api, account
from tests.integration.api.objects import (
    data_schema,
    dataset,
    site_values,
    training_job,
)
from tests.integration.cluster import Helm

Object = dict[str, Any]
OPERATOR, NEIGHBOUR = account("hospital-a", "site-operator"), account("hospital-b", "site-operator")


@contextlib.contextmanager
def datasets_of_both_sites(api: Api) -> Iterator[None]:
    """The Datasets and DataSchemas that the golden Jobs read."""
    for namespace in ("hospital-a", "hospital-b"):
        api.create(dataset(namespace))
        api.create(data_schema(namespace))
    for namespace, user in (("hospital-a", OPERATOR), ("hospital-b", NEIGHBOUR)):
        until_admitted(api, training_job(namespace=namespace), user)
    yield
    for namespace in ("hospital-a", "hospital-b"):
        api.delete("Dataset", "breast", namespace)
        api.delete("DataSchema", "breast-v1", namespace)


def at_the_neighbours(helm: Helm, **policy: Any) -> None:
    values = site_values("site-b")
    values["policy"] |= policy
    helm.install("wardround-site", "site", "hospital-b", values)
