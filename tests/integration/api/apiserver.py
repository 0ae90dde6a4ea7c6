"""A test's client of an API server. It calls as any user and returns the answers."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubernetes import client, config

from wardround.kube.resources import RESOURCES

Object = dict[str, Any]
# The hub accepts writes of a hospital's account only from this field manager.
HOSPITAL_MANAGER = "wardround-site"


class Refused(Exception):
    """The API server refused a request. `status` is the HTTP status code, the text the server's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """A client that acts as the kubeconfig's administrator, or as the holder of `token`.

    The administrator can impersonate any user. `manager` is the default field manager, except for hospitals' accounts.
    """

    def __init__(self, kubeconfig: Path, *, token: str = "", manager: str = "") -> None:
        self.kubeconfig = kubeconfig
        self._manager = manager
        official: Any = config  # The package has no types.
        self._client = official.new_client_from_config(str(kubeconfig), client_configuration=client.Configuration())
        self._pool: Any = self._client.rest_client.pool_manager
        self._host: str = self._client.configuration.host
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}

    def close(self) -> None:
        self._client.close()
        self._pool.clear()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        user: str = "",
        kind_of_body: str = "application/json",
    ) -> Object:
        answer = self._request(method, path, body, user, kind_of_body)
        document: Object = json.loads(answer.data)
        if answer.status >= 300:
            raise Refused(answer.status, document["message"])
        return document

    def headers(self, path: str, *, user: str = "") -> Mapping[str, str]:
        """Returns the headers of the answer to a GET, even of a refusal."""
        headers: Mapping[str, str] = self._request("GET", path, None, user, "application/json").headers
        return headers

    def text(self, path: str) -> str:
        """Returns the body of the answer to a GET as text."""
        answer = self._request("GET", path, None, "", "application/json")
        assert answer.status == 200
        body: str = answer.data.decode()
        return body

    def connection(self, timeout: float) -> HTTPSConnection:
        """Opens a connection as the administrator, for tests that send only part of a request. The caller closes it."""
        configuration, at = self._client.configuration, urlsplit(self._host)
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
        return HTTPSConnection(str(at.hostname), at.port, context=context, timeout=timeout)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None, user: str, kind_of_body: str) -> Any:
        headers = {"Accept": "application/json", "Content-Type": kind_of_body, **self._authorization}
        if user:
            headers["Impersonate-User"] = user
        # No retries: a refusal is an answer.
        content = None if body is None else json.dumps(body)
        return self._pool.request(method, self._host + path, body=content, headers=headers, retries=False)

    def create(self, obj: Object, *, user: str = "", dry_run: bool = False) -> Object:
        path = RESOURCES[obj["kind"]].path(obj["metadata"].get("namespace"))
        query = self._query(user) + ("&dryRun=All" if dry_run else "")
        return self.call("POST", path + query, obj, user=user)

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        return self.call("GET", RESOURCES[kind].path(namespace, name))

    def apply(self, obj: Object, *, manager: str = "test", user: str = "") -> Object:
        """Server-side apply."""
        metadata = obj["metadata"]
        path = RESOURCES[obj["kind"]].path(metadata.get("namespace"), metadata["name"])
        query = f"?fieldManager={manager}&force=true&fieldValidation=Strict"
        return self.call("PATCH", path + query, obj, user=user, kind_of_body="application/apply-patch+yaml")

    def patch(
        self,
        kind: str,
        name: str,
        change: Object,
        namespace: str,
        *,
        user: str = "",
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        path = RESOURCES[kind].path(namespace, name, subresource)
        query = self._query(user) + ("&dryRun=All" if dry_run else "")
        return self.call("PATCH", path + query, change, user=user, kind_of_body="application/merge-patch+json")

    def _query(self, user: str) -> str:
        manager = HOSPITAL_MANAGER if user.endswith(":site") else self._manager
        return "?fieldValidation=Strict" + (f"&fieldManager={manager}" if manager else "")

    def patch_status(
        self, kind: str, name: str, status: Object, namespace: str, *, user: str = "", dry_run: bool = False
    ) -> Object:
        change = {"status": status}
        return self.patch(kind, name, change, namespace, user=user, subresource="status", dry_run=dry_run)

    def delete(self, kind: str, name: str, namespace: str, *, user: str = "") -> None:
        self.call("DELETE", RESOURCES[kind].path(namespace, name), user=user)

    def may(self, user: str, verb: str, resource: str, namespace: str = "", *, name: str = "") -> bool:
        """Whether RBAC allows the request. `resource` is `plural[.group][/subresource]`."""
        whole, _, subresource = resource.partition("/")
        plural, _, group = whole.partition(".")
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {
                    "verb": verb,
                    "group": group,
                    "resource": plural,
                    "subresource": subresource,
                    "namespace": namespace,
                    "name": name,
                },
            },
        }
        answer = self.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def await_right(self, user: str, verb: str, resource: str, namespace: str) -> None:
        """Waits until the user has the right. RBAC applies a new right with a short delay."""
        until(f"{user} may {verb} {resource} in {namespace}", lambda: self.may(user, verb, resource, namespace))


def until(event: str, holds: Callable[[], bool], seconds: float = 180) -> None:
    """Waits until `holds()` is true. Fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not after {seconds:.0f} s: {event}"
        time.sleep(0.2)


def everything(api: Api, namespace: str | None = None) -> list[Object]:
    """All objects of a namespace, or of the cluster."""
    kinds = [each for each in RESOURCES.values() if each.namespaced or namespace is None]
    return [item for each in kinds for item in _items(api, each.path(namespace))]


def _items(api: Api, path: str) -> list[Object]:
    answers: list[list[Object]] = []

    def answered() -> bool:
        try:
            answers.append(api.call("GET", path)["items"])
        except Refused as refusal:
            if refusal.status != 429:  # while the API server fills its memory of a kind
                raise
        return bool(answers)

    until(f"the API server lists {path}", answered)
    return answers[0]


def account(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"
