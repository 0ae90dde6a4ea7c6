"""What can go wrong at an API server, as few exception types as callers tell apart.

An answer is final only if it is a `Status` of the Kubernetes API that names the object that was asked for. A load
balancer, a proxy or an API server that starts answers 403 and 404 as well, and a 409 may be about another object (a
quota that somebody changed meanwhile): all these can be tried again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wardround.kube.resources import Resource


class ApiError(Exception):
    """Any answer but success. The message says verb, kind and name, and what the server said."""

    def __init__(self, doing: str, said: str) -> None:
        super().__init__(f"{doing}: {said}")
        self.said = said


class NotFound(ApiError):
    """There is no such object."""


class AlreadyExists(ApiError):
    """An object of this name is there already."""


class Conflict(ApiError):
    """It changed since it was read, or is another object than expected."""


class Forbidden(ApiError):
    """RBAC, a quota or an admission policy said no to this very object."""


class Unauthorized(ApiError):
    """The token is expired or unknown."""


class Gone(ApiError):
    """The resource version is too old to watch from: list again."""


class Invalid(ApiError):
    """The object breaks its schema or a policy, has unknown fields or is too large."""


class Unavailable(ApiError):
    """The server was not reached, did not answer in time, had a fault of its own, or said nothing of this object. Try
    again."""


# By `reason` of a Status. The first have to name the object; of the others the API server names none.
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


def error(code: int, text: str, *, doing: str, resource: Resource, name: str) -> ApiError:
    """The exception for an answer that is no success: `text` is its body, `name` empty for a collection."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return Unavailable(doing, f"{code}, not by a Kubernetes API: {text[:LONGEST_STRANGER]}")
    return status_error(answer, doing=doing, resource=resource, name=name, code=code)


def status_error(
    status: Mapping[str, Any], *, doing: str, resource: Resource, name: str, code: int | None = None
) -> ApiError:
    """The exception for a `Status`, such as a watch sends it too."""
    code = status.get("code", 500) if code is None else code
    said = f"{code} {status.get('message') or status.get('reason') or ''}".rstrip()
    if (status.get("kind"), status.get("apiVersion")) != ("Status", "v1"):
        return Unavailable(doing, f"{said} (not by a Kubernetes API)")
    reason = str(status.get("reason", ""))
    kind = NAMELESS.get(reason)
    if kind is None and _names(status.get("details"), resource, name):
        kind = NAMING.get(reason)
    return (kind or Unavailable)(doing, said)


def _names(details: object, resource: Resource, name: str) -> bool:
    """Whether they are of this object. Schemas say the kind where all others say the plural."""
    if not isinstance(details, dict):
        return False
    group = resource.api_version.rpartition("/")[0]
    # Events of events.k8s.io are stored, and spoken of, as those of the core group.
    return (
        details.get("name", "") == name
        and details.get("kind") in (resource.plural, resource.kind)
        and details.get("group", "") in (group, "")
    )
