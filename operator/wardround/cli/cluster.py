"""The command line's requests to an API server, with the person's own kubeconfig. Decides and renders nothing."""

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

from wardround.cli.errors import CommandError, ForbiddenError
from wardround.cli.objects import printable
from wardround.kube.resources import RESOURCES

Object = dict[str, Any]

FIELD_MANAGER = "kubectl-wardround"
TIMEOUT_SECONDS = 30
TRIES = 3
IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")
NAMESPACES = "To see the namespaces that exist: kubectl get namespaces."
OFFICIAL: Any = config.kube_config  # which has no types


class Cluster:
    """A client of one API server, by one kubeconfig context. The kubeconfig is read at the first request: a person who
    gives a wrong name, or only prints manifests, needs none."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        self._kubeconfig, self._context = kubeconfig, context

    @cached_property
    def _api(self) -> Any:
        _refuse_impersonation(_read(_user, self._kubeconfig, self._context))
        configuration = client.Configuration()
        # Redirects are not followed: they would take the person's credentials elsewhere.
        configuration.retries = urllib3.Retry(TRIES, redirect=False)
        return _read(config.new_client_from_config, self._kubeconfig, self._context, client_configuration=configuration)

    @cached_property
    def default_namespace(self) -> str:
        """The context's namespace, or `default`, as in kubectl."""
        context = _read(_context, self._kubeconfig, self._context)
        return cast(str, context["context"].get("namespace") or "default")

    @property
    def server(self) -> str:
        return cast(str, self._api.configuration.host)

    @property
    def ca_certificate(self) -> str:
        """PEM of the CA that the kubeconfig trusts for the server; empty if it trusts the system's CAs."""
        path = self._api.configuration.ssl_ca_cert
        if not path:
            return ""
        with open(path, encoding="ascii") as file:  # noqa: PTH123 (the client hands out a plain path)
            return file.read()

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None if it does not exist."""
        status, answer = self._request("GET", RESOURCES[kind].path(namespace, name))
        if status == 404:
            return None
        return self._ok(status, answer, f"read {kind} {where(name, namespace)}")

    def list(self, kind: str, namespace: str | None = None, labels: str = "", fields: str = "") -> list[Object]:
        """Objects of a kind, in one namespace or (None) in all namespaces."""
        query = {**({"labelSelector": labels} if labels else {}), **({"fieldSelector": fields} if fields else {})}
        status, answer = self._request("GET", RESOURCES[kind].path(namespace, None), query)
        listed = self._ok(status, answer, f"list {RESOURCES[kind].plural} in {namespace or 'all namespaces'}")
        return cast(list[Object], listed.get("items", []))

    def apply(self, item: Object) -> Object:
        """Server-side apply. Refuses unknown fields, and takes fields over from other managers (`force`)."""
        kind, metadata = RESOURCES[item["kind"]], item["metadata"]
        status, answer = self._request(
            "PATCH",
            kind.path(metadata.get("namespace"), metadata["name"]),
            {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"},
            item,
            "application/apply-patch+yaml",
        )
        return self._ok(status, answer, f"apply {kind.kind} {where(metadata['name'], metadata.get('namespace'))}")

    def create(self, item: Object) -> Object:
        """Creates an object. Refuses unknown fields."""
        kind, metadata = RESOURCES[item["kind"]], item["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        status, answer = self._request("POST", kind.path(metadata.get("namespace")), query, item)
        return self._ok(status, answer, f"make {kind.kind} {where(metadata['name'], metadata.get('namespace'))}")

    def user(self) -> str:
        """The person's user name, as the API server knows it."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        status, answer = self._request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
        reviewed = self._ok(status, answer, "ask for your user name")
        return cast(str, reviewed["status"]["userInfo"]["username"])

    def patch(self, kind: str, name: str, namespace: str, change: Object) -> Object:
        """A JSON merge patch (RFC 7386)."""
        status, answer = self._request(
            "PATCH",
            RESOURCES[kind].path(namespace, name),
            {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"},
            change,
            "application/merge-patch+json",
        )
        return self._ok(status, answer, f"change {kind} {where(name, namespace)}")

    def delete(self, kind: str, name: str, namespace: str) -> bool:
        """Deletes the object. Returns whether it existed."""
        status, answer = self._request("DELETE", RESOURCES[kind].path(namespace, name))
        if status == 404:
            return False
        self._ok(status, answer, f"delete {kind} {where(name, namespace)}")
        return True

    def token(self, service_account: str, namespace: str, seconds: int) -> str:
        """A token for a service account, by a TokenRequest with the person's own rights."""
        status, answer = self._request(
            "POST",
            RESOURCES["ServiceAccount"].path(namespace, service_account) + "/token",
            body={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": seconds},
            },
        )
        granted = self._ok(status, answer, f"mint a token for service account {where(service_account, namespace)}")
        return cast(str, granted["status"]["token"])

    def raw(self, path: str) -> str:
        """Text of a non-resource path, such as /metrics."""
        status, answer = self._request("GET", path)
        if status != 200:
            raise CommandError(
                f"The cluster {self.server} refused to show {path} (HTTP {status}). Ask this cluster's "
                "administrator for the right to read it."
            )
        return answer.decode()

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, bytes]:
        url = path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json, text/plain;q=0.5", "Content-Type": content_type}
        # Bytes, because the client serialises objects of this content type in another way.
        payload = json.dumps(body).encode() if body is not None and "yaml" in content_type else body
        try:
            serialised = self._api.param_serialize(
                method, url, header_params=headers, query_params=[], auth_settings=["BearerToken"]
            )
            answer = self._api.call_api(serialised[0], serialised[1], serialised[2], payload, None, TIMEOUT_SECONDS)
            return int(answer.status), cast(bytes, answer.read())
        except (urllib3.exceptions.HTTPError, client.ApiException) as error:
            raise CommandError(
                f"This computer cannot reach the API server {self.server}: {type(error).__name__}. Check the network. "
                "Check also that the kubeconfig names the right cluster."
            ) from error

    def _ok(self, status: int, answer: bytes, request: str) -> Object:
        """The parsed answer. `request`: what was requested, for the message of CommandError."""
        if status < 300:
            return cast(Object, json.loads(answer))
        try:
            failure = json.loads(answer)
            message, absent = failure.get("message", ""), failure.get("details") or {}
        except ValueError:
            message, absent = answer[:200].decode(errors="replace"), {}
        advice = {
            401: (
                "The cluster refuses your credentials, because they have expired or belong to another cluster. Log in "
                "again, or choose another cluster with --context."
            ),
            403: "Your account does not have this right. Ask this cluster's administrator for it, or choose another "
            "cluster with --context.",
            404: f"This namespace does not exist. {NAMESPACES}"
            if absent.get("kind") == "namespaces"
            else (
                "Perhaps Wardround is not installed in this cluster. Choose the right cluster with --context, or "
                "install the charts of Wardround."
            ),
            409: (
                "This object was not changed, because somebody else changed it at the same time. Run the command again."
            ),
            422: "Correct the field that the API server names, and run the command again.",
        }.get(status, "Ask this cluster's administrator.")
        kind = ForbiddenError if status == 403 else CommandError
        # The message may quote text from another person's object.
        raise kind(f"Could not {request} at {self.server} ({status}): {printable(str(message))} {advice}")


