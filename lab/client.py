"""A few calls to an API server with a client certificate. Knows nothing of how clusters are made."""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.errors import LabError
from lab.pki import KeyPair

FIELD_MANAGER = "wardround-lab"

# API prefix and plural of each kind that the lab applies.
RESOURCES = {
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "PersistentVolume": ("api/v1", "persistentvolumes"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
}


@dataclass(frozen=True)
class Client:
    """A client of one API server with one user's certificate."""

    server: str
    ca: Path
    user: KeyPair

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Sends a request and returns the answer's JSON. Raises LabError for a status of 400 or more, or no answer."""
        host = urlsplit(self.server)
        connection = http.client.HTTPSConnection(host.hostname or "", host.port, timeout=10, context=self._tls)
        try:
            headers = {"Content-Type": content_type, "Accept": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise LabError(f"{method} {path}: no answer from {self.server}: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise LabError(f"{method} {path} at {self.server}: {response.status} {text.decode(errors='replace')[:500]}")
        return json.loads(text) if text.startswith(b"{") else {}

    def apply(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply. It creates or updates the object."""
        metadata = manifest["metadata"]
        prefix, plural = RESOURCES[manifest["kind"]]
        within = f"namespaces/{metadata['namespace']}/" if "namespace" in metadata else ""
        path = f"/{prefix}/{within}{plural}/{metadata['name']}?fieldManager={FIELD_MANAGER}&force=true"
        return self.request("PATCH", path, manifest, "application/apply-patch+yaml")

    def ready(self) -> bool:
        """Whether the API server reports that it is ready."""
        try:
            self.request("GET", "/readyz")
        except LabError:
            return False
        return True

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.user.certificate, self.user.key)
        return context
