"""Clients of an API server with real tokens, without certificates and impersonation."""

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
    """A client with this token, at the API server of a lab cluster."""
    config: Object = yaml.safe_load(named(cluster).kubeconfig.read_text("utf-8"))
    [user] = config["users"]
    user["user"] = {}
    with TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "kubeconfig")
        kubeconfig.write_text(yaml.safe_dump(config), "utf-8")
        api = Api(kubeconfig, token=token, manager=manager)
        try:
            yield api
        finally:
            api.close()


@contextmanager
def account(cluster: str, namespace: str, name: str) -> Iterator[Api]:
    """A client with the token of a service account."""
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
