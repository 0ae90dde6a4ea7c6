"""What hospitals agree to, changed in their chart's values while a test needs it, as their people would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import yaml

from lab import install
from lab.install import SITE_NAMESPACE
from lab.topology import named
from tests.e2e.admission import is_admitted
from tests.e2e.clusters import eventually
from wardround.api import codec
from wardround.api.site import DEFAULT_PARAMETERS

Object = dict[str, Any]


@contextmanager
def policy(sites: Sequence[str], **changes: Any) -> Iterator[None]:
    """These hospitals' values have `changes` under `policy` until this is over, and then what they had."""
    before = {site: _given(site) for site in sites}
    try:
        _upgrade({site: {**values, "policy": {**values["policy"], **changes}} for site, values in before.items()})
        yield
    finally:
        _upgrade(before)


def parameters(*more: Object) -> list[Object]:
    """A list with what every site allows by default and these beside it."""
    return [*codec.dump(DEFAULT_PARAMETERS), *more]


def _given(site: str) -> Object:
    values: Object = yaml.safe_load((install.WRITTEN / f"values-{site}-wardround-site.yaml").read_text("utf-8"))
    return values


def _upgrade(values: Mapping[str, Object]) -> None:
    def one(site: str) -> None:
        install.helm(named(site), "wardround-site", "site", SITE_NAMESPACE, values[site])
        eventually(f"{site} admits Jobs by what its chart says now", lambda: is_admitted(site))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, values))
