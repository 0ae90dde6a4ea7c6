"""The failures of calls to an API server, one exception type for each that callers tell apart.

An answer is final only if it is a `Status` of the Kubernetes API and names the object of the call. A load balancer, a
proxy or an API server that starts may also answer 403 or 404, and a 409 may be about another object (a quota that
changed meanwhile). Those calls can be tried again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wardround.kube.resources import Resource


class ApiError(Exception):
    """Any answer but success. The message has verb, kind and name, and the server's own words (`answer`)."""

    def __init__(self, doing: str, answer: str) -> None:
        super().__init__(f"{doing}: {answer}")
        self.answer = answer


class NotFound(ApiError):
    """There is no such object."""


class AlreadyExists(ApiError):
    """An object of this name is there already."""


class Conflict(ApiError):
    """It changed since it was read, or is another object than expected."""


class Forbidden(ApiError):
    """RBAC, a quota or an admission policy refuses this very object."""


class Unauthorized(ApiError):
    """The token is expired or unknown."""


class Gone(ApiError):
    """The resource version is too old to watch from: list again."""


class Invalid(ApiError):
    """The object breaks its schema or a policy, has unknown fields or is too large."""


class Unavailable(ApiError):
    """The server was not reached, did not answer in time, had a fault, or answered about another object. Try again."""


# By `reason` of a Status. NAMING: the Status must name the object. NAMELESS: the API server names none.
NAMING: Mapping[str, type[ApiError]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Forbidden": Forbidden,
    "Invalid": Invalid,
}
NAMELESS: Mapping[str, type[ApiError]] = {
    "Unauthorized": Unauthorized,
    "Expired": Gone,
    "Gone": Gone,
    "BadRequest": Invalid,
    "RequestEntityTooLarge": Invalid,
    "UnsupportedMediaType": Invalid,
}
LONGEST_STRANGER = 200
STRANGER = (
    "Something else than a Kubernetes API server has answered. Check the address of the API server, and whether a "
    "proxy on the way has answered instead."
)


def error(code: int, text: str, *, doing: str, resource: Resource, name: str) -> ApiError:
    """The exception for an answer that is no success: `text` is its body, `name` empty for a collection."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return Unavailable(doing, f"HTTP status {code}. {STRANGER} The answer begins: {text[:LONGEST_STRANGER]}")
    return status_error(answer, doing=doing, resource=resource, name=name, code=code)


def status_error(
    status: Mapping[str, Any], *, doing: str, resource: Resource, name: str, code: int | None = None
) -> ApiError:
    """The exception for a `Status`, such as a watch sends it too."""
    code = status.get("code", 500) if code is None else code
    answer = f"{code} {status.get('message') or status.get('reason') or ''}".rstrip()
    if (status.get("kind"), status.get("apiVersion")) != ("Status", "v1"):
        return Unavailable(doing, f"{answer.rstrip('.')}. {STRANGER}")
    reason = str(status.get("reason", ""))
    kind = NAMELESS.get(reason)
    if kind is None and _names(status.get("details"), resource, name):
        kind = NAMING.get(reason)
    return (kind or Unavailable)(doing, answer)


def _names(details: object, resource: Resource, name: str) -> bool:
    """Whether the details name this object. An answer about a schema has the kind, all others have the plural."""
    if not isinstance(details, dict):
        return False
    group = resource.api_version.rpartition("/")[0]
    # The API server stores Events of events.k8s.io in the core group, and names that group.
    return (
        details.get("name", "") == name
        and details.get("kind") in (resource.plural, resource.kind)
        and details.get("group", "") in (group, "")
    )