def _read(load: Callable[..., Any], *arguments: str | None, **more: object) -> Any:
    """Calls a loader of the official client. Raises CommandError if it cannot use the kubeconfig."""
    try:
        return load(*arguments, **more)
    except (config.ConfigException, OSError) as error:
        raise CommandError(
            f"The command found no usable kubeconfig: {error}. Name one with --kubeconfig or the variable "
            "KUBECONFIG. If it has several contexts, choose one with --context."
        ) from error


def _context(kubeconfig: str | None, name: str | None) -> Any:
    """A context of a kubeconfig, by default the current one. The client's list_kube_config_contexts fails without a
    current context, which --context makes unnecessary."""
    return OFFICIAL.KubeConfigLoader(config_dict=_merged(kubeconfig), active_context=name).current_context


def _user(kubeconfig: str | None, context: str | None) -> Any:
    """Name and fields of a context's user."""
    name = _context(kubeconfig, context)["context"].get("user")
    merged = _merged(kubeconfig)
    entry = merged["users"].get_with_name(name, safe=True) if name and merged.safe_get("users") else None
    return name, (entry.value.get("user") or {}) if entry else {}


def _merged(kubeconfig: str | None) -> Any:
    merged = OFFICIAL.KubeConfigMerger(kubeconfig or config.KUBE_CONFIG_DEFAULT_LOCATION).config
    if merged is None:
        raise config.ConfigException("no configuration found")
    return merged


def _refuse_impersonation(user: tuple[str, Object]) -> None:
    """Raises CommandError for a user with `as`: the official client ignores it, and the impersonating user may have
    more rights."""
    name, fields = user
    impersonation = sorted(field for field in IMPERSONATION if fields.get(field))
    if impersonation:
        raise CommandError(
            f"kubectl wardround cannot use user {name} of the kubeconfig, because this user acts as another user "
            f"(fields {', '.join(impersonation)}). With --context, choose a context whose user has none of these "
            "fields."
        )


def where(name: str, namespace: str | None) -> str:
    return f"{namespace}/{name}" if namespace else name
