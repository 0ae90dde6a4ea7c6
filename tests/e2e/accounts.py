"""An API server as the holder of a real token sees it: no certificate, no impersonation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from lab.topology import named
from tests.integration.api.apiserver import Api

Object = dict[str, Any]


@contextmanager
def administrator(cluster: str) -> Iterator[Api]:
    api = Api(named(cluster).kubeconfig)
    try:
        yield api
    finally:
        api.close()


@contextmanager
def bearer(cluster: str, token: str, manager: str = "") -> Iterator[Api]:
    """Whoever holds this token, at the API server of a cluster of the lab."""
    found: Object = yaml.safe_load(named(cluster).kubeconfig.read_text("utf-8"))
    [user] = found["users"]
    user["user"] = {}
    with TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "kubeconfig")
        kubeconfig.write_text(yaml.safe_dump(found), "utf-8")
        api = Api(kubeconfig, token=token, manager=manager)
        try:
            yield api
        finally:
            api.close()


@contextmanager
def account(cluster: str, namespace: str, name: str) -> Iterator[Api]:
    """A service account, by a token that the administrator had the API server issue for it."""
    with administrator(cluster) as admin:
        token = token_request(admin, namespace, name, 3600)["status"]["token"]
    with bearer(cluster, token) as api:
        yield api


def token_request(api: Api, namespace: str, name: str, seconds: int, *audiences: str) -> Object:
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds, "audiences": list(audiences)},
    }
    return api.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
